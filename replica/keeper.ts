/**
 * What one replica does with a key: holds, joins, mints, keeps hints. It owns the records and the
 * rule that protects them: never say that something was seen which may have been forgotten.
 *
 * Every record carries the replica's tenure of the key (see core/entry-codec.ts). The replica's
 * incarnation ends with any stop that was not clean, so a tenure taken before one is void: the
 * record may be older than what was minted and sent out under it.
 */
import type { CausalContext } from "../core/causal-context.ts";
import {
  digestOf,
  type Entry,
  emptyEntry,
  isLive,
  keptDigestOf,
  merge,
  sameKnowledge,
} from "../core/entry.ts";
import {
  type DecodedEntry,
  decodeEntry,
  decodeKept,
  encodeEntry,
  type Tenure,
} from "../core/entry-codec.ts";
import {
  dueAt,
  type Graces,
  gaveUpEarly,
  holdsValue,
  isLoose,
  isSpent,
  missedUntil,
  NO_GRACES,
  withoutEnded,
} from "../core/expiry.ts";
import { newActorId, newOpId, type OpId, type ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import { Mintings } from "../core/mintings.ts";
import type { Prng } from "../core/prng.ts";
import { noPurges, PurgeIndex } from "../core/purges.ts";
import { type Digest, type Store, StoreCorruption, type StoreKey } from "../core/store.ts";
import { HybridClock, type Now, type WallMillis } from "../core/time.ts";
import { Arrivals } from "./arrivals.ts";
import { type Beside, besideOf } from "./beside.ts";
import { DoneOperations } from "./done-operations.ts";
import { EarlyEnds } from "./early-ends.ts";
import { HintMoves } from "./hint-moves.ts";
import { beginIncarnation, isFirstLife } from "./incarnation.ts";
import type { Held, KeeperParts, Place } from "./keeper-parts.ts";
import { KeyOrders } from "./key-orders.ts";
import { LastWritten } from "./last-written.ts";
import { countsByTree, type TreeOfKeys } from "./lost-counts.ts";
import { type Minted, type MintRequest, mintOver, withAliases } from "./minting.ts";
import { emptySlot, type Joined, outlived, type Slot } from "./slot.ts";

const nothingPurged = new PurgeIndex(noPurges);

export class Keeper {
  readonly store: Store;
  readonly clock = new HybridClock();
  /** What took effect here, and may be asked for again. */
  readonly operations = new DoneOperations();
  readonly arrivals: Arrivals;
  readonly hintMoves: HintMoves;
  readonly #hash: KeyedHash;
  readonly #prng: Prng;
  readonly #partitionCount: () => number;
  readonly graces: Graces;
  readonly #purges: () => PurgeIndex;
  readonly #orders: KeyOrders;
  readonly #placeOf: KeeperParts["placeOf"];
  readonly #onChange: KeeperParts["onChange"];
  readonly #onRecord: NonNullable<KeeperParts["onRecord"]>;
  readonly #lastWritten = new LastWritten();
  /** No earlier run has left anything in its store. */
  readonly isNew: boolean;
  #incarnation: number;
  /** Keys whose record was lost to corruption and has not been refilled yet. */
  readonly #lost: Set<StoreKey>;
  /** Of those, the ones that can be read, without a body that has time left. */
  readonly #early = new EarlyEnds();

  constructor(parts: KeeperParts) {
    this.store = parts.store;
    this.#hash = parts.hash;
    this.#prng = parts.prng;
    this.#placeOf = parts.placeOf;
    this.#onChange = parts.onChange;
    this.#onRecord = parts.onRecord ?? (() => {});
    this.#partitionCount = parts.partitionCount;
    this.graces = parts.graces ?? NO_GRACES;
    this.#purges = parts.purges ?? (() => nothingPurged);
    this.#orders = new KeyOrders(parts.store, parts.partitionCount);
    this.#lost = new Set(parts.store.recovery.lostKeys);
    this.isNew = isFirstLife(parts.store);
    this.#incarnation = beginIncarnation(parts);
    this.arrivals = new Arrivals(parts.store, parts.prng, parts);
    this.hintMoves = new HintMoves(parts.store);
  }

  /** Of how many keys the record cannot be read and was not refilled yet. */
  get lostCount(): number {
    return this.#lost.size;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** Goes on under other actors: somebody else has those of until now. */
  renew(): void {
    this.#incarnation = beginIncarnation({ store: this.store, prng: this.#prng, isCopy: true });
    this.arrivals.renew();
  }

  /** What the replica can say of the key: its own entry, joined with any hints it keeps of it. */
  hold(key: StoreKey): Held {
    // Who reads may read again, who writes will not: only here is it kept what bytes decode to.
    const own = this.#readSlot(key, "", decodeKept);
    const { entry, isUnknown } = this.#withHints(key, own);
    const bytes = entry === own.entry ? own.bytes : null;
    const isAsStored = bytes !== null && own.isPurged !== true;
    const stored = () => (isAsStored ? this.store.summary(key)?.digest : undefined);
    const digest = entry === emptyEntry ? 0 : keptDigestOf(entry, this.#hash, stored);
    return { entry, bytes, isUnknown, digest };
  }

  /** The replica's own record of the key, hints left aside. */
  own(key: StoreKey): { readonly bytes: Uint8Array | null; readonly isUnknown: boolean } {
    return this.#readSlot(key, "");
  }

  /** The digest of the replica's own record, hints left aside; null when it cannot be known. */
  ownDigest(key: StoreKey): Digest | null {
    return this.#lost.has(key) ? null : (this.store.summary(key)?.digest ?? 0);
  }

  /** The digest alone, from the index when no hint is in the way; null when it cannot be known. */
  digest(key: StoreKey): Digest | null {
    if (this.#lost.has(key) || this.store.hintTargets(key).length === 0) return this.ownDigest(key);
    const held = this.hold(key);
    return held.isUnknown ? null : held.digest;
  }

  /**
   * Joins an entry that a peer sent into the record, or into the hint for `hintFor`. A record that
   * was lost counts as refilled by this, though a write of the replica's own would not do: that one
   * says nothing of what was there before.
   *
   * @returns false when the store takes no writes: nothing was joined
   */
  absorb(key: StoreKey, incoming: Entry, hintFor: ReplicaId | "", now: WallMillis): boolean {
    return this.join(key, incoming, hintFor, now) !== null;
  }

  /** The same; what the record, or the hint, holds then, or null when nothing was joined. */
  join(key: StoreKey, incoming: Entry, hintFor: ReplicaId | "", now: WallMillis): Joined | null {
    if (this.store.health() !== "writable") return null;
    for (const sibling of incoming.siblings) {
      this.clock.observe(sibling.time, now);
      this.operations.note(sibling, now);
    }
    const slot = this.#readSlot(key, hintFor);
    const unpurged = this.#purges().apply(key, incoming);
    const tenure = outlived(slot, incoming.context) ? null : slot.tenure;
    const joined = withAliases(merge(slot.entry, unpurged), slot.tenure, this.operations);
    const isFound = hintFor === "" && !incoming.context.isEmpty && this.#lost.has(key);
    // Nothing learnt, nothing stored: least of all a record of nothing, which has a digest, or of
    // what was forgotten here because its time has passed.
    const isNews =
      !sameKnowledge(joined, slot.entry) && !(slot === emptySlot && isSpent(joined, now));
    if (isNews) {
      const held = (): Entry => this.hold(key).entry;
      this.operations.follow(key, { before: slot.entry, incoming, joined, held }, now);
    }
    if (isFound || isNews) this.#writeSlot(key, hintFor, withoutEnded(joined, now), tenure);
    if (isFound) this.#find(key);
    return { entry: joined, wasUnknown: slot.isUnknown };
  }

  /** What is held of the key beside an entry that was joined into one of its places. */
  besides(key: StoreKey, incoming: Entry, joined: Entry): readonly Beside[] {
    const isAll = this.store.hintTargets(key).length === 0;
    return besideOf(isAll ? joined : this.hold(key).entry, incoming);
  }

  /** What the entry would be after the write, and its bytes; nothing is stored yet. */
  mint(request: MintRequest, now: WallMillis): Minted {
    const { key, hintFor } = request;
    const slot = this.#readSlot(key, hintFor);
    const own = hintFor === "" ? slot : this.#readSlot(key, "");
    const joined = this.#withHints(key, own).entry;
    // A failing disk gives a hint once and not the next time: the tenure's own record counts.
    const held = hintFor === "" ? joined : merge(joined, slot.entry);
    const tenure = this.#tenureFor(slot, request.covers);
    // Whatever is written by who knows of a purge is later than what that purge ends.
    const time = this.clock.next(now, this.#purges().newest);
    return mintOver(held, { request, tenure, time, operations: this.operations }, now);
  }

  /** What is sent out before the store has begun its run might be minted again after a crash. */
  #tenureFor(slot: Slot, covers: CausalContext | null): Tenure {
    const isHeld = this.store.hasBegun !== false && slot.tenure?.incarnation === this.#incarnation;
    const mayGoOn = isHeld && (covers === null || !outlived(slot, covers));
    if (mayGoOn && slot.tenure !== null) return slot.tenure;
    const minted = slot.tenure?.minted ?? Mintings.none;
    return { actor: newActorId(this.#prng), incarnation: this.#incarnation, minted };
  }

  /** The name of an operation of the replica's own. */
  newOp(): OpId {
    return newOpId(this.#prng);
  }

  /** Stores what was minted. What a sole owner has lost nobody brings: it goes on from here. */
  keepMinted(key: StoreKey, hintFor: ReplicaId | "", minted: Minted): void {
    const { entry, tenure, bytes } = minted;
    this.operations.followMint(key, minted);
    this.#writeBytes(key, hintFor, { entry, tenure }, bytes);
    if (hintFor === "" && this.#lost.has(key) && this.#placeOf(key).n === 1) this.#find(key);
  }

  /**
   * Deletes what is held of a key, if it is still what this digest names.
   *
   * @returns the entry with its tombstone, for the other owners; null when nothing was deleted
   */
  evict(key: StoreKey, digest: Digest, now: WallMillis): Uint8Array | null {
    if (this.store.health() !== "writable" || this.digest(key) !== digest) return null;
    const write = { content: null, ttlMs: 0, covers: null, isRetry: false, hintFor: "" } as const;
    const minted = this.mint({ key, op: this.newOp(), ...write, isEviction: true }, now);
    this.keepMinted(key, "", minted);
    return minted.sharedBytes;
  }

  /**
   * Rewrites a record, or a hint, without what was purged of it, and without the bodies whose time
   * has passed. A hint with nothing left to tell is forgotten.
   *
   * @returns whether there was anything to rewrite
   */
  sweep(key: StoreKey, hintFor: ReplicaId | "", now: WallMillis): boolean {
    if (this.store.health() !== "writable") return false;
    const { entry, tenure, bytes, isPurged } = this.#readSlot(key, hintFor);
    if (bytes === null) return false;
    const isOver = hintFor !== "" && isSpent(entry, now);
    const left = withoutEnded(entry, now);
    if (isOver) this.store.dropHint(hintFor, key);
    else if (isPurged === true || left !== entry) this.#writeSlot(key, hintFor, left, tenure);
    return isOver || isPurged === true || left !== entry;
  }

  /**
   * Whether this replica holds exactly that of the key, with nothing to serve by this clock, or
   * nothing at all.
   */
  agreesOn(key: StoreKey, digest: Digest, now: WallMillis): boolean {
    if (this.#lost.has(key) || this.store.hintTargets(key).length > 0) return false;
    const mine = this.store.summary(key);
    if (mine === undefined) return true;
    if (mine.digest !== digest || mine.dueAt === 0) return false;
    if (!mine.holdsValue) return true;
    const { entry, isUnknown } = this.#readSlot(key, "");
    return !isUnknown && !entry.siblings.some((sibling) => isLive(sibling, now));
  }

  /** Forgets a key that all members agree on, unless something new was learnt of it. */
  collect(key: StoreKey, digest: Digest, now: WallMillis): boolean {
    if (!this.agreesOn(key, digest, now) || this.store.summary(key) === undefined) return false;
    this.arrivals.collecting(key);
    this.#drop(key, this.#placeOf(key));
    return true;
  }

  /**
   * Forgets a key whose entry guards nothing, and whose time has passed: nobody is asked. It need
   * not be readable, unless there may have been a later record.
   *
   * @returns false when it does guard something, or has time left
   */
  release(key: StoreKey, now: WallMillis): boolean {
    const { dueAt: due = 0 } = this.store.summary(key) ?? {};
    if (!isLoose(due) || Math.floor(due) > now || this.#isOutdated(key)) return false;
    this.arrivals.releasing(key);
    this.#drop(key, this.#placeOf(key));
    return true;
  }

  /** Whether its newest record was found damaged at the start, and nobody has brought it since. */
  #isOutdated(key: StoreKey): boolean {
    return this.#lost.has(key) && this.store.recovery.lostKeys.includes(key);
  }

  /**
   * A body was given up by a clock that was ahead: it is to be fetched from the others again, as
   * long as it has time left. All of them may have given it up.
   */
  mistrust(key: StoreKey, now: WallMillis): void {
    const { entry, isUnknown } = this.#readSlot(key, "");
    if (isUnknown || !gaveUpEarly(entry, now)) return;
    this.#lose(key);
    this.#early.add(key, missedUntil(entry));
  }

  /** To be called in every step, before anything else. */
  advance({ monotonic, wall }: Now): void {
    this.operations.advance(monotonic);
    for (const key of this.#early.over({ monotonic, wall })) if (this.check(key)) this.#find(key);
  }

  /** Whether the stored record can be read; one that cannot counts as lost from now on. */
  check(key: StoreKey): boolean {
    if (this.store.isSound?.(key) !== false) return true;
    this.#lose(key);
    return false;
  }

  /** Keys of a namespace in UTF-8 order, whatever their state; both ends are store keys. */
  keysAfter(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    return this.#orders.page(prefix, after, countMax);
  }

  /** Keys with digests in these leaves of a partition, of namespaces with this N. */
  keysIn(
    tree: { readonly partition: number; readonly n: number },
    leaves: ReadonlySet<number>,
  ): readonly (readonly [StoreKey, Digest])[] {
    const out: (readonly [StoreKey, Digest])[] = [];
    for (const { key, digest } of this.store.entriesOf(tree.partition)) {
      const place = this.#placeOf(key);
      if (place.n !== tree.n || !leaves.has(place.leaf) || this.#lost.has(key)) continue;
      out.push([key, digest]);
    }
    return out;
  }

  /** Whether there is such a key whose record cannot be read and was not refilled yet. */
  hasLost(isSuch: (key: StoreKey) => boolean): boolean {
    for (const key of this.#lost) if (isSuch(key)) return true;
    return false;
  }

  /** By tree, of how many keys the record cannot be read and was not refilled yet. */
  lostCounts(): (tree: TreeOfKeys) => number {
    return countsByTree(this.#lost, this.#placeOf);
  }

  /**
   * Forgets some of what is held of a tree: its owners have it, and this replica is none of them.
   *
   * @returns how many keys were forgotten: fewer than `countMax` when nothing is left
   */
  forget(tree: { readonly partition: number; readonly n: number }, countMax: number): number {
    let count = 0;
    for (const { key } of this.store.entriesOf(tree.partition)) {
      const place = this.#placeOf(key);
      if (place.n !== tree.n) continue;
      if (count === countMax) break;
      this.#drop(key, place);
      count++;
    }
    return count;
  }

  /** Forgets all that is held, hints too: it is from a time in which it was no member. */
  wipe(): void {
    for (let partition = 0; partition < this.#partitionCount(); partition++) {
      for (const { key } of this.store.entriesOf(partition)) this.#drop(key, this.#placeOf(key));
    }
    for (const [target, count] of this.store.hintCounts()) {
      for (const key of this.store.hintedKeys(target, count)) this.store.dropHint(target, key);
    }
    this.#lost.clear();
    this.arrivals.renew();
  }

  /** The keys of a partition, with what the trees have of each. */
  *shownIn(partition: number): Iterable<readonly [StoreKey, Digest]> {
    for (const { key, digest } of this.store.entriesOf(partition)) {
      yield [key, this.#shown(key, digest)];
    }
  }

  #drop(key: StoreKey, place: Place): void {
    const from = this.#shown(key);
    this.store.dropEntry(key);
    this.#lost.delete(key);
    this.#early.drop(key);
    this.#orders.drop(key);
    this.#onChange(place, { from, to: 0 });
    this.#onRecord(key, false);
  }

  /** What the trees have of it: nothing of what was lost, so that an exchange brings it again. */
  #shown(key: StoreKey, digest = this.store.summary(key)?.digest): Digest {
    return this.#lost.has(key) ? 0 : (digest ?? 0);
  }

  #lose(key: StoreKey): void {
    const from = this.#shown(key);
    this.#lost.add(key);
    if (from !== 0) this.#onChange(this.#placeOf(key), { from, to: 0 });
  }

  #find(key: StoreKey): void {
    this.#early.drop(key);
    if (!this.#lost.delete(key)) return;
    this.#onChange(this.#placeOf(key), { from: 0, to: this.#shown(key) });
  }

  /**
   * Looks at what was lost where this replica is no owner: what can be read after all is there
   * again, to be given to the owners, and the rest is forgotten. Nobody would bring it.
   *
   * @returns whether anything was forgotten
   */
  settleLost(isMine: (place: Place) => boolean): boolean {
    let hasDropped = false;
    for (const key of [...this.#lost]) {
      const place = this.#placeOf(key);
      if (isMine(place)) continue;
      const isBack = this.own(key).bytes !== null;
      if (isBack) this.#find(key);
      else this.#drop(key, place);
      hasDropped ||= !isBack;
    }
    return hasDropped;
  }

  /** Tells of everything that is held, for trees that do not survive a restart. */
  recount(): void {
    for (let partition = 0; partition < this.#partitionCount(); partition++) {
      for (const { key, digest } of this.store.entriesOf(partition)) {
        const to = this.#shown(key, digest);
        this.#onChange(this.#placeOf(key, partition), { from: 0, to });
      }
    }
  }

  #withHints(key: StoreKey, own: Slot): Pick<Slot, "entry" | "isUnknown"> {
    let { entry, isUnknown } = own;
    for (const target of this.store.hintTargets(key)) {
      const hint = this.#readSlot(key, target);
      entry = merge(entry, hint.entry);
      isUnknown ||= hint.isUnknown;
    }
    return { entry, isUnknown };
  }

  #digest(entry: Entry): Digest {
    return entry === emptyEntry ? 0 : digestOf(entry, this.#hash);
  }

  readonly #decode = (bytes: Uint8Array): DecodedEntry =>
    this.#lastWritten.get(bytes) ?? decodeEntry(bytes);

  #readSlot(key: StoreKey, hintFor: ReplicaId | "", decodeBytes = this.#decode): Slot {
    try {
      const bytes = hintFor === "" ? this.store.readEntry(key) : this.store.readHint(hintFor, key);
      if (bytes === undefined) {
        return this.#lost.has(key) && hintFor === ""
          ? { ...emptySlot, isUnknown: true }
          : emptySlot;
      }
      const isUnknown = hintFor === "" && this.#lost.has(key);
      const { entry, tenure } = decodeBytes(bytes);
      const seen = this.#purges().apply(key, entry);
      if (seen === entry) return { entry, tenure, bytes, isUnknown };
      const rewritten = encodeEntry(seen, tenure);
      return { entry: seen, tenure, bytes: rewritten, isUnknown, isPurged: true };
    } catch (error) {
      if (!(error instanceof StoreCorruption)) throw error;
      if (hintFor === "" && !this.#lost.has(key)) this.arrivals.renew();
      if (hintFor === "") this.#lose(key);
      return { ...emptySlot, isUnknown: true };
    }
  }

  #writeSlot(key: StoreKey, hintFor: string, entry: Entry, tenure: Tenure | null): void {
    this.#writeBytes(key, hintFor, { entry, tenure }, encodeEntry(entry, tenure));
  }

  #writeBytes(key: StoreKey, hintFor: string, decoded: DecodedEntry, bytes: Uint8Array): void {
    this.#lastWritten.put(bytes, decoded);
    if (hintFor !== "") return this.store.writeHint(hintFor, key, bytes);
    const { entry } = decoded;
    const before = this.store.summary(key);
    if (before === undefined) this.#orders.add(key);
    const place = this.#placeOf(key);
    const digest = this.#digest(entry);
    const { partition } = place;
    const due = dueAt(entry, this.graces);
    this.store.writeEntry(key, { bytes, partition, digest, dueAt: due });
    if (!this.#lost.has(key)) this.#onChange(place, { from: before?.digest ?? 0, to: digest });
    this.#onRecord(key, holdsValue(due));
  }
}
