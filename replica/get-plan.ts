/** What a read is to do, and what comes of it (see get-coordinator.ts). */
import type { CausalContext } from "../core/causal-context.ts";
import type { Entry } from "../core/entry.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import type { ReplyOf } from "../core/messages.ts";
import type { QuorumRules } from "../core/quorum-options.ts";
import type { StoreKey } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { WallMillis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import type { BoundNeed } from "./stale-bound.ts";

export interface GetPlan {
  readonly key: StoreKey;
  readonly rules: QuorumRules;
  /** In the order in which to ask. */
  readonly candidates: readonly Candidate[];
  /** What the first of them has replied already, being in the same process; null: nothing yet. */
  readonly own?: ReplyOf<"held"> | null;
  /** For `local_quorum`: the zone whose replicas count. */
  readonly onlyZone: string | null;
  readonly session: CausalContext | null;
  /** When all that was shown with the session has ended; 0 for never. */
  readonly sessionEndsAt?: WallMillis;
  /** While owners change: the owners by the other layout, which get writes as well. */
  readonly pending: readonly ReplicaId[];
  /** How many owners must hold what a strict read shows. */
  readonly strictCount: number;
  /** Whether the candidates are all members that there are. */
  readonly isEveryone: boolean;
  /** For a read that is to show how stale it is at most. */
  readonly bound?: BoundNeed | null;
  readonly hedgeMs: number;
  readonly hash: KeyedHash;
  /** The wall clock, by which values expire. */
  wall(): WallMillis;
}

export type GetOutcome =
  | {
      readonly ok: true;
      readonly entry: Entry;
      readonly tally: Tally;
      /** See `GetResult`. */
      readonly staleBoundMs?: number | undefined;
    }
  | { readonly ok: false; readonly failure: Failure };
