/**
 * A write as the frontend sees it: find a replica that coordinates it, and pass on what it says.
 *
 * The candidates come nearest first, primaries before fallbacks. One that refuses has done nothing:
 * the next is asked as if it were the first. One that is silent, or whose connection broke, may
 * have minted already: the next is told that this is a retry, so that its two versions count as
 * one (see core/entry.ts).
 *
 * **Without a context** a write covers what its coordinator holds when it mints. One that hears of
 * it late would take along what was written after another had answered the client. So a coordinator
 * that is told of a retry, or hears of the write when a second one may have been asked, does not
 * mint but tells what it holds; only who still waits asks again, with that to cover. When it holds
 * the write itself, minted by another, it brings that to its owners and mints nothing.
 *
 * A coordinator that refuses for the client's fault (a broken precondition, too many siblings) may
 * have seen what another one has just written for this very request. So that is the answer only
 * when all others that were asked have said that they did nothing.
 */
import { assert } from "../core/assert.ts";
import type { CausalContext } from "../core/causal-context.ts";
import type { Failure, FailureCode } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, ReplyOf, RequestOf } from "../core/messages.ts";
import type { Millis, WallMillis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import { type Coordinator, type Outbox, SUSPECT_PATIENCE_MS } from "./coordination.ts";

export interface WritePlan {
  /** Its `freshUntil` is filled in for each candidate. */
  readonly request: Coordinate;
  readonly candidates: readonly Candidate[];
  readonly timeoutMs: number;
  /** Silence after which the next coordinator is tried. */
  readonly hedgeMs: number;
  /** The wall clock, for what the coordinator is told of the frontend's patience. */
  wall(): WallMillis;
}

export type WriteOutcome =
  | { readonly ok: true; readonly reply: Extract<Reply, { kind: "coordinated" }> }
  | { readonly ok: false; readonly failure: Failure; readonly context: CausalContext | null };

type Coordinate = RequestOf<"coordinate">;

/** Whether what the write covers would be newer than its client can have meant. */
export const isOverdue = ({ freshUntil, covers, isRetry }: Coordinate, now: WallMillis): boolean =>
  freshUntil > 0 && (now > freshUntil || (isRetry && covers === null));

/** Whether a second coordinator is asked, or may be: the first may have minted and sent it here. */
export const mayBeHere = (request: Coordinate, now: WallMillis): boolean =>
  isOverdue(request, now) || (request.freshUntil > 0 && request.covers !== null);

/** No context says what it covers, nor does a condition guard it. */
const isPlain = ({ covers, ifMatch, ifNoneMatch, unmodifiedSince }: Coordinate): boolean =>
  covers === null && ifMatch.length + ifNoneMatch.length + unmodifiedSince === 0;

/** The failures that HTTP tells as a 4xx: a promise that the write was applied nowhere. */
const APPLIED_NOWHERE: ReadonlySet<FailureCode> = new Set<FailureCode>([
  "invalid-option",
  "invalid-context",
  "precondition-failed",
  "too-many-siblings",
  "value-too-large",
  "overloaded",
]);

export class WriteRouter implements Coordinator {
  readonly #plan: WritePlan;
  readonly #out: Outbox<WriteOutcome>;
  readonly #waiting = new Set<ReplicaId>();
  #nextIndex = 0;
  /** Whether some replica may have minted a version of the write without saying so. */
  mayBeMinted = false;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  #isFinished = false;
  #refusal: string | null = null;
  /** A candidate's connection broke, or an earlier attempt was left in doubt: for ever unknown. */
  #isInDoubt: boolean;
  /** A 4xx that is the answer once nobody can have applied the write after all. */
  #verdict: { readonly failure: Failure; readonly context: CausalContext | null } | null = null;

  constructor(plan: WritePlan, out: Outbox<WriteOutcome>) {
    assert(plan.candidates.length > 0, "a write has somebody to ask");
    this.#plan = plan;
    this.#out = out;
    this.#isInDoubt = plan.request.isRetry;
  }

  get wakeAt(): Millis {
    return this.#isFinished ? Infinity : Math.min(this.#deadline, this.#hedgeAt);
  }

  get isOver(): boolean {
    return this.#isFinished;
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.timeoutMs;
    this.#tryNext(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    if (this.#isFinished) return;
    if (body.kind === "coordinated") return this.#finish({ ok: true, reply: body });
    if (body.kind === "overdue") return this.#askAgain(from, body);
    if (body.kind === "failed") {
      const failure = failureOf(body);
      if (!APPLIED_NOWHERE.has(failure.code)) return this.#fail(failure, body.context);
      this.#verdict = { failure, context: body.context };
    }
    this.#refusal = body.kind === "refused" ? body.code : this.#refusal;
    this.#next(from, now);
  }

  failed(from: ReplicaId, now: Millis): void {
    if (this.#isFinished || !this.#waiting.has(from)) return;
    // A connection that broke may have delivered the request before.
    this.mayBeMinted = true;
    this.#isInDoubt = true;
    this.#next(from, now);
  }

  wake(now: Millis): void {
    if (this.#isFinished) return;
    if (now >= this.#deadline) return this.#giveUp();
    if (now >= this.#hedgeAt) {
      this.mayBeMinted = true;
      this.#tryNext(now);
    }
  }

  #next(from: ReplicaId, now: Millis): void {
    if (!this.#waiting.delete(from)) return;
    this.#tryNext(now);
  }

  #tryNext(now: Millis): void {
    const candidate = this.#plan.candidates[this.#nextIndex];
    if (candidate === undefined || this.#verdict !== null) {
      this.#hedgeAt = Infinity;
      if (this.#waiting.size === 0) this.#giveUp();
      return;
    }
    this.#nextIndex++;
    this.#waiting.add(candidate.id);
    const patienceMs = candidate.isSuspect ? SUSPECT_PATIENCE_MS : this.#plan.hedgeMs;
    this.#hedgeAt = now + patienceMs;
    const isRetry = this.mayBeMinted || this.#plan.request.isRetry;
    const freshUntil = isPlain(this.#plan.request) ? Math.ceil(this.#plan.wall() + patienceMs) : 0;
    this.#out.ask(candidate.id, { ...this.#plan.request, isRetry, freshUntil });
  }

  /**
   * Now it knows what it covers. What it had told may be what another one has minted of this write:
   * taken for a retry, it would count as overwritten by itself. It is a write anew.
   */
  #askAgain(from: ReplicaId, { context, freshUntil }: ReplyOf<"overdue">): void {
    if (!this.#waiting.has(from)) return;
    const { request } = this.#plan;
    this.#out.ask(from, { ...request, isRetry: false, covers: context, freshUntil });
  }

  #giveUp(): void {
    const isSettled = this.#waiting.size === 0;
    if (isSettled && this.#verdict !== null && !this.#isInDoubt) {
      return this.#fail(this.#verdict.failure, this.#verdict.context);
    }
    if (isSettled && this.#refusal === "insufficient-storage") {
      const detail = "The replicas that could coordinate the write have full or failing disks.";
      return this.#fail({ code: "insufficient-storage", detail }, null);
    }
    const isSilent = ({ id, isSuspect }: Candidate): boolean => !isSuspect && this.#waiting.has(id);
    const wasSilent = this.#plan.candidates.some(isSilent);
    const code: FailureCode = wasSilent ? "quorum-timeout" : "quorum-unavailable";
    const detail = wasSilent
      ? "The replicas that were asked to coordinate the write did not answer in time."
      : "No replica that may coordinate the write could be reached, or stayed so.";
    this.#fail({ code, detail, required: 1, achieved: 0 }, null);
  }

  #fail(failure: Failure, context: CausalContext | null): void {
    this.#finish({ ok: false, failure, context });
  }

  #finish(outcome: WriteOutcome): void {
    this.#isFinished = true;
    this.#out.finish(outcome);
  }
}

/** `numbers` is `[required, achieved, limit]`, each null when it does not apply. */
function failureOf(body: Extract<Reply, { kind: "failed" }>): Failure {
  const [required, achieved, limit] = body.numbers;
  return {
    code: body.code as FailureCode,
    detail: body.detail,
    ...(typeof required === "number" ? { required } : {}),
    ...(typeof achieved === "number" ? { achieved } : {}),
    ...(typeof limit === "number" ? { limit } : {}),
  };
}
