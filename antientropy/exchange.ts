/**
 * One exchange: two replicas find out in what they differ, and mend it both ways in one pass.
 *
 * The roots of all trees that both are primaries of go over in one message; the answer has only the
 * trees that differ, with their inner sums. From there the initiator descends: leaves below the
 * inner nodes that differ, then keys with digests in the leaves that differ. What the peer knows
 * better is fetched and joined; what it knows less of is delivered. So the cost is proportional to
 * the differences times the depth, and one message a pair where there are none.
 *
 * Trees are worked off a few at a time and entries in bounded batches, each only when the last one
 * is done: an exchange may stop anywhere, and the next one finds what is left. Everything is a
 * merge and may be repeated. A write that lands meanwhile at worst sends an entry that was on its
 * way already.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { INNER_COUNT, LEAVES_PER_INNER } from "../core/limits.ts";
import type { Reply, ReplyOf, Request, RequestOf } from "../core/messages.ts";
import type { Digest, StoreKey } from "../core/store.ts";
import type { Millis } from "../core/time.ts";
import type { MerkleForest, TreeName } from "./merkle-tree.ts";

export interface ExchangeLimits {
  /** Trees that are descended into at a time. */
  readonly treeCountMax: number;
  /** Keys whose entries are fetched, or sent, in one message. */
  readonly batchCountMax: number;
  /** Bytes of entries in one message; a single larger entry goes alone. */
  readonly batchBytesMax: number;
  /** How long one message may take to be answered, in ms. */
  readonly stepTimeoutMs: number;
  /** Of entries, both ways together, so that what clients wait for goes first. */
  readonly bytesPerSecondMax: number;
}

export const exchangeLimits: ExchangeLimits = {
  treeCountMax: 16,
  batchCountMax: 128,
  batchBytesMax: 262_144,
  stepTimeoutMs: 5000,
  bytesPerSecondMax: 16_777_216,
};

/** What the exchange asks of the replica it works for. */
export interface ExchangeSide {
  readonly forest: MerkleForest;
  /** Keys with digests in these leaves of a tree. */
  keysIn(tree: TreeName, leaves: ReadonlySet<number>): readonly (readonly [StoreKey, Digest])[];
  /** Of its own record: a hint for another is no copy, for it goes home and is forgotten. */
  digest(key: StoreKey): Digest | null;
  entryBytes(key: StoreKey): Uint8Array | null;
  /** The entry with what it keeps of it for others; null for nothing, or what cannot be read. */
  joinedBytes(key: StoreKey): Uint8Array | null;
  /** It can read all that it has of the key, and that is nothing, or nothing any more. */
  hasNothing(key: StoreKey): boolean;
  /** The members that may have been given a hint that stood here after a position. */
  movedSince(position: number): readonly ReplicaId[];
  /**
   * By tree, of how many keys it had something that it cannot read; 1 more where it lost what it
   * had of the tree and cannot say what that was.
   */
  unreadCounts(): (tree: TreeName) => number;
  /** False when the replica takes nothing in: its disk is full or failed. */
  absorb(key: StoreKey, entry: Uint8Array): boolean;
}

export interface ExchangeResult {
  readonly peer: ReplicaId;
  /** It went through to the end. */
  readonly isComplete: boolean;
  readonly treesCompared: number;
  readonly treesDiffering: number;
  readonly keysSent: number;
  readonly keysReceived: number;
  /** Of which the peer has, or had, something that it cannot read: others may have it. */
  readonly keysUnread: number;
  /** The trees of which the peer said so when it was asked for their roots. */
  readonly treesUnread: readonly TreeName[];
  /** Bytes of entries, both ways. */
  readonly byteCount: number;
}

export interface ExchangeOutbox {
  ask(to: ReplicaId, body: Request): void;
  finish(result: ExchangeResult): void;
}

export interface ExchangePlan {
  readonly peer: ReplicaId;
  readonly trees: readonly TreeName[];
  readonly side: ExchangeSide;
  readonly limits: ExchangeLimits;
}

/** A tree that differs, the inner sums that the peer has for it, and what it cannot read of it. */
type Differing = ReplyOf<"rootsDiffer">["trees"][number];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Exchange {
  readonly #plan: ExchangePlan;
  readonly #out: ExchangeOutbox;
  readonly #result: Mutable<ExchangeResult>;
  #differing: Differing[] = [];
  /** Keys to fetch, with the digest that the peer has. */
  #toFetch: (readonly [StoreKey, Digest])[] = [];
  #toSend: StoreKey[] = [];
  #fetching = new Map<StoreKey, Digest>();
  #deadline: Millis = Infinity;
  /** When the rate allows the next entries. */
  #nextAt: Millis = 0;
  #isPausing = false;
  isOver = false;

  constructor(plan: ExchangePlan, out: ExchangeOutbox) {
    assert(plan.trees.length > 0, "an exchange has something to compare");
    this.#plan = plan;
    this.#out = out;
    const keys = { keysSent: 0, keysReceived: 0, keysUnread: 0 };
    const counts = { treesDiffering: 0, ...keys, byteCount: 0 };
    const treesCompared = 0;
    const treesUnread: readonly TreeName[] = [];
    this.#result = { peer: plan.peer, isComplete: false, treesCompared, treesUnread, ...counts };
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    return this.#isPausing ? this.#nextAt : this.#deadline;
  }

  start(now: Millis): void {
    const { forest } = this.#plan.side;
    const trees = this.#plan.trees.map((tree) => ({ ...tree, root: forest.root(tree) }));
    this.#ask({ kind: "roots", trees }, now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    assert(from === this.#plan.peer, "only the peer was asked");
    if (this.isOver) return;
    switch (body.kind) {
      case "rootsDiffer":
        this.#differing = [...body.trees];
        this.#result.treesCompared = this.#plan.trees.length;
        this.#result.treesDiffering = this.#differing.length;
        this.#result.keysUnread = this.#differing.reduce((sum, { unread }) => sum + unread, 0);
        this.#result.treesUnread = this.#differing
          .filter(({ unread }) => unread > 0)
          .map(({ partition, n }) => ({ partition, n }));
        return this.#goOn(now);
      case "leafSums":
        return this.#askKeys(body.trees, now);
      case "keyDigests":
        for (const tree of body.trees) this.#compareKeys(tree);
        return this.#goOn(now);
      case "fetched":
        return this.#takeFetched(body, now);
      case "stored":
        return body.durable ? this.#goOn(now) : undefined;
      default:
        return this.#finish(false);
    }
  }

  failed(): void {
    if (!this.isOver) this.#finish(false);
  }

  wake(now: Millis): void {
    if (this.isOver || now < this.wakeAt) return;
    if (this.#isPausing) this.#goOn(now);
    else this.#finish(false);
  }

  #ask(body: Request, now: Millis): void {
    this.#deadline = now + this.#plan.limits.stepTimeoutMs;
    this.#out.ask(this.#plan.peer, body);
  }

  /** The next message: entries before further trees, so that little is kept in mind at a time. */
  #goOn(now: Millis): void {
    const hasEntries = this.#toFetch.length > 0 || this.#toSend.length > 0;
    this.#isPausing = hasEntries && now < this.#nextAt;
    if (this.#isPausing) return;
    if (this.#toFetch.length > 0) return this.#askEntries(now);
    if (this.#toSend.length > 0) return this.#sendEntries(now);
    const { treeCountMax } = this.#plan.limits;
    const trees: RequestOf<"leaves">["trees"][number][] = [];
    while (trees.length < treeCountMax) {
      const next = this.#differing.shift();
      if (next === undefined) break;
      const { partition, n } = next;
      const mine = this.#plan.side.forest.inner(next);
      const inner = indicesThatDiffer(mine, next.inner, INNER_COUNT);
      if (inner.length > 0) trees.push({ partition, n, inner });
    }
    if (trees.length > 0) this.#ask({ kind: "leaves", trees }, now);
    else this.#finish(true);
  }

  #askKeys(sums: ReplyOf<"leafSums">["trees"], now: Millis): void {
    const trees: RequestOf<"leafKeys">["trees"][number][] = [];
    for (const { partition, n, nodes } of sums) {
      const leaves: number[] = [];
      for (const [inner, theirs] of nodes) {
        const mine = this.#plan.side.forest.leavesOf({ partition, n }, inner);
        const below = indicesThatDiffer(mine, theirs, LEAVES_PER_INNER);
        for (const i of below) leaves.push(inner * LEAVES_PER_INNER + i);
      }
      if (leaves.length > 0) trees.push({ partition, n, leaves });
    }
    if (trees.length > 0) this.#ask({ kind: "leafKeys", trees }, now);
    else this.#goOn(now);
  }

  #compareKeys({ leaves, digests, ...tree }: ReplyOf<"keyDigests">["trees"][number]): void {
    const theirs = new Map(digests);
    const mine = new Map(this.#plan.side.keysIn(tree, new Set(leaves)));
    for (const [key, digest] of theirs) {
      if (mine.get(key) !== digest) this.#toFetch.push([key, digest]);
    }
    for (const key of mine.keys()) if (!theirs.has(key)) this.#toSend.push(key);
  }

  #askEntries(now: Millis): void {
    const batch = this.#toFetch.splice(0, this.#plan.limits.batchCountMax);
    // A second look: what a write brought meanwhile is no difference any more.
    this.#fetching = new Map(batch.filter(([key, d]) => this.#plan.side.digest(key) !== d));
    if (this.#fetching.size === 0) return this.#goOn(now);
    this.#ask({ kind: "fetch", keys: [...this.#fetching.keys()] }, now);
  }

  /** The peer may send fewer than were asked for; the rest is asked for again. */
  #takeFetched({ items, gone = [] }: ReplyOf<"fetched">, now: Millis): void {
    const askedCount = this.#fetching.size;
    // Forgotten there since it was listed, because its time was over or all agreed.
    for (const key of gone) this.#fetching.delete(key);
    for (const [key, bytes] of items) {
      const digest = this.#fetching.get(key);
      if (digest === undefined) continue;
      this.#fetching.delete(key);
      if (!this.#plan.side.absorb(key, bytes)) return this.#finish(false);
      this.#result.keysReceived++;
      this.#spend(bytes.length, now);
      if (this.#plan.side.digest(key) !== digest) this.#toSend.push(key);
    }
    // A peer that sends nothing of what was asked for cannot read it: it is given that instead.
    if (this.#fetching.size < askedCount) this.#toFetch.push(...this.#fetching);
    else {
      this.#result.keysUnread += askedCount;
      this.#toSend.push(...this.#fetching.keys());
    }
    this.#fetching.clear();
    this.#goOn(now);
  }

  #sendEntries(now: Millis): void {
    const { batchCountMax, batchBytesMax } = this.#plan.limits;
    const items: (readonly [StoreKey, Uint8Array])[] = [];
    let byteCount = 0;
    while (items.length < batchCountMax) {
      const key = this.#toSend[0];
      if (key === undefined) break;
      const bytes = this.#plan.side.entryBytes(key);
      if (items.length > 0 && byteCount + (bytes?.length ?? 0) > batchBytesMax) break;
      this.#toSend.shift();
      if (bytes === null) continue;
      byteCount += bytes.length;
      items.push([key, bytes]);
    }
    this.#result.keysSent += items.length;
    this.#spend(byteCount, now);
    if (items.length > 0) this.#ask({ kind: "deliver", items }, now);
    else this.#goOn(now);
  }

  #spend(byteCount: number, now: Millis): void {
    this.#result.byteCount += byteCount;
    const costMs = (byteCount * 1000) / this.#plan.limits.bytesPerSecondMax;
    this.#nextAt = Math.max(this.#nextAt, now) + costMs;
  }

  #finish(isComplete: boolean): void {
    this.isOver = true;
    this.#result.isComplete = isComplete;
    this.#out.finish(this.#result);
  }
}

function indicesThatDiffer(a: readonly number[], b: readonly number[], count: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) out.push(i);
  return out;
}
