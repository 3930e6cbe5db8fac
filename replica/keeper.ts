/**
 * What one replica does with a key: holds, joins, mints, keeps hints. It owns the records and the
 * rule that protects them: never say that something was seen which may have been forgotten.
 *
 * Every record carries the replica's tenure of the key (see core/entry-codec.ts). The replica's
 * incarnation ends with any stop that was not clean, so a tenure taken before such a stop is void:
 * the record may be older than what was minted and sent out under it.
 */
import type { CausalContext } from "../core/causal-context.ts";
import {
  type Entry,
  emptyEntry,
  isLive,
  keptDigestOf,
  merge,
  sameKnowledge,
} from "../core/entry.ts";
import { decodeEntry, decodeKept, type Tenure } from "../core/entry-codec.ts";
import {
  type Graces,
  gaveUpEarly,
  isLoose,
  isSpent,
  missedUntil,
  withoutEnded,
} from "../core/expiry.ts";
import { newActorId, newOpId, type OpId, type ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import { Mintings } from "../core/mintings.ts";
import { type Bytes, wholeOf } from "../core/pieces.ts";
import type { Prng } from "../core/prng.ts";
import type { Digest, Store, StoreKey } from "../core/store.ts";
import { HybridClock, type Now, type WallMillis } from "../core/time.ts";
import { Arrivals } from "./arrivals.ts";
import { DoneOperations } from "./done-operations.ts";
import { HintMoves } from "./hint-moves.ts";
import { beginIncarnation, isFirstLife } from "./incarnation.ts";
import type { Held, KeeperParts } from "./keeper-parts.ts";
import type { TreeOfKeys } from "./lost-counts.ts";
import { type Minted, type MintRequest, mintOver, withAliases } from "./minting.ts";
import { type Losses, Records, type Sent } from "./records.ts";
import { emptySlot, type Joined, outlived, refills, type Slot, type Taken } from "./slot.ts";

interface JoinAs {
  readonly hintFor: ReplicaId | null;
  /** It came from another replica, and so refills a record that was lost. */
  readonly isBrought: boolean;
  readonly sent?: Sent;
}

export class Keeper {
  readonly store: Store;
  readonly clock = new HybridClock();
  /** What took effect here, and may be asked for again. */
  readonly operations = new DoneOperations();
  readonly arrivals: Arrivals;
  readonly hintMoves: HintMoves;
  readonly #records: Records;
  readonly #hash: KeyedHash;
  readonly #prng: Prng;
  /** No earlier run has left anything in its store. */
  readonly isNew: boolean;
  #incarnation: number;
  #isCompared = false;

  constructor(parts: KeeperParts) {
    this.store = parts.store;
    this.#hash = parts.hash;
    this.#prng = parts.prng;
    this.#records = new Records(parts, (key) => {
      this.arrivals.renew();
      parts.onDamage?.(key);
    });
    this.isNew = isFirstLife(parts.store);
    this.#incarnation = beginIncarnation(parts);
    this.arrivals = new Arrivals(parts.store, parts.prng, parts);
    this.hintMoves = new HintMoves(parts.store);
  }

  get graces(): Graces {
    return this.#records.graces;
  }

  /** How many keys have a record that cannot be read and was not refilled yet. */
  get lostCount(): number {
    return this.#records.lostCount;
  }

  /** What is lost, and what becomes of it. */
  get losses(): Losses {
    return this.#records;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** Goes on under new actors: somebody else has those that it used until now. */
  renew(): void {
    this.#incarnation = beginIncarnation({ store: this.store, prng: this.#prng, isCopy: true });
    this.arrivals.renew();
  }

  /** What the replica can say of the key: its own entry, joined with any hints it keeps of it. */
  hold(key: StoreKey): Held {
    // A reader may read again, a writer will not: what bytes decode to is kept for readers alone.
    const own = this.#records.read(key, null, decodeKept);
    const { entry, isUnknown } = this.#withHints(key, own);
    const bytes = entry === own.entry ? own.bytes : null;
    const isAsStored = bytes !== null && own.isPurged !== true;
    const stored = () => (isAsStored ? this.store.digestOf(key) || undefined : undefined);
    const digest = entry === emptyEntry ? 0 : keptDigestOf(entry, this.#hash, stored);
    return { entry, bytes, isUnknown, digest };
  }

  /** The replica's own record of the key, hints left aside. */
  own(key: StoreKey): Pick<Slot, "entry" | "bytes" | "isUnknown"> {
    return this.#records.read(key, null);
  }

  /** The digest of the replica's own record, hints left aside; null when it cannot be known. */
  ownDigest(key: StoreKey): Digest | null {
    return this.#records.isLost(key) ? null : this.store.digestOf(key);
  }

  /** The digest alone, from the index when no hint is in the way; null when it cannot be known. */
  digest(key: StoreKey): Digest | null {
    if (this.#records.isLost(key) || this.store.hintTargets(key).length === 0)
      return this.ownDigest(key);
    const held = this.hold(key);
    return held.isUnknown ? null : held.digest;
  }

  /**
   * Joins an entry that a peer sent into the record, or into the hint for `hintFor`. A lost record
   * counts as refilled by this, unless it is unsure (lost-keys.ts). A write of the replica's own
   * would not do: it says nothing of what was there before.
   *
   * @returns false when the store takes no writes: nothing was joined
   */
  absorb(key: StoreKey, incoming: Entry, hintFor: ReplicaId | null, now: WallMillis): boolean {
    return this.join(key, incoming, hintFor, now) !== null;
  }

  /** The same; returns what the record, or the hint, holds then; null: nothing was joined. */
  join(key: StoreKey, incoming: Entry, hintFor: ReplicaId | null, now: WallMillis): Joined | null {
    return this.#join(key, incoming, { hintFor, isBrought: true }, now);
  }

  /**
   * The same for an entry as it came. Where it replaces what is held, as most writes do, its own
   * bytes are stored: nothing is encoded anew. They are copied, because they are part of a message.
   *
   * @throws CodecError when the bytes are not an entry
   */
  take(key: StoreKey, bytes: Bytes, hintFor: ReplicaId | null, now: WallMillis): Taken | null {
    const { entry: incoming, tenure } = decodeEntry(bytes);
    const isBare = tenure === null && bytes instanceof Uint8Array;
    const sent = { entry: incoming, bytes: isBare ? bytes : null };
    const mayHaveSeen = this.operations.mayHaveSeen(key, incoming);
    const joined = this.#join(key, incoming, { hintFor, isBrought: true, sent }, now);
    return joined === null ? null : { ...joined, incoming, mayHaveSeen };
  }

  /** The same for what this replica has made of an entry by itself: that refills nothing lost. */
  amend(key: StoreKey, entry: Entry, hintFor: ReplicaId | null, now: WallMillis): Entry {
    return this.#join(key, entry, { hintFor, isBrought: false }, now)?.entry ?? entry;
  }

  #join(
    key: StoreKey,
    incoming: Entry,
    { hintFor, isBrought, sent }: JoinAs,
    now: WallMillis,
  ): Joined | null {
    if (this.store.health() !== "writable") return null;
    for (const sibling of incoming.siblings) {
      this.clock.observe(sibling.time, now);
      this.operations.note(sibling, now);
    }
    const slot = this.#records.read(key, hintFor);
    // The hint may be the only copy of what it holds, and be readable again in a moment.
    if (hintFor !== null && slot.isUnknown) return null;
    const unpurged = this.#records.purges().apply(key, incoming);
    const tenure = outlived(slot, incoming.context) ? null : slot.tenure;
    const joined = withAliases(
      merge(slot.entry, unpurged),
      this.operations,
      () => slot.tenure?.minted,
    );
    const isFound =
      isBrought && hintFor === null && this.#isRefillable(key) && refills(slot, incoming, now);
    // Nothing learnt, nothing stored: least of all a record of nothing, which has a digest, or of
    // what was forgotten here because its time has passed.
    const isNews =
      !sameKnowledge(joined, slot.entry) && !(slot === emptySlot && isSpent(joined, now));
    if (isNews) {
      const held = (): Entry => this.hold(key).entry;
      this.operations.follow(key, { before: slot.entry, incoming, joined, held }, now);
    }
    if (isFound || isNews || this.#records.isMisnamed(key, hintFor, joined))
      this.#records.write(key, hintFor, { entry: withoutEnded(joined, now), tenure }, sent);
    if (isFound) this.#records.find(key);
    return { entry: joined, wasUnknown: slot.isUnknown, wasThere: !isNews };
  }

  #isRefillable(key: StoreKey): boolean {
    return this.#records.isLost(key) && !this.#records.isUnsure(key);
  }

  /** All that is held of the key, after an entry was joined into one of its places. */
  heldWith(key: StoreKey, { entry }: Joined): Entry {
    return this.store.hintTargets(key).length === 0 ? entry : this.hold(key).entry;
  }

  /** What the entry would be after the write, and its bytes; nothing is stored yet. */
  mint(request: MintRequest, now: WallMillis): Minted {
    const { key, hintFor } = request;
    const slot = this.#records.read(key, hintFor);
    const own = hintFor === null ? slot : this.#records.read(key, null);
    const joined = this.#withHints(key, own).entry;
    // A failing disk may give a hint only once: what was read along with the tenure counts.
    const held = hintFor === null ? joined : merge(joined, slot.entry);
    const tenure = this.#tenureFor(slot, request.covers);
    // Whatever is written with knowledge of a purge is later than all that the purge ends.
    const time = this.clock.next(now, this.#records.purges().newest);
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

  /**
   * Stores what was minted. Nobody else can bring what a sole owner lost: the key goes on from
   * here.
   */
  keepMinted(key: StoreKey, hintFor: ReplicaId | null, minted: Minted): void {
    this.operations.followMint(key, minted);
    this.#records.writeBytes(key, hintFor, minted);
    if (hintFor === null && this.#records.isLost(key) && this.#records.placeOf(key).n === 1)
      this.#records.find(key);
  }

  /**
   * Deletes what is held of a key, if it is still what this digest names.
   *
   * @returns the entry with its tombstone, for the other owners; null when nothing was deleted
   */
  evict(key: StoreKey, digest: Digest, now: WallMillis): Uint8Array | null {
    if (this.store.health() !== "writable" || this.digest(key) !== digest) return null;
    const write = { content: null, ttlMs: 0, covers: null, isRetry: false, hintFor: null } as const;
    const minted = this.mint({ key, op: this.newOp(), ...write, isEviction: true }, now);
    this.keepMinted(key, null, minted);
    return wholeOf(minted.sharedBytes);
  }

  /**
   * Rewrites a record, or a hint, without what was purged of it, and without the bodies whose time
   * has passed. A hint with nothing left to tell is forgotten.
   *
   * @returns whether there was anything to rewrite
   */
  sweep(key: StoreKey, hintFor: ReplicaId | null, now: WallMillis): boolean {
    if (this.store.health() !== "writable") return false;
    const { entry, tenure, bytes, isPurged } = this.#records.read(key, hintFor);
    if (bytes === null) return false;
    const isOver = hintFor !== null && isSpent(entry, now);
    const left = withoutEnded(entry, now);
    if (isOver) this.store.dropHint(hintFor, key);
    else if (isPurged === true || left !== entry)
      this.#records.write(key, hintFor, { entry: left, tenure });
    return isOver || isPurged === true || left !== entry;
  }

  /**
   * Whether this replica holds exactly what the digest names, with nothing to serve by this clock,
   * or nothing at all of the key.
   */
  agreesOn(key: StoreKey, digest: Digest, now: WallMillis): boolean {
    if (this.#records.isLost(key) || this.store.hintTargets(key).length > 0) return false;
    const mine = this.store.summary(key);
    if (mine === undefined) return true;
    if (mine.digest !== digest || mine.dueAt === 0) return false;
    if (!mine.holdsValue) return true;
    const { entry, isUnknown } = this.#records.read(key, null);
    return !isUnknown && !entry.siblings.some((sibling) => isLive(sibling, now));
  }

  /** Forgets a key that all members agree on, unless something new was learnt of it. */
  collect(key: StoreKey, digest: Digest, now: WallMillis): boolean {
    const own = this.agreesOn(key, digest, now) ? this.#records.read(key, null) : emptySlot;
    if (own.bytes === null) return false;
    this.arrivals.collecting(key, own.entry, now);
    this.#records.drop(key);
    return true;
  }

  /**
   * Forgets a key whose entry guards nothing, and whose time has passed: nobody is asked. It need
   * not be readable, unless somebody may have a later one.
   *
   * @returns false when it does guard something, or has time left
   */
  release(key: StoreKey, now: WallMillis): boolean {
    const { dueAt: due = 0 } = this.store.summary(key) ?? {};
    if (!isLoose(due) || Math.floor(due) > now || this.#isOutdated(key)) return false;
    this.arrivals.releasing(key, Math.floor(due));
    this.#records.drop(key);
    return true;
  }

  /** Enough other owners were compared with: what was lost and was not brought, nobody has. */
  compared(): void {
    this.#isCompared = true;
  }

  /** Whether its newest record was found damaged, and somebody may yet bring it. */
  #isOutdated(key: StoreKey): boolean {
    if (this.#records.isUnsure(key)) return true;
    const { lostKeys } = this.store.recovery;
    return !this.#isCompared && this.#records.isLost(key) && lostKeys.includes(key);
  }

  /**
   * A body was given up by a clock that was ahead: it is to be fetched from the others again, as
   * long as it has time left. All of them may have given it up.
   */
  mistrust(key: StoreKey, now: WallMillis): void {
    const { entry, isUnknown } = this.#records.read(key, null);
    if (isUnknown || !gaveUpEarly(entry, now)) return;
    this.#records.loseUntil(key, missedUntil(entry));
  }

  /** To be called in every step, before anything else. */
  advance(now: Now): void {
    this.operations.advance(now.monotonic);
    this.#records.advance(now);
  }

  /** Whether the stored record can be read; one that cannot counts as lost from now on. */
  check(key: StoreKey): boolean {
    return this.#records.check(key);
  }

  /** Keys of a namespace in UTF-8 order, whatever their state; both ends are store keys. */
  keysAfter(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    return this.#records.keysAfter(prefix, after, countMax);
  }

  /** Keys with digests in these leaves of a partition, of namespaces with this N. */
  keysIn(tree: TreeOfKeys, leaves: ReadonlySet<number>): readonly (readonly [StoreKey, Digest])[] {
    return this.#records.keysIn(tree, leaves);
  }

  /**
   * Forgets some of what is held of a tree: its owners have it, and this replica is none of them.
   *
   * @returns how many keys were forgotten: fewer than `countMax` when nothing is left
   */
  forget(tree: TreeOfKeys, countMax: number): number {
    return this.#records.dropSome(tree, countMax);
  }

  /** Forgets all that is held, hints too: it is from a time when this was no member. */
  wipe(): void {
    this.#records.wipe();
    this.arrivals.renew();
  }

  /** The keys of a partition, with what the trees have of each. */
  shownIn(partition: number): Iterable<readonly [StoreKey, Digest]> {
    return this.#records.shownIn(partition);
  }

  /** Tells of everything that is held, for trees that do not survive a restart. */
  recount(): void {
    this.#records.recount();
  }

  #withHints(key: StoreKey, own: Slot): Pick<Slot, "entry" | "isUnknown"> {
    let { entry, isUnknown } = own;
    for (const target of this.store.hintTargets(key)) {
      const hint = this.#records.read(key, target);
      entry = merge(entry, hint.entry);
      isUnknown ||= hint.isUnknown;
    }
    return { entry, isUnknown };
  }
}
