/** `starling-cache/client`: the client library. Nothing but Web standards: see docs/client.md. */
export type { BatchOp, BatchResult } from "./batch.ts";
export type {
  BatchOptions,
  CallOptions,
  GetOptions,
  ListedKey,
  ListOptions,
  Purged,
  PurgeTarget,
  PutOptions,
  Siblings,
  WriteOptions,
  Written,
} from "./call-types.ts";
export {
  type ChangesOptions,
  changesIn,
  type FeedChange,
  type FeedMark,
  type KeyChange,
  type PurgeChange,
} from "./changes.ts";
export { type ClientOptions, Session, type SessionOptions, StarlingClient } from "./client.ts";
export type { ConsistencyOptions, QuorumValue } from "./consistency.ts";
export { type Outcome, StarlingError } from "./error.ts";
export type { Found, Got, Headed, Missing, Quorum, Revalidated, Unchanged } from "./got.ts";
export type { Body, Fetch } from "./transport.ts";
export type { Change, Decide, UpdateOptions } from "./update.ts";
export type { Version } from "./version.ts";
