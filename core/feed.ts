/**
 * The change feed between its ends: what a subscriber's token says, what one look for changes asks
 * for, and what it finds. There is no log of all changes. Each replica knows the order in which its
 * own entries last changed; a feed reads one replica for each partition, its **source**, and a
 * token says how far it has come at each of them, and what follows from that for the others.
 */
import type { ReplicaId } from "./ids.ts";
import { utf8Length } from "./keys.ts";
import type { StoreKey } from "./store.ts";
import type { Hlc, WallMillis } from "./time.ts";
import type { ToldEntry } from "./told-entry.ts";

/** How far a feed has come at one replica. */
export interface SourcePosition {
  readonly id: ReplicaId;
  /** Names the replica's order, a number of 32 bits; 0 while it has not answered yet. */
  readonly run: number;
  /** Everything that arrived there up to this position was told. */
  readonly after: number;
  /**
   * How many of the keys that it forgot by itself, because their time was over, were told. null:
   * none yet. The feed is about to begin anew there, or the source has taken another one's place;
   * then what ended since `dueThrough` is to be told.
   */
  readonly ended: number | null;
  /** Up to here only what lives is told: the feed began anew there; 0 when it is past that. */
  readonly until: number;
  /** It began anew in the midst of a feed, whose reader is told so. */
  readonly isResync: boolean;
}

/** A place in one member's order; what it stands for depends on whose it is. */
export interface MemberPlace {
  readonly id: ReplicaId;
  /** The name of its order. */
  readonly run: number;
  readonly through: number;
}

/** How far a feed has come; the laws of it are in src/node/operations/feed-places.ts. */
export interface FeedPosition {
  /** Names the layout of owners by which partitions were given to sources. */
  readonly layout: number;
  /** Purges up to this time were told. */
  readonly purgedThrough: Hlc;
  /** A partition's source is the first of these that is one of its owners. */
  readonly sources: readonly SourcePosition[];
  /** By member, up to which place all that arrived there was told, whoever told it. */
  readonly proven: readonly MemberPlace[];
  /**
   * Sources that the feed has left. One stays listed until all that tell in its place are known to
   * hold what it told: nothing of that stands beyond `through`, where that is above 0.
   */
  readonly left: readonly MemberPlace[];
  /** Of the keys that replicas forget by themselves, those that ended by this time were told. */
  readonly dueThrough: WallMillis;
}

/** One look for changes. */
export interface ChangesOperation {
  readonly kind: "changes";
  readonly namespace: string;
  readonly prefix: string;
  readonly from: FeedPosition | "now" | "beginning";
  /** Whether the values are wanted too. */
  readonly values: boolean;
  /** Changes at most, and what they come to by `changeBytes`; one alone may be longer. */
  readonly limit: number;
  readonly byteCountMax: number;
  /** How long it waits for news where there is none, in ms; 0: not at all. */
  readonly holdMs: number;
  /** Names the subscriber, so that a source lets go of what it asked before. */
  readonly feed: string;
}

/**
 * What a change says beside its key and entry, counted as entries are: three quarters of what it
 * takes up as JSON.
 */
const WORDS_BYTES = 160;

/** How much of `byteCountMax` a change takes up. @param entry null: it was forgotten */
export const changeBytes = (key: StoreKey, entry: ToldEntry | null): number =>
  utf8Length(key) + (entry?.byteCount ?? 0) + WORDS_BYTES;

export interface KeyChange {
  readonly what: "key";
  readonly key: StoreKey;
  readonly partition: number;
  readonly run: number;
  /** null where the key was forgotten because its time was over. */
  readonly entry: ToldEntry | null;
}

/** `switch`: from here on another replica tells of these partitions. */
export interface FeedMark {
  readonly what: "switch" | "resync" | "resync-end";
  readonly run: number;
  readonly partitions: readonly number[];
}

/** What was purged of the namespace, in the words of a purge. */
export interface PurgeChange {
  readonly what: "purge";
  readonly rule: Readonly<Record<string, unknown>>;
  readonly until: Hlc;
}

export type FeedChange = KeyChange | FeedMark | PurgeChange;

export interface ChangesResult {
  readonly kind: "changes";
  readonly changes: readonly FeedChange[];
  readonly position: FeedPosition;
  /** Every source was asked and has told all that it had. */
  readonly isCaughtUp: boolean;
  /** Its reader must have the position before it is told anything beyond it. */
  readonly isStep?: boolean;
}
