/**
 * A replica's records, as its keeper reads and writes them: with purges applied, and with an
 * account of which records are lost. All that depends on a change hears of it here: the trees, the
 * listings in order, the counts of values.
 *
 * A record is lost when it cannot be read, or when its body was given up too early, until somebody
 * has brought it anew (lost-keys.ts). The trees show nothing of what is lost, so that an exchange
 * brings it.
 */
import { assert } from "../core/assert.ts";
import { digestOf, type Entry, emptyEntry, isOvertaken } from "../core/entry.ts";
import {
  type DecodedEntry,
  decodeEntry,
  encodeEntryToKeep,
  encodesAlike,
  type Tenure,
  withTenure,
} from "../core/entry-codec.ts";
import { dueAt, type Graces, holdsValue, NO_GRACES } from "../core/expiry.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import { type Bytes, isAlone, LONG_BYTES, wholeOf } from "../core/pieces.ts";
import { noPurges, PurgeIndex } from "../core/purges.ts";
import { type Digest, type Store, StoreCorruption, type StoreKey } from "../core/store.ts";
import type { Now, WallMillis } from "../core/time.ts";
import { EarlyEnds } from "./early-ends.ts";
import type { KeeperParts, Place } from "./keeper-parts.ts";
import { KeyOrders } from "./key-orders.ts";
import { LastWritten } from "./last-written.ts";
import { countsByTree, type TreeOfKeys } from "./lost-counts.ts";
import { LostKeys } from "./lost-keys.ts";
import { emptySlot, type Slot } from "./slot.ts";

/** An entry that came, and the bytes that it came as; null where a tenure is among them. */
export interface Sent {
  readonly entry: Entry;
  readonly bytes: Uint8Array | null;
}

/**
 * A record of its own, of an encoded entry without a tenure. A long one that came in a message by
 * itself is kept as it lies there: nobody changes a message.
 */
function stored(bare: Uint8Array, tenure: Tenure | null): Bytes {
  const isShort = bare.length < LONG_BYTES;
  if (tenure !== null && isShort) return withTenure(bare, tenure);
  const own = !isShort && isAlone(bare) ? bare : new Uint8Array(bare);
  return tenure === null ? own : withTenure(own, tenure);
}

/** The part of a replica's records that is about what is lost. */
export type Losses = Pick<
  Records,
  "isUnsure" | "unsureCount" | "settle" | "hasLost" | "lostCounts" | "settleLost"
>;

const nothingPurged = new PurgeIndex(noPurges);

export class Records {
  readonly store: Store;
  readonly graces: Graces;
  /** What was purged, as far as this node knows just now. */
  readonly purges: () => PurgeIndex;
  readonly placeOf: KeeperParts["placeOf"];
  readonly #hash: KeyedHash;
  readonly #partitionCount: () => number;
  readonly #orders: KeyOrders;
  readonly #onChange: KeeperParts["onChange"];
  readonly #onRecord: NonNullable<KeeperParts["onRecord"]>;
  readonly #onDamage: (key: StoreKey) => void;
  readonly #lastWritten = new LastWritten();
  /** Keys whose record was lost to corruption and has not been refilled yet. */
  readonly #lost: LostKeys;
  /** Those of them that can be read, but lack a body that has time left. */
  readonly #early = new EarlyEnds();

  /** @param onDamage told of a record that turned out to be damaged, which was not known */
  constructor(parts: KeeperParts, onDamage: (key: StoreKey) => void) {
    this.store = parts.store;
    this.graces = parts.graces ?? NO_GRACES;
    this.purges = parts.purges ?? (() => nothingPurged);
    this.placeOf = parts.placeOf;
    this.#hash = parts.hash;
    this.#partitionCount = parts.partitionCount;
    this.#orders = new KeyOrders(parts.store, parts.partitionCount);
    this.#onChange = parts.onChange;
    this.#onRecord = parts.onRecord ?? (() => {});
    this.#onDamage = onDamage;
    this.#lost = new LostKeys(parts.store.recovery.lostKeys);
  }

  // One record.

  readonly #decode = (bytes: Bytes): DecodedEntry =>
    this.#lastWritten.get(bytes) ?? decodeEntry(bytes);

  /** What stands in the key's own place, or in the hint for a member (null: its own place). */
  read(key: StoreKey, hintFor: ReplicaId | null, decodeBytes = this.#decode): Slot {
    assert(hintFor !== "", "a hint is for a member");
    try {
      const bytes =
        hintFor === null ? this.store.readEntry(key) : this.store.readHint(hintFor, key);
      const isUnknown = hintFor === null && this.#lost.has(key);
      if (bytes === undefined) return isUnknown ? { ...emptySlot, isUnknown } : emptySlot;
      const { entry, tenure } = decodeBytes(bytes);
      const seen = this.purges().apply(key, entry);
      if (seen === entry) return { entry, tenure, bytes, isUnknown };
      const rewritten = encodeEntryToKeep(seen, tenure);
      return { entry: seen, tenure, bytes: rewritten, isUnknown, isPurged: true };
    } catch (error) {
      if (!(error instanceof StoreCorruption)) throw error;
      if (hintFor === null) this.#damaged(key);
      return { ...emptySlot, isUnknown: true };
    }
  }

  /**
   * Whether the index has a digest for what is stored that is not the entry's: a version of the
   * program took overtaken versions for expired ones. No other replica would agree with it.
   */
  isMisnamed(key: StoreKey, hintFor: ReplicaId | null, entry: Entry): boolean {
    if (hintFor !== null || !entry.siblings.some(isOvertaken)) return false;
    const known = this.store.digestOf(key);
    return known !== 0 && known !== digestOf(entry, this.#hash);
  }

  /** @param sent an entry that came and may be this very one, which is then not encoded anew */
  write(
    key: StoreKey,
    hintFor: ReplicaId | null,
    { entry, tenure }: DecodedEntry,
    sent?: Sent,
  ): void {
    const came = sent !== undefined && encodesAlike(sent.entry, entry) ? sent.bytes : null;
    const bytes = came === null ? encodeEntryToKeep(entry, tenure) : stored(came, tenure);
    this.writeBytes(key, hintFor, { entry, tenure, bytes });
  }

  /** The same, where the bytes are there already. */
  writeBytes(
    key: StoreKey,
    hintFor: ReplicaId | null,
    { entry, tenure, bytes }: DecodedEntry & { readonly bytes: Bytes },
  ): void {
    assert(hintFor !== "", "a hint is for a member");
    this.#lastWritten.put(bytes, { entry, tenure });
    if (hintFor !== null) return this.store.writeHint(hintFor, key, wholeOf(bytes));
    const from = this.store.digestOf(key);
    if (from === 0) this.#orders.add(key);
    const place = this.placeOf(key);
    const digest = entry === emptyEntry ? 0 : digestOf(entry, this.#hash);
    const { partition } = place;
    const due = dueAt(entry, this.graces);
    this.store.writeEntry(key, { bytes, partition, digest, dueAt: due });
    this.#lost.rewritten(key);
    if (!this.#lost.has(key)) this.#onChange(place, { from, to: digest });
    this.#onRecord(key, holdsValue(due));
  }

  drop(key: StoreKey, place: Place = this.placeOf(key)): void {
    const from = this.#shown(key);
    this.store.dropEntry(key);
    this.#lost.delete(key);
    this.#early.drop(key);
    this.#orders.drop(key);
    this.#onChange(place, { from, to: 0 });
    this.#onRecord(key, false);
  }

  // What is lost.

  get lostCount(): number {
    return this.#lost.size;
  }

  isLost(key: StoreKey): boolean {
    return this.#lost.has(key);
  }

  hasLost(isSuch: (key: StoreKey) => boolean): boolean {
    for (const key of this.#lost.keys()) if (isSuch(key)) return true;
    return false;
  }

  /** By tree, how many are lost. */
  lostCounts(): (tree: TreeOfKeys) => number {
    return countsByTree(this.#lost.keys(), this.placeOf);
  }

  /** Whether its record rotted, and too few other owners were asked what they have of it. */
  isUnsure(key: StoreKey): boolean {
    return this.#lost.isUnsure(key);
  }

  /** How many keys that is so for. */
  get unsureCount(): number {
    return this.#lost.unsureCount;
  }

  #damaged(key: StoreKey): void {
    const from = this.#shown(key);
    if (!this.#lost.addDamaged(key, this.placeOf(key).n > 1)) return;
    this.#early.drop(key);
    if (from !== 0) this.#onChange(this.placeOf(key), { from, to: 0 });
    this.#onDamage(key);
  }

  /**
   * Enough other owners were asked, or all of them: what they brought makes up for the record. If
   * they had nothing, whatever is brought from now on does.
   */
  settle(key: StoreKey): void {
    this.#lost.settle(key);
    if (this.#lost.has(key) && this.read(key, null).bytes !== null) this.find(key);
  }

  /** It is without its body: lost, and found again at the latest when its time is over. */
  loseUntil(key: StoreKey, endsAt: WallMillis): void {
    const from = this.#shown(key);
    this.#lost.addWithoutBody(key);
    if (from !== 0) this.#onChange(this.placeOf(key), { from, to: 0 });
    this.#early.add(key, endsAt);
  }

  /** Somebody has brought it, or it can be read after all. */
  find(key: StoreKey): void {
    this.#early.drop(key);
    if (!this.#lost.delete(key)) return;
    this.#onChange(this.placeOf(key), { from: 0, to: this.#shown(key) });
  }

  /** To be called in every step. */
  advance(now: Now): void {
    for (const key of this.#early.over(now)) if (this.check(key)) this.find(key);
  }

  /** Whether the stored record can be read; one that cannot counts as lost from now on. */
  check(key: StoreKey): boolean {
    if (this.store.isSound?.(key) !== false) return true;
    this.#damaged(key);
    return false;
  }

  /**
   * Looks at what was lost and nobody will bring: where this replica is no owner, or where the
   * others have been asked. What can be read after all is there again, and goes to the owners. The
   * rest is forgotten.
   *
   * @param mayCome whether somebody may yet bring it
   * @returns whether anything was forgotten
   */
  settleLost(mayCome: (place: Place, key: StoreKey) => boolean): boolean {
    let hasDropped = false;
    for (const key of [...this.#lost.keys()]) {
      const place = this.placeOf(key);
      if (mayCome(place, key)) continue;
      const isBack = this.read(key, null).bytes !== null;
      if (isBack) this.find(key);
      else this.drop(key, place);
      hasDropped ||= !isBack;
    }
    return hasDropped;
  }

  // Many at once.

  /** Keys of a namespace in UTF-8 order, whatever their state; both ends are store keys. */
  keysAfter(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    return this.#orders.page(prefix, after, countMax);
  }

  /** Keys with digests in these leaves of a tree, without those that are lost. */
  keysIn(tree: TreeOfKeys, leaves: ReadonlySet<number>): readonly (readonly [StoreKey, Digest])[] {
    const out: (readonly [StoreKey, Digest])[] = [];
    for (const { key, digest } of this.store.entriesOf(tree.partition)) {
      const place = this.placeOf(key);
      if (place.n !== tree.n || !leaves.has(place.leaf) || this.#lost.has(key)) continue;
      out.push([key, digest]);
    }
    return out;
  }

  /** The keys of a partition, with what the trees have of each. */
  *shownIn(partition: number): Iterable<readonly [StoreKey, Digest]> {
    for (const { key, digest } of this.store.entriesOf(partition)) {
      yield [key, this.#shown(key, digest)];
    }
  }

  /** @returns how many were dropped: fewer than `countMax` when nothing is left in the tree */
  dropSome(tree: TreeOfKeys, countMax: number): number {
    let count = 0;
    for (const { key } of this.store.entriesOf(tree.partition)) {
      const place = this.placeOf(key);
      if (place.n !== tree.n) continue;
      if (count === countMax) break;
      this.drop(key, place);
      count++;
    }
    return count;
  }

  /** Drops everything, hints too. */
  wipe(): void {
    for (let partition = 0; partition < this.#partitionCount(); partition++) {
      for (const { key } of this.store.entriesOf(partition)) this.drop(key);
    }
    for (const [target, count] of this.store.hintCounts()) {
      for (const key of this.store.hintedKeys(target, count)) this.store.dropHint(target, key);
    }
    this.#lost.clear();
  }

  /** Tells of everything that is held, for trees that do not survive a restart. */
  recount(): void {
    for (let partition = 0; partition < this.#partitionCount(); partition++) {
      for (const { key, digest } of this.store.entriesOf(partition)) {
        const to = this.#shown(key, digest);
        this.#onChange(this.placeOf(key, partition), { from: 0, to });
      }
    }
  }

  #shown(key: StoreKey, digest = this.store.digestOf(key)): Digest {
    return this.#lost.has(key) ? 0 : digest;
  }
}
