/** What a replica is asked to mint, and what comes of it. */
import type { CausalContext } from "../core/causal-context.ts";
import type { Content, Entry, Sibling } from "../core/entry.ts";
import type { Tenure } from "../core/entry-codec.ts";
import type { OpId, ReplicaId } from "../core/ids.ts";
import { TIMEOUT_MS_MAX } from "../core/limits.ts";
import type { StoreKey } from "../core/store.ts";
import { type Hlc, hlcFromMillis } from "../core/time.ts";

/**
 * How long, and how many, of its own mintings a replica remembers with the key: a frontend gives up
 * after a minute at most, and ten times that leaves room for what was on its way.
 */
const MINTED_TIME_MAX = hlcFromMillis(10 * TIMEOUT_MS_MAX);
const MINTED_COUNT_MAX = 32;

/** Which of them are kept beside one of this time. */
export const mintedBounds = (time: Hlc) =>
  ({ before: time - MINTED_TIME_MAX, countMax: MINTED_COUNT_MAX }) as const;

export interface MintRequest {
  readonly key: StoreKey;
  readonly op: OpId;
  readonly content: Content | null;
  readonly ttlMs: number;
  /** What it replaces; null for all that is held. */
  readonly covers: CausalContext | null;
  readonly isRetry: boolean;
  /** It makes room: what is left of the key is dead at once. */
  readonly isEviction?: boolean;
  /** The primary that the coordinator stands in for; empty when it is one itself. */
  readonly hintFor: ReplicaId | "";
}

/** A write that is held here, and has to be brought to its other owners. */
export interface HeldWrite {
  /** What was held before. */
  readonly before: Entry;
  readonly entry: Entry;
  readonly sibling: Sibling;
  /** As the other owners get it: without the tenure, which is nothing to them. */
  readonly sharedBytes: Uint8Array;
}

export interface Minted extends HeldWrite {
  readonly tenure: Tenure;
  /** As the record is to be stored. */
  readonly bytes: Uint8Array;
}
