/**
 * Heartbeats: every member is greeted, and its answers' rhythm tells when it is missing. They also
 * tell whether a member runs twice (lives.ts). A member
 * with another cluster document answers with it, so that documents spread by themselves. What its
 * wall clock shows comes along (see cluster-clock.ts).
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";
import type { Lives } from "../knowledge/lives.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Tails } from "./tails.ts";

export interface HeartbeatTiming {
  /** How often, in ms. */
  readonly heartbeatMs: number;
  /** Silence after which a member is suspected at the latest, in ms. */
  readonly suspectAfterMs: number;
  /** Told of each answer. */
  heard(from: ReplicaId, now: Millis): void;
  /** Follows the members by what they say of how far they have come. */
  readonly tails: Pick<Tails, "elapsed" | "heard" | "keep"> | null;
}

export class Heartbeat {
  readonly #self: ReplicaId;
  readonly #host: TaskHost;
  readonly #timing: HeartbeatTiming;
  readonly #lives: Lives;
  #lastAt: Millis | null = null;

  constructor(lives: Lives, host: TaskHost, timing: HeartbeatTiming & { readonly id: ReplicaId }) {
    this.#self = timing.id;
    this.#lives = lives;
    this.#host = host;
    this.#timing = timing;
  }

  run(now: Millis): void {
    const { heartbeatMs, suspectAfterMs, tails } = this.#timing;
    const { clusterClock, liveness, peerTimes, ring } = this.#host.knowledge;
    const sinceLastMs = this.#lastAt === null ? 0 : now - this.#lastAt;
    this.#lastAt = now;
    // A node that stood still has unread answers waiting: the silence of others is its own fault.
    const wasAway = sinceLastMs > 2 * heartbeatMs + suspectAfterMs / 4;
    if (!wasAway) liveness.review(suspectAfterMs, now);
    const targets = ring.membersBut(this.#self);
    const timeoutMs = suspectAfterMs / 2;
    clusterClock.settle(ring.memberIds, this.#self);
    tails?.keep(now);
    const askedAt = tails?.elapsed ?? 0;
    for (const to of targets) {
      const { body, mark } = this.#lives.greeting(to);
      const done = (replies: Replies, at: Millis): void => {
        const reply = replies.get(to);
        if (reply === undefined) return;
        liveness.beat(to, suspectAfterMs, at);
        this.#timing.heard(to, at);
        if (reply.kind !== "greeted") return;
        clusterClock.heard(to, reply.wall, at);
        peerTimes.heard(to, { run: reply.run, life: reply.life ?? 0 }, at);
        this.#lives.answered(to, reply, { mark, now: at });
        tails?.heard(to, reply.arrived ?? null, { askedAt, now: at });
      };
      askAll(this.#host, { targets: [to], body, timeoutMs, done }, now);
    }
  }
}
