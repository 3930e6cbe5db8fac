/**
 * A replica that lost what it had, and may have acknowledged: its folder is new, or records of its
 * log are gone. It cannot tell by itself what that was. So, key by key, until it knows, it never
 * answers "nothing", coordinates no write, and does not count as a primary.
 *
 * **When it knows.** Of a key with n owners, whatever a majority acknowledged is held by this
 * replica and at least majority - 1 of the n - 1 others. Any n - majority + 1 others leave out
 * fewer than that, and so must include one of these: that many others that know what they have are
 * enough. (Of three owners that is both others, of five three of the four.) Comparing a tree with
 * so many brings back all that the replica may have been counted for. A replica that does not know
 * what it has is no such source. But once all others have been compared with, nobody is left who
 * could have more. While owners change, all owners by both layouts are asked.
 *
 * **A cluster that begins** has no member that knows. When everybody was asked, and a majority of
 * the members, this one included, turn out to have nothing and to know of nothing, then nothing was
 * there: the cluster begins, and members that start later are filled by those. The trade: a
 * majority of all members, wiped while all the others are down, takes itself for a new cluster
 * until one of those is back. To wait for every member instead would let one late machine, an
 * everyday thing, keep a new cluster from starting. And nothing outside of the members' disks notes
 * that there was a cluster.
 *
 * That a replica has lost something is noted in its folder until it knows, so that a crash in
 * between does not get around this. A folder of an earlier run without that note has lost nothing.
 *
 * Where peers are away for good an operator has it stop waiting (`accept`).
 */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../../antientropy/exchange.ts";
import type { TreeName } from "../../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { openChange } from "../../../ring/ring-change.ts";
import { keepNumber, keptNumber } from "../knowledge/kept-number.ts";
import { Pause } from "../peers/pause.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** In the store, until it knows: that the folder was new, or that records were gone. */
export const LOST = "lost-past";
const EMPTY = 1;
export const DAMAGED = 2;
/** Trees of one exchange: when a longer one breaks off, more of what it did is unknown. */
const TREES_PER_EXCHANGE = 32;
const EXCHANGE_MS_MAX = 600_000;
/** How long one message of such an exchange waits for its answer, in ms. */
const STEP_MS_MAX = 1000;
/** Between two attempts with one peer, in ms: at first, and when it stays away. */
const AGAIN_MS_MIN = 50;
const AGAIN_MS_MAX = 500;
/** How long requests wait at most for the other members of a cluster that begins, in ms. */
const BEGINNING_MS_MAX = 2000;

export interface LostPastHost extends TaskHost {
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Something is known that was not, or nobody is waited for any more. */
  progressed(): void;
}

/** With which other owners a tree was compared. */
interface Comparison {
  readonly synced: Set<ReplicaId>;
  /** Those of them that did not know what they had. */
  readonly partial: Set<ReplicaId>;
}

interface Peer {
  /** An exchange is under way. */
  isBusy: boolean;
  isPausing: boolean;
  /** The last attempt failed. */
  isAway: boolean;
  /** It had nothing, and did not know that there was nothing to have. */
  isBlank: boolean;
  pauseMs: number;
}

const nameOf = ({ partition, n }: TreeName): string => `${partition}/${n}`;

export class LostPast {
  readonly #replica: Replica;
  readonly #host: LostPastHost;
  readonly #compared = new Map<string, Comparison>();
  readonly #known = new Set<string>();
  readonly #peers = new Map<ReplicaId, Peer>();
  #isPending: boolean;
  #isBeginning = false;
  #hasMetOneThatKnows = false;
  #isAccepted = false;
  /** It began with a cluster that had no past: nothing was lost. */
  wasFounded = false;

  constructor(replica: Replica, host: LostPastHost) {
    this.#replica = replica;
    this.#host = host;
    const { keeper } = replica;
    const isDamaged = keeper.store.recovery.corruptCount > 0;
    const isNoted = (keptNumber(keeper.store, LOST) ?? 0) !== 0;
    this.#isPending = isDamaged || keeper.isNew || isNoted;
    if (isDamaged) keepNumber(keeper.store, LOST, DAMAGED);
    else if (keeper.isNew) keepNumber(keeper.store, LOST, EMPTY);
  }

  /** Whether there is anything that it owns and does not know. */
  get isPending(): boolean {
    return this.#isPending;
  }

  /**
   * No member that knows was met yet: the whole cluster may be new, and its others about to come.
   */
  get isBeginning(): boolean {
    return this.#isPending && this.#isBeginning;
  }

  /**
   * Whether it may have lost what it had of the key. It may have had hints of a key that it does
   * not own, so for such a key all of its trees must be known. Of a key that it is about to own,
   * the transfer brings everything.
   */
  lacks(key: StoreKey): boolean {
    if (!this.#isPending) return false;
    const { knowledge } = this.#host;
    const { partition, n } = knowledge.placeOf(key);
    if (this.#known.has(nameOf({ partition, n }))) return false;
    return !knowledge.ring.pendingOf(partition, n).includes(this.#replica.id);
  }

  /** Whether it is no source for a tree that it owns. */
  lacksTree(tree: TreeName): boolean {
    return this.#isPending && !this.#known.has(nameOf(tree));
  }

  /** What it waits for, in words; null for nothing. */
  get reason(): string | null {
    if (!this.#isPending) return null;
    const { id } = this.#replica;
    const missing = this.#missing();
    const peers = this.#waitedFor(missing).join(", ");
    const what = `${missing.length} of ${this.#owned().length} partitions`;
    return peers === ""
      ? `${id} has an empty or damaged folder, and has not heard from the other members yet.`
      : `${id} may have lost what it had of ${what}: it has to compare them with ${peers} first.`;
  }

  start(now: Millis): void {
    if (!this.#isPending) return;
    this.#isBeginning = true;
    this.#pause(BEGINNING_MS_MAX, now, () => this.#endBeginning());
    this.run(now);
  }

  /** Goes on with every peer that it can go on with; to be called when anything has changed. */
  run(now: Millis): void {
    if (!this.#isPending) return;
    this.#review();
    if (!this.#isPending) return;
    const missing = this.#missing();
    for (const id of this.#waitedFor(missing)) this.#goOn(id, missing, now);
  }

  /** A peer has shown that it lives: it is not left alone any longer. */
  heard(id: ReplicaId, now: Millis): void {
    const peer = this.#peers.get(id);
    if (!this.#isPending || peer?.isAway !== true || !peer.isPausing) return;
    peer.isPausing = false;
    this.run(now);
  }

  /**
   * Replicas that cannot be reached are not waited for any longer, now or later: an operator has
   * given up what they alone had.
   *
   * @returns in how many partitions it waited, and for whom; members that are there still fill it
   */
  accept(now: Millis): { readonly partitionCount: number; readonly waitedFor: ReplicaId[] } {
    if (!this.#isPending) return { partitionCount: 0, waitedFor: [] };
    const missing = this.#missing();
    const waitedFor = [...this.#waitedFor(missing)];
    this.#isAccepted = true;
    this.run(now);
    return { partitionCount: missing.length, waitedFor };
  }

  /** The trees of which it is an owner to those who read. */
  #owned(): readonly TreeName[] {
    const { ring, sizes } = this.#host.knowledge;
    const trees: TreeName[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      for (const n of sizes) {
        if (!ring.primariesOf(partition, n).includes(this.#replica.id)) continue;
        trees.push({ partition, n });
      }
    }
    return trees;
  }

  #missing(): readonly TreeName[] {
    return this.#owned().filter((tree) => !this.#known.has(nameOf(tree)));
  }

  #others({ partition, n }: TreeName): readonly ReplicaId[] {
    const { ring } = this.#host.knowledge;
    const forced = openChange(ring.document)?.forced ?? [];
    const owners = new Set([...ring.primariesOf(partition, n), ...ring.pendingOf(partition, n)]);
    return [...owners].filter((id) => id !== this.#replica.id && !forced.includes(id));
  }

  /**
   * Whether a cluster begins here: everybody was asked, nobody knows anything, and so many have
   * nothing at all that only a loss by a majority of the members could be behind it.
   */
  #isFounded(owned: readonly TreeName[]): boolean {
    if (this.#hasMetOneThatKnows || !this.#isEmpty || owned.length === 0) return false;
    const { ring } = this.#host.knowledge;
    const isBlank = (id: ReplicaId): boolean =>
      this.#peers.get(id)?.isBlank === true &&
      owned.every((tree) => !this.#others(tree).includes(id) || this.#isSynced(tree, id));
    const others = new Set(owned.flatMap((tree) => this.#others(tree)));
    const blank = [...others].filter(isBlank);
    const isAsked = (id: ReplicaId): boolean =>
      blank.includes(id) || this.#peers.get(id)?.isAway === true;
    const members = ring.memberIds.filter((id) => id === this.#replica.id || others.has(id));
    return [...others].every(isAsked) && blank.length + 1 >= majority(members.length);
  }

  get #isEmpty(): boolean {
    const { store } = this.#replica.keeper;
    const isDamaged = keptNumber(store, LOST) === DAMAGED;
    return !isDamaged && store.stats().keyCount === 0 && store.hintCounts().size === 0;
  }

  #isSynced(tree: TreeName, id: ReplicaId): boolean {
    return this.#comparison(tree).synced.has(id);
  }

  #isCompared(tree: TreeName): boolean {
    const { ring, changes } = this.#host.knowledge;
    const others = this.#others(tree);
    const { synced, partial } = this.#comparison(tree);
    const isGone = (id: ReplicaId): boolean =>
      this.#isAccepted && this.#peers.get(id)?.isAway === true;
    if (others.every((id) => synced.has(id) || isGone(id))) return true;
    if (openChange(ring.document) !== null || changes.size > 0) return false;
    const count = others.length + 1;
    const sources = others.filter((id) => synced.has(id) && !partial.has(id));
    return sources.length >= count - majority(count) + 1;
  }

  #comparison(tree: TreeName): Comparison {
    const name = nameOf(tree);
    const known = this.#compared.get(name) ?? { synced: new Set(), partial: new Set() };
    this.#compared.set(name, known);
    return known;
  }

  /** Whether to compare the tree with this peer, maybe once more, would tell anything. */
  #isWanted(tree: TreeName, id: ReplicaId): boolean {
    const { synced, partial } = this.#comparison(tree);
    return (!synced.has(id) || partial.has(id)) && this.#others(tree).includes(id);
  }

  #waitedFor(missing: readonly TreeName[]): readonly ReplicaId[] {
    const peers = new Set(missing.flatMap((tree) => this.#others(tree)));
    return [...peers].filter((id) => missing.some((tree) => this.#isWanted(tree, id))).sort();
  }

  #review(): void {
    const { knowledge } = this.#host;
    const owned = this.#owned();
    const isFounded = this.#isFounded(owned);
    for (const tree of owned) {
      if (isFounded || this.#isCompared(tree)) this.#known.add(nameOf(tree));
    }
    const isWhole = owned.every((tree) => this.#known.has(nameOf(tree)));
    // To own nothing means nothing by a ring that nobody has agreed to.
    const isSure = owned.length > 0 || knowledge.document.ring.isProvisional !== true;
    if (!isWhole || !isSure) return;
    this.#isPending = false;
    this.wasFounded = isFounded;
    const { keeper } = this.#replica;
    keeper.compared();
    // A sole owner goes on saying that it does not know: nobody's word would count for more.
    const { losses } = keeper;
    const mayCome = ({ n }: { n: number }, key: StoreKey) => n === 1 || losses.isUnsure(key);
    if (losses.settleLost(mayCome)) keeper.arrivals.renew();
    this.#host.progressed();
    const { store } = keeper;
    // With a failed disk the next start asks once more; a record lost since then tells by itself.
    if (store.health() === "failed" || keeper.losses.unsureCount > 0) return;
    keepNumber(store, LOST, 0);
    this.#host.whenDurable(() => {});
  }

  #goOn(id: ReplicaId, missing: readonly TreeName[], now: Millis): void {
    const peer = this.#peerOf(id);
    if (peer.isBusy || peer.isPausing) return;
    const wanted = missing.filter((tree) => this.#isWanted(tree, id));
    const fresh = wanted.filter((tree) => !this.#comparison(tree).synced.has(id));
    const trees = fresh.length > 0 ? fresh.slice(0, TREES_PER_EXCHANGE) : wanted;
    if (trees.length === 0) return;
    // Its own sums are not counted yet.
    if (this.#replica.migration.isPending) return this.#leaveAlone(id, now);
    this.#compare(id, { trees, isFresh: fresh.length > 0 }, now);
  }

  #compare(
    id: ReplicaId,
    { trees, isFresh }: { readonly trees: readonly TreeName[]; readonly isFresh: boolean },
    now: Millis,
  ): void {
    const peer = this.#peerOf(id);
    const { side } = this.#replica;
    const limits = { ...exchangeLimits, stepTimeoutMs: STEP_MS_MAX };
    peer.isBusy = true;
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer: id, trees, side, limits }, out),
        finish: (result, at) => {
          peer.isBusy = false;
          peer.isAway = !result.isComplete;
          if (result.isComplete) this.#note(id, trees, result);
          if (result.isComplete && isFresh) peer.pauseMs = AGAIN_MS_MIN;
          else this.#leaveAlone(id, at);
          this.run(at);
        },
      },
      now,
    );
  }

  #note(id: ReplicaId, trees: readonly TreeName[], result: ExchangeResult): void {
    const unread = new Set(result.treesUnread.map(nameOf));
    for (const tree of trees) {
      const { synced, partial } = this.#comparison(tree);
      synced.add(id);
      if (unread.has(nameOf(tree))) partial.add(id);
      else partial.delete(id);
    }
    if (result.keysReceived > 0) this.#peerOf(id).isBlank = false;
    if (unread.size === trees.length) return;
    // Somebody knows: this cluster was there before, and others answer in this one's place.
    this.#hasMetOneThatKnows = true;
    this.#endBeginning();
  }

  #endBeginning(): void {
    if (!this.#isBeginning) return;
    this.#isBeginning = false;
    this.#host.progressed();
  }

  #leaveAlone(id: ReplicaId, now: Millis): void {
    const peer = this.#peerOf(id);
    peer.isPausing = true;
    this.#pause(peer.pauseMs, now, (at) => {
      peer.isPausing = false;
      this.run(at);
    });
    peer.pauseMs = Math.min(AGAIN_MS_MAX, 2 * peer.pauseMs);
  }

  #peerOf(id: ReplicaId): Peer {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const peer = {
      isBusy: false,
      isPausing: false,
      isAway: false,
      isBlank: true,
      pauseMs: AGAIN_MS_MIN,
    };
    this.#peers.set(id, peer);
    return peer;
  }

  #pause(ms: number, now: Millis, then: (now: Millis) => void): void {
    const finish = (_: null, at: Millis): void => then(at);
    const make = (out: ConstructorParameters<typeof Pause>[1]): Pause => new Pause(ms, out);
    this.#host.run<null>({ timeoutMs: 2 * ms, again: null, make, finish }, now);
  }
}
