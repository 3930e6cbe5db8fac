/**
 * An entry that somebody brings, as the frontend sees it: find a replica that joins it into its own
 * and brings it to the other owners. The candidates come nearest first, primaries before fallbacks.
 * To join the same twice is harmless, so a candidate that is silent or refuses is followed by the
 * next, and the first that says yes ends it.
 */
import { assert } from "../core/assert.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, RequestOf } from "../core/messages.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import { type Coordinator, type Outbox, SUSPECT_PATIENCE_MS } from "./coordination.ts";
import { failureOf } from "./write-router.ts";

export interface MergePlan {
  readonly request: RequestOf<"merge">;
  readonly candidates: readonly Candidate[];
  readonly timeoutMs: number;
  /** Silence after which the next one is tried. */
  readonly hedgeMs: number;
}

export type MergeOutcome =
  | { readonly ok: true; readonly wasKnown: boolean }
  | { readonly ok: false; readonly failure: Failure };

export class MergeRouter implements Coordinator {
  readonly #plan: MergePlan;
  readonly #out: Outbox<MergeOutcome>;
  readonly #waiting = new Set<ReplicaId>();
  #nextIndex = 0;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  #failure: Failure | null = null;
  isOver = false;

  constructor(plan: MergePlan, out: Outbox<MergeOutcome>) {
    assert(plan.candidates.length > 0, "an entry has somebody to be brought to");
    this.#plan = plan;
    this.#out = out;
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : Math.min(this.#deadline, this.#hedgeAt);
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.timeoutMs;
    this.#tryNext(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    if (this.isOver) return;
    if (body.kind === "merged") return this.#finish({ ok: true, wasKnown: body.wasKnown });
    if (body.kind === "failed") this.#failure = failureOf(body);
    else if (body.kind === "refused" && body.code === "insufficient-storage") {
      const detail = "The replicas that could take the entry have full or failing disks.";
      this.#failure = { code: body.code, detail };
    }
    this.failed(from, now);
  }

  failed(from: ReplicaId, now: Millis): void {
    if (!this.isOver && this.#waiting.delete(from)) this.#tryNext(now);
  }

  wake(now: Millis): void {
    if (this.isOver) return;
    if (now >= this.#deadline) this.#giveUp();
    else if (now >= this.#hedgeAt) this.#tryNext(now);
  }

  #tryNext(now: Millis): void {
    const { candidates, hedgeMs, request } = this.#plan;
    const candidate = candidates[this.#nextIndex];
    if (candidate === undefined) {
      this.#hedgeAt = Infinity;
      if (this.#waiting.size === 0) this.#giveUp();
      return;
    }
    this.#nextIndex++;
    this.#waiting.add(candidate.id);
    this.#hedgeAt = now + (candidate.isSuspect ? SUSPECT_PATIENCE_MS : hedgeMs);
    this.#out.ask(candidate.id, request);
  }

  #giveUp(): void {
    const isLate = this.#waiting.size > 0;
    const detail = isLate
      ? "The replicas that were asked to take the entry did not answer in time."
      : "No replica that may take the entry could be reached, or stayed so.";
    const code = isLate ? "quorum-timeout" : "quorum-unavailable";
    const nobody: Failure = { code, detail, required: 1, achieved: 0 };
    this.#finish({ ok: false, failure: this.#failure ?? nobody });
  }

  #finish(outcome: MergeOutcome): void {
    this.isOver = true;
    this.#out.finish(outcome);
  }
}
