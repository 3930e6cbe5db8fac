/** What callers of the client hand in, and are handed back. */
import type { ConsistencyOptions } from "./consistency.ts";
import type { Quorum } from "./got.ts";
import type { Version } from "./version.ts";

export interface CallOptions extends ConsistencyOptions {
  readonly signal?: AbortSignal;
  /** Instead of the one that a session remembers; null: none. */
  readonly context?: string | null;
}

export interface GetOptions extends CallOptions {
  /** An ETag: the value is sent only when its version is a different one. */
  readonly ifNoneMatch?: string;
}

export interface WriteOptions extends CallOptions {
  /** An ETag, or `*`: only over that version. Best effort under concurrent writers. */
  readonly ifMatch?: string;
  /** `*`: only where nothing is. Best effort under concurrent writers. */
  readonly ifNoneMatch?: string;
  /** Writing it twice is as good as once: it is sent again even when its outcome is in doubt. */
  readonly repeatable?: boolean;
}

/** What is stored with a value. */
export interface Stored {
  /** Seconds until it expires, 0.001 to 315360000, to the millisecond. */
  readonly ttl?: number;
  /** Any JSON value, at most 1,024 bytes. */
  readonly metadata?: unknown;
  readonly contentType?: string;
  /** How the given value is coded: "gzip", say. Its readers get it decoded. */
  readonly contentEncoding?: string;
  /** Names to purge by, at most 32. */
  readonly tags?: readonly string[];
}

export interface PutOptions extends WriteOptions, Stored {}

export interface Written {
  /** It was not there before. */
  readonly created: boolean;
  readonly etag: string | null;
  readonly context: string;
  /** More than one: somebody else's concurrent version stands beside it. */
  readonly siblings: number;
  readonly quorum: Quorum;
}

/** All siblings of a key, the newest first. */
export interface Siblings {
  readonly versions: readonly Version[];
  /** Names all of them: a write with it replaces them. */
  readonly context: string;
  /** Of them all; null when nothing is there. */
  readonly etag: string | null;
  readonly quorum: Quorum;
}

export interface ListOptions extends ConsistencyOptions {
  readonly prefix?: string;
  /** Keys per request, 1 to 1000. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export interface ListedKey {
  readonly name: string;
  readonly expiresAt: Date | null;
  readonly metadata: unknown;
}

export type PurgeTarget =
  | { readonly tags: readonly string[] }
  | { readonly prefix: string }
  | { readonly everything: true };

export interface Purged {
  /** What was written up to then is not served any more. */
  readonly until: Date;
  /**
   * How many replicas have it on stable storage, of how many; the others learn of it before they
   * serve.
   */
  readonly learnt: number;
  readonly of: number;
}

export interface BatchOptions extends ConsistencyOptions {
  readonly signal?: AbortSignal;
  /** To carry it out twice is as good as once. */
  readonly repeatable?: boolean;
}
