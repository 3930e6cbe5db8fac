/**
 * One question to each source of a feed, all at once. A look ends when all have answered, or their
 * time is up; where the sources hold the question back it ends with the first that has news.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Reply, ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";

export type Told = ReplyOf<"changed">;

export interface RoundPlan {
  readonly questions: ReadonlyMap<ReplicaId, RequestOf<"changes">>;
  readonly timeoutMs: number;
  readonly isHeld: boolean;
  /** Sources whose answers end the round even without news. */
  readonly eager: ReadonlySet<ReplicaId>;
}

export interface RoundEnd {
  readonly told: ReadonlyMap<ReplicaId, Told>;
  /** Sources that cannot be reached, or say that they cannot tell. */
  readonly failed: ReadonlySet<ReplicaId>;
}

export class FeedRound implements Coordinator {
  readonly #plan: RoundPlan;
  readonly #out: Outbox<RoundEnd>;
  readonly #told = new Map<ReplicaId, Told>();
  readonly #failed = new Set<ReplicaId>();
  #deadline: Millis = Infinity;
  isOver = false;

  constructor(plan: RoundPlan, out: Outbox<RoundEnd>) {
    this.#plan = plan;
    this.#out = out;
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#deadline;
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.timeoutMs;
    for (const [id, body] of this.#plan.questions) this.#out.ask(id, body);
    this.#finishWhen(false);
  }

  reply(from: ReplicaId, body: Reply): void {
    if (body.kind !== "changed") return this.failed(from);
    this.#told.set(from, body);
    const { isHeld, eager } = this.#plan;
    this.#finishWhen(isHeld && (body.items.length > 0 || body.isGone || eager.has(from)));
  }

  failed(from: ReplicaId): void {
    if (!this.#told.has(from)) this.#failed.add(from);
    this.#finishWhen(false);
  }

  wake(now: Millis): void {
    if (now < this.#deadline) return;
    for (const id of this.#plan.questions.keys()) if (!this.#told.has(id)) this.#failed.add(id);
    this.#finishWhen(true);
  }

  #finishWhen(isEnough: boolean): void {
    const isComplete = this.#told.size + this.#failed.size >= this.#plan.questions.size;
    if (this.isOver || !(isComplete || isEnough)) return;
    this.isOver = true;
    this.#out.finish({ told: this.#told, failed: this.#failed });
  }
}
