/**
 * One question to many replicas, all at once: what each holds of a key, what each says of itself,
 * the cluster's document. Over when all have answered or failed, or when the time is up.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Reply, Request } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";
import type { TaskHost } from "./tasks.ts";

export interface FanoutPlan {
  readonly targets: readonly ReplicaId[];
  readonly body: Request;
  readonly timeoutMs: number;
  /** Told of each reply as it comes. */
  readonly heard?: (from: ReplicaId, body: Reply) => void;
}

/** The replies that came, by replica. */
export type Replies = ReadonlyMap<ReplicaId, Reply>;

export class Fanout implements Coordinator {
  readonly #plan: FanoutPlan;
  readonly #out: Outbox<Replies>;
  readonly #replies = new Map<ReplicaId, Reply>();
  readonly #waiting: Set<ReplicaId>;
  #deadline: Millis = Infinity;
  isOver = false;

  constructor(plan: FanoutPlan, out: Outbox<Replies>) {
    this.#plan = plan;
    this.#out = out;
    this.#waiting = new Set(plan.targets);
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#deadline;
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.timeoutMs;
    for (const id of this.#plan.targets) this.#out.ask(id, this.#plan.body);
    this.#finishWhenComplete();
  }

  reply(from: ReplicaId, body: Reply): void {
    if (!this.#waiting.delete(from)) return;
    this.#plan.heard?.(from, body);
    this.#replies.set(from, body);
    this.#finishWhenComplete();
  }

  failed(from: ReplicaId): void {
    this.#waiting.delete(from);
    this.#finishWhenComplete();
  }

  wake(now: Millis): void {
    if (now < this.#deadline) return;
    this.#waiting.clear();
    this.#finishWhenComplete();
  }

  #finishWhenComplete(): void {
    if (this.isOver || this.#waiting.size > 0) return;
    this.isOver = true;
    this.#out.finish(this.#replies);
  }
}

export interface Question extends FanoutPlan {
  readonly done?: (replies: Replies, now: Millis) => void;
}

/**
 * Has the node put one question to many. With a newer document only those that refused are asked
 * again.
 */
export function askAll(host: TaskHost, { done, ...plan }: Question, now: Millis): void {
  const { timeoutMs } = plan;
  const make = (out: Outbox<Replies>): Fanout => new Fanout(plan, out);
  host.run<Replies>({ timeoutMs, make, finish: done ?? (() => {}), again: null }, now);
}
