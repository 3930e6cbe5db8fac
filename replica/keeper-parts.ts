/** What a keeper is made of, and what it says of a key. */
import type { Entry } from "../core/entry.ts";
import type { Graces } from "../core/expiry.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import type { Bytes } from "../core/pieces.ts";
import type { Prng } from "../core/prng.ts";
import type { PurgeIndex } from "../core/purges.ts";
import type { Digest, Store, StoreKey } from "../core/store.ts";

export interface KeeperParts {
  readonly store: Store;
  readonly hash: KeyedHash;
  readonly prng: Prng;
  /**
   * Where a key belongs, by the current ring and the settings of its namespace. The partition may
   * be given where it is known, as hashing the key is most of the work.
   */
  readonly placeOf: (key: StoreKey, partition?: number) => Place;
  readonly partitionCount: () => number;
  /** How long what is dead is left alone; absent: not at all. */
  readonly graces?: Graces;
  /** What was purged, as far as this node knows: everything is seen, and joined, through it. */
  readonly purges?: () => PurgeIndex;
  /** Told of every change of what the replica holds as an owner; 0 stands for nothing. */
  readonly onChange: (place: Place, change: { from: Digest; to: Digest }) => void;
  /** Told of every record that was written as an owner's, or dropped. */
  readonly onRecord?: (key: StoreKey, holdsValue: boolean) => void;
  /** Told of every record that was found unreadable, before anything is stored in its place. */
  readonly onDamage?: (key: StoreKey) => void;
  /** The store is a copy: its original may have minted more since, and may go on. */
  readonly isCopy?: boolean;
}

export interface Place {
  readonly partition: number;
  /** How many primaries the key has. */
  readonly n: number;
  /** The leaf of its Merkle tree. */
  readonly leaf: number;
}

export interface Held {
  readonly entry: Entry;
  readonly digest: Digest;
  /** The record as stored, when it is the replica's own and nothing was joined to it. */
  readonly bytes: Bytes | null;
  /** Something was here and cannot be read: neither "nothing" nor a value may be claimed. */
  readonly isUnknown: boolean;
}
