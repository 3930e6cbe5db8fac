/**
 * The record store of one replica, as the deterministic floors see it.
 *
 * Everything here is synchronous: a write is visible to the next read at once, and what finishes
 * later is durability alone. The node asks for that with a `flush` effect and hears of it as a
 * `flushed` input; only then may an acknowledgement that promises durability leave (the discipline
 * of etcd-io/raft's `AsyncStorageWrites`).
 *
 * Three spaces share one log:
 * - entries: what this replica holds as one of a key's owners, one record a key;
 * - hints: copies kept for another replica that could not be reached, one record a (target, key);
 * - meta: a few small documents of the replica itself (its incarnation, the cluster document).
 */
import type { ReplicaId } from "./ids.ts";
import type { Bytes } from "./pieces.ts";
import type { DueAt, WallMillis } from "./time.ts";

/** `namespace 0x00 key`, both in Unicode; never empty, well-formed UTF-16. See `core/keys.ts`. */
export type StoreKey = string & { readonly flavour?: "key" };

/**
 * A keyed digest of an entry's versions: a safe integer of 53 bits. Equal digests mean equal
 * knowledge of the key. Never 0 for an entry that exists.
 */
export type Digest = number & { readonly flavour?: "digest" };

export interface EntryRecord {
  /** The encoded entry: owned by the store from now on, the caller does not touch it again. */
  readonly bytes: Bytes;
  /** The partition that the key hashes to. */
  readonly partition: number;
  readonly digest: Digest;
  /** When expiry or collection should next look at the entry. */
  readonly dueAt: DueAt;
}

/** What a namespace's values take up, live or expired: tombstones are left out. */
export interface Usage {
  readonly keyCount: number;
  /** Of the records, and of the keys: a byte for each of their UTF-16 units. */
  readonly byteCount: number;
}

/** All entries, and the bytes of their records. */
export interface StoreStats extends Usage {
  /** Of these, the entries without a body: tombstones, and what is left of expired values. */
  readonly deadKeyCount: number;
  readonly deadByteCount: number;
}

/** What the index knows of an entry without reading it. */
export interface EntrySummary {
  readonly key: StoreKey;
  readonly partition: number;
  readonly digest: Digest;
  /** Length of the stored record's `bytes`. */
  readonly byteCount: number;
  /** As it was written, or as it was put off since. */
  readonly dueAt: DueAt;
  /** Whether there is the body of a value in it, live or expired. */
  readonly holdsValue: boolean;
  /** See `Arrival`. */
  readonly position: number;
}

/**
 * A place in the order in which entries of this store last changed. Every write of an entry takes
 * a number above all before it, whoever wrote it; a key has one position, its latest, and a dropped
 * key none. Numbers have gaps, outlive a restart, and one that was on stable storage is never given
 * out again.
 */
export interface Arrival {
  readonly key: StoreKey;
  readonly partition: number;
  readonly position: number;
}

/** Where a hint stands in the same order; it has one position too, that of its last write. */
export interface HintArrival {
  readonly target: string;
  readonly key: StoreKey;
  readonly position: number;
}

/** The order of hints, in one sequence of positions with that of entries. */
export interface HintOrder {
  /** The position of the last write of a hint that is known; 0 for none. */
  readonly last: number;
  /** Hints that were last written after a position, in order, from the index alone. */
  after(position: number, countMax: number): readonly HintArrival[];
  /** 0 when there is no such hint. */
  positionOf(target: string, key: StoreKey): number;
  /** How many could not be read, and were forgotten, since the store was opened. */
  readonly lostCount: number;
}

/** What opening the store found; the replica decides its incarnation by it. */
export interface Recovery {
  /** The last run said goodbye and everything it had acknowledged was found. */
  readonly clean: boolean;
  /** Bytes of a torn tail that were cut. */
  readonly tornByteCount: number;
  /** Records set aside because their checksum did not hold. */
  readonly corruptCount: number;
  /**
   * Keys whose newest record is among those set aside, as far as they could be told. Reading one
   * gives an older record, if there is any: no answer before it was joined with what a peer has.
   */
  readonly lostKeys: readonly StoreKey[];
  /** The store may be what it was some time ago: positions may be given out a second time. */
  readonly wentBack?: boolean;
}

export type StoreHealth =
  /** Writes are taken. */
  | "writable"
  /** The disk is full: writes are refused until there is room again; reads go on. */
  | "full"
  /** A write or a sync failed: no more writes until the process restarts; reads go on. */
  | "failed";

/** A record whose checksum does not hold. It is never served: the caller treats it as unknown. */
export class StoreCorruption extends Error {
  override readonly name = "StoreCorruption";
}

/** The hint, if it can be read now: one that the disk does not give back stays for another time. */
export function hintIfReadable(
  store: Pick<Store, "readHint">,
  target: string,
  key: StoreKey,
): Uint8Array | undefined {
  try {
    return store.readHint(target, key);
  } catch (error) {
    if (error instanceof StoreCorruption) return undefined;
    throw error;
  }
}

export interface Store {
  readonly recovery: Recovery;
  /**
   * False until this run has left its mark on stable storage: a crash before looks, at the next
   * start, like the clean stop before this run. Absent where every write is durable at once.
   */
  readonly hasBegun?: boolean;
  health(): StoreHealth;
  /** Bytes that were written and wait for the disk, in memory. Absent where none ever do. */
  readonly stagedByteCount?: number;

  /** The newest record's bytes (do not modify). @throws StoreCorruption */
  readEntry(key: StoreKey): Bytes | undefined;
  /**
   * Whether the newest record of a key, or the hint for that target, can still be read from where
   * it is stored, whatever is in memory of it. Absent where the platform checks its own storage.
   */
  isSound?(key: StoreKey, hintFor?: ReplicaId): boolean;
  /** Of the newest record, from the index alone; 0 when there is none. */
  digestOf(key: StoreKey): Digest;
  /** How long that record is, from the index alone; 0 when there is none. */
  byteCountOf(key: StoreKey): number;
  /** From the index, without touching the value. */
  summary(key: StoreKey): EntrySummary | undefined;
  /**
   * Replaces the key's record. Only called while `health()` is "writable". The bytes are the
   * store's from now on, as those of a hint are, and not changed any more.
   */
  writeEntry(key: StoreKey, record: EntryRecord): void;
  /** Forgets the key altogether. Only collection and the clean-up after a transfer may. */
  dropEntry(key: StoreKey): void;
  /** Every entry of a partition, in no particular order; may be iterated while writing. */
  entriesOf(partition: number): Iterable<EntrySummary>;
  /** Keys whose `dueAt` is at or before that time, earliest first. */
  due(before: WallMillis, countMax: number): readonly StoreKey[];
  /**
   * Nothing is due before that time; Infinity when nothing ever is. It is exactly when something is
   * due first, where the store knows the new times of entries that were put off (a Durable Object
   * does not).
   */
  earliestDue(): WallMillis;
  /**
   * No entry's position is above this one. Like all that is read here it may be in memory alone:
   * whoever gives a position out waits until what was written up to it is durable.
   */
  readonly arrivedThrough: number;
  /**
   * The entries whose last change came after a position, in order: from the index alone. As many as
   * `countMax` unless there are fewer; of those at one position all are listed, or none.
   */
  arrivals(after: number, countMax: number): readonly Arrival[];
  /** The position of the entry that changed last, as far as is known; 0 for none. */
  readonly lastArrival: number;
  /** Absent where nobody follows what arrives here: in a Durable Object, which sleeps. */
  readonly hintOrder?: HintOrder;
  /** Puts off when the entry is due, until it is written again or the store is opened anew. */
  postpone(key: StoreKey, until: WallMillis): void;

  /**
   * Keys that start with the prefix and come after the given one, in the order of their UTF-8
   * bytes. Only of stores that keep their keys in order; the others are put in order from outside.
   */
  keysAfter?(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[];

  /** @throws StoreCorruption when it is there, and the disk does not give it back just now */
  readHint(target: string, key: StoreKey): Uint8Array | undefined;
  writeHint(target: string, key: StoreKey, bytes: Uint8Array): void;
  dropHint(target: string, key: StoreKey): void;
  /** The targets with hints, and how many hints each has. */
  hintCounts(): ReadonlyMap<ReplicaId, number>;
  /** Up to `countMax` keys hinted for a target, oldest first. */
  hintedKeys(target: ReplicaId, countMax: number): readonly StoreKey[];
  /** The targets that hold a hint of this key. */
  hintTargets(key: StoreKey): readonly ReplicaId[];

  readMeta(name: string): Uint8Array | undefined;
  /**
   * What a node knows of the cluster and of itself does not wait for a disk: on a full one it stays
   * in memory until there is room, in its place before all that is written later. On a failed one
   * nothing is kept.
   */
  writeMeta(name: string, bytes: Uint8Array): void;

  /** What is stored, and how much of it is dead. */
  stats(): StoreStats;
  /** By namespace, for those that have any values; kept up to date, and over a restart. */
  usage(): ReadonlyMap<string, Usage>;
}
