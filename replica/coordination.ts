/**
 * What coordinators have in common. A coordinator is a small machine for one request: the node
 * feeds it replies, failures and the time, and does what it says (asks, answers). It decides
 * first; others act. It lives on after its answer until the last reply is in, to repair what it
 * saw was behind.
 */
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, Request } from "../core/messages.ts";
import type { Millis } from "../core/time.ts";

/** What a coordinator may do to the world. */
export interface Outbox<Result> {
  /** Sends a request; its reply or failure comes back with the same id. */
  ask(to: ReplicaId, body: Request): void;
  /** The client's answer; called once. */
  finish(result: Result): void;
}

export interface Coordinator {
  start(now: Millis): void;
  reply(from: ReplicaId, body: Reply, now: Millis): void;
  /**
   * The replica cannot be reached: there will be no reply.
   *
   * @param isUnsent nothing of the request can have come there
   */
  failed(from: ReplicaId, now: Millis, isUnsent: boolean): void;
  wake(now: Millis): void;
  /** When it wants to be woken; Infinity for not at all. */
  readonly wakeAt: Millis;
  /** Nothing more will come of it: the node may forget it. */
  readonly isOver: boolean;
}

/** How long replicas that are believed dead are waited for when nothing else is left, in ms. */
export const SUSPECT_PATIENCE_MS = 120;

/**
 * How long a request waits for replicas that say "I don't know", when too few others are left, in
 * ms. A replica that came back, or begins, knows after a moment. One that waits for a member that
 * is away will not, and the client is told so before its own time is up.
 */
export const UNKNOWN_PATIENCE_MS = 1000;
/** Between two questions to such a replica, in ms. */
export const ASK_AGAIN_MS = 50;
