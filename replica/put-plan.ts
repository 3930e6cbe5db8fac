/** What a write is to come to, who is asked for that, and what it does beside asking. */
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Bytes } from "../core/pieces.ts";
import type { Digest, StoreKey } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { Millis } from "../core/time.ts";
import type { Found } from "./beside.ts";
import type { Candidate } from "./candidate.ts";
import type { Outbox } from "./coordination.ts";
import type { QuorumNeed } from "./quorum.ts";

/** Shorter than a stopping node waits for such answers, in ms. */
const OWN_HINT_MS = 500;
/** What a busy peer takes in, and has on its disk, in a millisecond at least. */
const PEER_BYTES_PER_MS = 4096;

/**
 * How long a primary may be silent before its hint is kept where the write is anyway, in ms. A
 * long entry takes its time: to keep it once more for each of the others would be three times the
 * load, at the very moment at which all are slow from load.
 */
export const ownHintMs = (entryByteCount: number): Millis =>
  OWN_HINT_MS + Math.floor(entryByteCount / PEER_BYTES_PER_MS);

export interface PutPlan {
  readonly key: StoreKey;
  /** The encoded entry that the coordinator stored. */
  readonly entry: Bytes;
  /**
   * The part of it that the write has brought about, for replicas that have the rest, and the
   * digest of all of it; null: it goes as a whole.
   */
  readonly alone: { readonly entry: Bytes; readonly digest: Digest } | null;
  readonly need: QuorumNeed;
  /** The coordinator itself: it has the write already. */
  readonly self: Candidate;
  /** The primary whose hint the coordinator keeps, when it is no primary itself; else null. */
  readonly standsInFor: ReplicaId | null;
  /** The other primaries, each to get the entry under its own name. */
  readonly primaries: readonly Candidate[];
  /** Stand-ins in the order in which to ask; empty when the write is strict. */
  readonly fallbacks: readonly Candidate[];
  readonly sloppy: boolean;
  /** It has no context. */
  readonly isBlind: boolean;
  /** It is to be told of what the others hold beside it. */
  readonly tells: boolean;
  readonly timeoutMs: number;
  readonly hedgeMs: number;
}

export type PutOutcome =
  | { readonly ok: true; readonly tally: Tally }
  | { readonly ok: false; readonly failure: Failure };

/** What the coordinator does for itself beside sending. */
export interface PutOutbox extends Outbox<PutOutcome> {
  /** Keeps the entry as a hint in the coordinator's own store. */
  keepHint(target: ReplicaId): void;
  /**
   * Told of what each that acknowledges holds beside the write, before that counts.
   *
   * @param isBehind it may lack what it had before
   */
  found?(from: ReplicaId, found: Found, isBehind: boolean): void;
  /** Whether primaries that have not said yet what they hold are to be heard, for a while. */
  awaitsMore?(): boolean;
}
