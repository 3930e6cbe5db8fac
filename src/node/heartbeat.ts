/**
 * Heartbeats: every member is pinged, and its answers' rhythm tells when it is missing. A member
 * with another cluster document answers with it, so that documents spread by themselves.
 */
import type { ReplicaId } from "../../core/ids.ts";
import type { Millis } from "../../core/time.ts";
import { askAll } from "./fanout.ts";
import type { TaskHost } from "./tasks.ts";

export interface HeartbeatTiming {
  /** How often, in ms. */
  readonly heartbeatMs: number;
  /** Silence after which a member is suspected at the latest, in ms. */
  readonly suspectAfterMs: number;
}

export class Heartbeat {
  readonly #self: ReplicaId;
  readonly #host: TaskHost;
  readonly #timing: HeartbeatTiming;
  #lastAt: Millis | null = null;

  constructor(self: ReplicaId, host: TaskHost, timing: HeartbeatTiming) {
    this.#self = self;
    this.#host = host;
    this.#timing = timing;
  }

  run(now: Millis): void {
    const { heartbeatMs, suspectAfterMs } = this.#timing;
    const { liveness, ring } = this.#host.knowledge;
    const sinceLastMs = this.#lastAt === null ? 0 : now - this.#lastAt;
    this.#lastAt = now;
    // A node that stood still itself has answers waiting unread: others' silence is its own.
    const wasAway = sinceLastMs > 2 * heartbeatMs + suspectAfterMs / 4;
    if (!wasAway) liveness.review(suspectAfterMs, now);
    const targets = ring.membersBut(this.#self);
    const timeoutMs = suspectAfterMs / 2;
    const heard = (from: ReplicaId, at: Millis): void => liveness.beat(from, suspectAfterMs, at);
    askAll(this.#host, { targets, body: { kind: "ping" }, timeoutMs, heard }, now);
  }
}
