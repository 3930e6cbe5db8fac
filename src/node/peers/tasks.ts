/** What a part of the node hands to the node to have a coordinator run: the task and its end. */

import type { Failure } from "../../../core/failure.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Reply, Request } from "../../../core/messages.ts";
import type { Operation } from "../../../core/operations.ts";
import type { Prng } from "../../../core/prng.ts";
import type { FailedResult, ResultOf } from "../../../core/results.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";
import type { Waker } from "./calls.ts";

export interface TaskStart<R> {
  readonly timeoutMs: number;
  make(out: Outbox<R>): Coordinator;
  finish(result: R, now: Millis): void;
  /** Nothing more will come of it: it goes on after its result until the last reply is in. */
  over?(): void;
  /** Starts it anew with a newer cluster document; null: only the one call is asked again. */
  readonly again: ((now: Millis) => void) | null;
}

/** What works in the background needs of the node around it. */
export interface TaskHost {
  readonly knowledge: Knowledge;
  /** What the wall clock shows at this step: for what is stored or told, never for durations. */
  wall(): WallMillis;
  /**
   * Runs a coordinator whose calls go out under the trace of this step.
   *
   * @returns a name for the task, for coordinators that are told of more than replies
   */
  run<R>(start: TaskStart<R>, now: Millis): Waker;
}

/** What the frontend half needs of the node around it. */
export interface FrontendHost extends TaskHost {
  readonly prng: Prng;
  /** The replica in the same process, the nearest of all; null where there is none. */
  readonly selfId: ReplicaId | null;
  /** What that replica replies at once; null where it does not, or plays that it fails. */
  askSelf(body: Request): Reply | null;
}

/** Takes what an operation of that kind, or without one of any kind, ends with. */
export type Respond<Kind extends Operation["kind"] = Operation["kind"]> = (
  result: ResultOf<Kind>,
) => void;

export const fail = (failure: Failure): FailedResult => ({
  kind: "failed",
  failure,
  context: null,
});
