/**
 * Keeps namespaces within their `maxBytes`. That bound is on the values of a namespace, counted
 * once however many copies there are: a replica that owns a share of the partitions may keep that
 * share of it.
 *
 * **Who.** For every key one replica decides: of its primaries that seem to be alive, the first in
 * the namespace's own order of all members. So no two evict the same key. Where every replica holds
 * everything, one decides alone, and exactly; otherwise as few as possible do, each for its part of
 * the excess. When views differ, two may evict one key: then there are two tombstones, and that is
 * all.
 *
 * **What.** Candidates come by SIEVE (`eviction-candidates.ts`). Reads go to some of the primaries,
 * so the replica that decides may not know of a hit. Therefore the others are asked first, in one
 * message for many keys, and what was read there stays.
 *
 * **How.** An eviction is a delete that covers exactly what was held when it was chosen. It reaches
 * the other owners in one message for many keys; an owner that misses it gets it by an exchange. A
 * newer write that this replica has not seen is not covered, and survives.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { Reply, Request } from "../../../core/messages.ts";
import type { Prng } from "../../../core/prng.ts";
import type { Digest, StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { usedBytes } from "../../../replica/usage.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";
import { EvictionCandidates } from "./eviction-candidates.ts";

/** Keys of one round. */
const ROUND_KEYS_MAX = 256;
const ASK_MS_MAX = 1000;
/** Keys that the policies of all namespaces may know together, some 60 bytes and the key each. */
const TRACKED_KEYS_MAX = 1_000_000;

export interface EvictorHost extends TaskHost {
  readonly prng: Prng;
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Instead of `TRACKED_KEYS_MAX`, where memory is short. */
  readonly trackedKeysMax?: number;
  /** Whether the replica may lack what others have of its keys. */
  isBehind(): boolean;
}

interface Bounded {
  readonly namespace: string;
  readonly maxBytes: number;
  readonly n: number;
  readonly candidates: EvictionCandidates;
  /** Bytes in use when there was nothing for this replica to evict; 0 when there was. */
  stuckAt: number;
}

interface Victim {
  readonly key: StoreKey;
  readonly digest: Digest;
  readonly owners: readonly ReplicaId[];
}

export class Evictor {
  readonly #replica: Replica;
  readonly #host: EvictorHost;
  /** The document that `#bounded` was made from. */
  #stamp = 0;
  /** By name; the one whose turn it is first. */
  readonly #bounded = new Map<string, Bounded>();
  #isBusy = false;

  constructor(replica: Replica, host: EvictorHost) {
    this.#replica = replica;
    this.#host = host;
    this.#refresh();
  }

  /** Whether any namespace has a bound. */
  get hasBounds(): boolean {
    this.#refresh();
    return this.#bounded.size > 0;
  }

  /** Whether there is anything that this replica might do now. */
  get isPending(): boolean {
    this.#refresh();
    const usages = this.#replica.keeper.store.usage();
    return [...this.#bounded.values()].some(
      (bounded) =>
        this.#excessOf(bounded) > 0 && usages.get(bounded.namespace)?.byteCount !== bounded.stuckAt,
    );
  }

  /** A record was written, or is gone. */
  wrote(key: StoreKey, holdsValue: boolean): void {
    this.#candidatesOf(key)?.wrote(key, holdsValue);
  }

  /** A client reads the key. */
  read(key: StoreKey): void {
    const candidates = this.#candidatesOf(key);
    if (candidates === undefined || candidates.touch(key)) return;
    if (this.#replica.keeper.store.summary(key)?.holdsValue !== true) return;
    candidates.keep(key);
    candidates.touch(key);
  }

  /** Which of these keys, which a peer asks about, were read here since the last such question. */
  takeTouched(keys: readonly StoreKey[]): readonly StoreKey[] {
    return keys.filter((key) => this.#candidatesOf(key)?.takeTouch(key) === true);
  }

  /** Begins a round if one is due: to be called now and then, and after writes. */
  run(now: Millis): void {
    this.#refresh();
    if (this.#isBusy || this.#replica.keeper.store.health() !== "writable") return;
    if (this.#host.isBehind()) return;
    for (const bounded of [...this.#bounded.values()]) {
      if (this.#excessOf(bounded) <= 0) continue;
      this.#bounded.delete(bounded.namespace);
      this.#bounded.set(bounded.namespace, bounded);
      return this.#begin(bounded, now);
    }
  }

  /** Called for every read and write: it costs next to nothing where no namespace has a bound. */
  #candidatesOf(key: StoreKey): EvictionCandidates | undefined {
    this.#refresh();
    return this.#bounded.size === 0 ? undefined : this.#bounded.get(namespaceOf(key))?.candidates;
  }

  /** A new document may bound other namespaces. What is known of those that stay is kept. */
  #refresh(): void {
    const { knowledge, prng, trackedKeysMax = TRACKED_KEYS_MAX } = this.#host;
    if (this.#stamp === knowledge.stamp) return;
    this.#stamp = knowledge.stamp;
    const before = new Map(this.#bounded);
    const named = [...knowledge.namespaces].filter(([, { maxBytes }]) => maxBytes !== null);
    this.#bounded.clear();
    const { store } = this.#replica.keeper;
    const of = { store, partitionCount: knowledge.ring.partitionCount };
    const countMax = Math.ceil(trackedKeysMax / Math.max(1, named.length));
    for (const [namespace, { maxBytes, n }] of named) {
      if (maxBytes === null) continue;
      const policy = { seed: prng.u32(), countMax };
      const candidates =
        before.get(namespace)?.candidates ?? new EvictionCandidates(namespace, of, policy);
      this.#bounded.set(namespace, { namespace, maxBytes, n, candidates, stuckAt: 0 });
    }
  }

  /** Bytes beyond this replica's share. The last value stays, even if it is more than that. */
  #excessOf({ namespace, maxBytes, n }: Bounded): number {
    const usage = this.#replica.keeper.store.usage().get(namespace);
    if (usage === undefined || (usage.keyCount === 1 && usage.byteCount <= maxBytes)) return 0;
    const { ring } = this.#host.knowledge;
    const owned = ring.partitionsOwnedCount(this.#replica.id, n);
    return usage.byteCount - (maxBytes * owned) / ring.partitionCount;
  }

  #begin(bounded: Bounded, now: Millis): void {
    const victims = this.#choose(bounded);
    if (victims.length === 0) return;
    this.#isBusy = true;
    const keysOf = (mine: readonly Victim[]): Request => ({
      kind: "touched",
      keys: mine.map(({ key }) => key),
    });
    this.#askOwners(victims, keysOf, now, (replies, at) => {
      const touched = new Set(replies.flatMap((r) => (r.kind === "touched" ? r.keys : [])));
      const left = victims.filter(({ key }) => !touched.has(key));
      for (const { key } of victims) if (touched.has(key)) bounded.candidates.keep(key);
      this.#evict(left, at, (later) => {
        this.#isBusy = false;
        // Far over the bound: it goes on at once. Else other replicas may just be doing the rest.
        if (victims.length === ROUND_KEYS_MAX) this.run(later);
      });
    });
  }

  /** This replica's part of the excess: exact on average, the last victim being left to chance. */
  #choose(bounded: Bounded): readonly Victim[] {
    const { ring } = this.#host.knowledge;
    const { store } = this.#replica.keeper;
    const leads = this.#leads(bounded);
    const owned = ring.partitionsOwnedCount(this.#replica.id, bounded.n);
    const part = leads.size / Math.max(1, owned, leads.size);
    const share = this.#excessOf(bounded) * part;
    if (share === 0) this.#isStuck(bounded);
    const victims = new Map<StoreKey, Victim>();
    const mayGo = (key: StoreKey): boolean => !victims.has(key) && leads.has(ring.partitionOf(key));
    for (let sum = 0; sum < share && victims.size < ROUND_KEYS_MAX; ) {
      const key = bounded.candidates.next(mayGo);
      if (key === undefined) {
        if (victims.size === 0 && bounded.candidates.isSearchedThrough) this.#isStuck(bounded);
        break;
      }
      const { digest = 0, byteCount = 0, holdsValue = false } = store.summary(key) ?? {};
      if (!holdsValue) {
        // Deleted while the others were asked, and then kept: it would be the next one for ever.
        bounded.candidates.wrote(key, false);
        continue;
      }
      const bytes = usedBytes(key, byteCount);
      const fits = (share - sum) / bytes;
      if (fits < 1 && !this.#isLucky(victims.size === 0 ? Math.max(part, fits) : fits)) {
        bounded.candidates.putBack(key);
        break;
      }
      sum += bytes;
      const owners = this.#othersOf(ring.partitionOf(key), bounded);
      victims.set(key, { key, digest, owners });
    }
    return [...victims.values()];
  }

  #isStuck(bounded: Bounded): void {
    bounded.stuckAt = this.#replica.keeper.store.usage().get(bounded.namespace)?.byteCount ?? 0;
  }

  #isLucky(probability: number): boolean {
    return this.#host.prng.u32() < probability * 2 ** 32;
  }

  /** The partitions of whose keys this replica decides. */
  #leads({ namespace, n }: Bounded): ReadonlySet<number> {
    const { ring, liveness, hash } = this.#host.knowledge;
    const { id } = this.#replica;
    const rankOf = (member: ReplicaId): number => hash.digest(`${namespace}\0${member}`);
    const myRank = rankOf(id);
    const isBefore = (member: ReplicaId): boolean =>
      member !== id && rankOf(member) < myRank && !liveness.isSuspect(member);
    const before = new Set(ring.memberIds.filter(isBefore));
    const leads = new Set<number>();
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      const owners = ring.primariesOf(partition, n);
      if (owners.includes(id) && !owners.some((owner) => before.has(owner))) leads.add(partition);
    }
    return leads;
  }

  #othersOf(partition: number, { namespace }: Bounded): readonly ReplicaId[] {
    const { knowledge } = this.#host;
    const { ring, liveness } = knowledge;
    const widest = knowledge.widestOf(namespace);
    const owners = [...ring.primariesOf(partition, widest), ...ring.pendingOf(partition, widest)];
    return owners.filter((id) => id !== this.#replica.id && !liveness.isSuspect(id));
  }

  #evict(victims: readonly Victim[], now: Millis, over: (now: Millis) => void): void {
    const { counters } = this.#host.knowledge;
    const { keeper } = this.#replica;
    const tombstones = new Map<StoreKey, Uint8Array>();
    for (const { key, digest } of victims) {
      const byteCount = keeper.store.summary(key)?.byteCount ?? 0;
      const tombstone = keeper.evict(key, digest, this.#host.wall());
      if (tombstone === null) continue;
      tombstones.set(key, tombstone);
      counters.evictions++;
      counters.evictedBytes += usedBytes(key, byteCount);
    }
    if (tombstones.size === 0) return over(now);
    this.#host.whenDurable(() => {});
    const itemsOf = (mine: readonly Victim[]): Request => ({
      kind: "deliver",
      items: mine.map(({ key }) => [key, tombstones.get(key) as Uint8Array] as const),
    });
    const gone = victims.filter(({ key }) => tombstones.has(key));
    this.#askOwners(gone, itemsOf, now, (_, at) => over(at));
  }

  /** Asks each other owner about the victims that are its own; `over` gets what was answered. */
  #askOwners(
    victims: readonly Victim[],
    bodyOf: (mine: readonly Victim[]) => Request,
    now: Millis,
    over: (replies: readonly Reply[], now: Millis) => void,
  ): void {
    const targets = [...new Set(victims.flatMap(({ owners }) => owners))];
    const replies: Reply[] = [];
    let openCount = targets.length;
    if (openCount === 0) return over(replies, now);
    const done = (heard: Replies, at: Millis): void => {
      replies.push(...heard.values());
      if (--openCount === 0) over(replies, at);
    };
    for (const to of targets) {
      const body = bodyOf(victims.filter(({ owners }) => owners.includes(to)));
      askAll(this.#host, { targets: [to], body, timeoutMs: ASK_MS_MAX, done }, now);
    }
  }
}
