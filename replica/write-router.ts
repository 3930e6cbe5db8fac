/**
 * A write as the frontend sees it: find a replica that coordinates it, and pass on what it says.
 *
 * The candidates come nearest first, primaries before fallbacks. One that refuses has done nothing:
 * the next is asked as if it were the first. One that is silent, or whose connection broke, may
 * have minted already: the next is told that this is a retry, so that its two versions count as
 * one (see core/entry.ts).
 *
 * **A write takes effect at most once.** A coordinator that is told of a retry, or that hears of a
 * write so late that a second one may have been asked (lateness.ts), mints nothing that somebody
 * has stored already: it asks the key's owners first (src/node/serving/repeats.ts).
 *
 * **A strict write is minted by one replica alone.** What an owner says, that it has not met a
 * write, is true when it says so. The first version may come there right after that, be shown by a
 * strict read, and be replaced by somebody who saw it. A second version, which is later by its
 * time, would come back over that. So the next one is told who was asked before, and mints only
 * with the word of each of these that it has minted nothing and will not.
 *
 * **Without a context** a write covers what its coordinator holds when it mints. A coordinator that
 * hears of it late would also cover what was written after another one had answered the client. So
 * it tells what it holds instead, and only a frontend that still waits asks again, with that to
 * cover. The coordinator does the same once more with what it learns from the others that take the
 * write.
 *
 * **When all have refused** because they may lack something, they are asked again for a while:
 * right after a restart they are about to have it.
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
import type { LifeMillis, Millis, WallMillis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import {
  ASK_AGAIN_MS,
  type Coordinator,
  type Outbox,
  SUSPECT_PATIENCE_MS,
  UNKNOWN_PATIENCE_MS,
} from "./coordination.ts";

export interface WritePlan {
  /** The time until which nobody else is asked is filled in for each candidate. */
  readonly request: Coordinate;
  readonly candidates: readonly Candidate[];
  /** By whom the write may have been minted in the attempts before. */
  readonly asked: readonly ReplicaId[];
  readonly timeoutMs: number;
  /** Silence after which the next coordinator is tried. */
  readonly hedgeMs: number;
  /** The wall clock, for what the coordinator is told of the frontend's patience. */
  wall(): WallMillis;
  /** The same by the life of the replica that is asked: what time it is there at least, or 0. */
  lifeOf(id: ReplicaId, now: Millis): LifeMillis;
}

export type WriteOutcome =
  | { readonly ok: true; readonly reply: Extract<Reply, { kind: "coordinated" }> }
  | { readonly ok: false; readonly failure: Failure; readonly context: CausalContext | null };

type Coordinate = RequestOf<"coordinate">;

/** What a candidate is told that the others are not. */
type Told = Pick<Coordinate, "covers" | "freshUntil" | "askedAt" | "freshMs">;

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
  /** In the order in which they were asked: those that have not said that they did nothing. */
  readonly #mayMint: ReplicaId[];
  /** Of these, those that will say nothing any more, and may have forgotten what they did. */
  readonly #gone: ReplicaId[];
  /** Those that told what the write is to cover, maybe of a version that they had minted. */
  readonly #askedAgain: ReplicaId[] = [];
  #startedAt: Millis = 0;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  /** When all are asked once more. */
  #againAt: Millis = Infinity;
  #isFinished = false;
  #refusal: string | null = null;
  /** A candidate's connection broke, or an earlier attempt is in doubt: that stays unknown. */
  #isInDoubt: boolean;
  /** A 4xx that is the answer once nobody can have applied the write after all. */
  #verdict: { readonly failure: Failure; readonly context: CausalContext | null } | null = null;

  constructor(plan: WritePlan, out: Outbox<WriteOutcome>) {
    assert(plan.candidates.length > 0, "a write has somebody to ask");
    this.#plan = plan;
    this.#out = out;
    this.#isInDoubt = plan.request.isRetry;
    this.#mayMint = [...plan.asked];
    this.#gone = [...plan.asked];
  }

  /** Those that may have minted the write, or may yet. */
  get asked(): readonly ReplicaId[] {
    return this.#mayMint;
  }

  get wakeAt(): Millis {
    return this.#isFinished ? Infinity : Math.min(this.#deadline, this.#hedgeAt, this.#againAt);
  }

  get isOver(): boolean {
    return this.#isFinished;
  }

  start(now: Millis): void {
    this.#startedAt = now;
    this.#deadline = now + this.#plan.timeoutMs;
    this.#tryNext(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    if (this.#isFinished) return;
    if (body.kind === "coordinated") return this.#finish({ ok: true, reply: body });
    if (body.kind === "overdue") return this.#askAgain(from, body, now);
    if (body.kind === "failed") {
      const failure = failureOf(body);
      if (!APPLIED_NOWHERE.has(failure.code)) return this.#fail(failure, body.context);
      this.#verdict = { failure, context: body.context };
    }
    this.#refusal = body.kind === "refused" ? body.code : this.#refusal;
    if (body.kind === "refused") this.#noteRefused(from, body.code);
    // It cannot say whether the write was carried out; nor, most likely, could the next one.
    const isInDark = body.kind === "refused" && body.code === "quorum-unavailable";
    if (isInDark && this.#waiting.size > 1) this.#waiting.delete(from);
    else this.#next(from, now);
  }

  failed(from: ReplicaId, now: Millis, isUnsent: boolean): void {
    if (this.#isFinished || !this.#waiting.has(from)) return;
    // A connection that broke may have delivered the request before.
    if (isUnsent) this.#noteRefused(from, "overloaded");
    else this.#noteDoubt(from);
    this.#next(from, now);
  }

  #noteDoubt(from: ReplicaId): void {
    this.mayBeMinted = true;
    this.#isInDoubt = true;
    this.#gone.push(from);
  }

  /**
   * It has done nothing. One that asked what to cover may have minted the write before that, where
   * it still knew of it.
   */
  #noteRefused(from: ReplicaId, code: string): void {
    if (this.#askedAgain.includes(from) && code !== "quorum-unavailable")
      return this.#noteDoubt(from);
    if (this.#gone.includes(from)) return;
    const at = this.#mayMint.indexOf(from);
    if (at >= 0) this.#mayMint.splice(at, 1);
  }

  wake(now: Millis): void {
    if (this.#isFinished) return;
    if (now >= this.#deadline) return this.#giveUp();
    if (now >= this.#againAt) {
      this.#againAt = Infinity;
      this.#nextIndex = 0;
      this.#tryNext(now);
    } else if (now >= this.#hedgeAt) {
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
      if (this.#waiting.size > 0) return;
      if (this.#mayCatchUp(now)) this.#againAt = now + ASK_AGAIN_MS;
      else this.#giveUp();
      return;
    }
    this.#nextIndex++;
    this.#waiting.add(candidate.id);
    if (!this.#mayMint.includes(candidate.id)) this.#mayMint.push(candidate.id);
    const patienceMs = candidate.isSuspect ? SUSPECT_PATIENCE_MS : this.#plan.hedgeMs;
    this.#hedgeAt = now + patienceMs;
    const { request, wall, lifeOf } = this.#plan;
    const freshUntil = Math.ceil(wall() + patienceMs);
    const askedAt = lifeOf(candidate.id, now);
    const freshMs = Math.ceil(patienceMs);
    this.#ask(candidate.id, { covers: request.covers, freshUntil, askedAt, freshMs }, now);
  }

  /** Whether nobody took the write, and one that refused may take it in a moment. */
  #mayCatchUp(now: Millis): boolean {
    const isPatient = now < this.#startedAt + UNKNOWN_PATIENCE_MS;
    return isPatient && this.#verdict === null && this.#refusal === "overloaded";
  }

  #ask(to: ReplicaId, told: Told, now: Millis): void {
    const { request } = this.#plan;
    const asked = request.rules.strict ? this.#askedBefore(to) : [];
    const isRetry = request.rules.strict ? asked.length > 0 : this.mayBeMinted || request.isRetry;
    const ageMs = request.ageMs + Math.max(0, Math.ceil(now - this.#startedAt));
    const body = { ...request, isRetry, ageMs, ...told };
    this.#out.ask(to, asked.length === 0 ? body : { ...body, asked });
  }

  /** Those whose word it needs; also its own, where it may have forgotten what it did. */
  #askedBefore(to: ReplicaId): readonly ReplicaId[] {
    const at = this.#mayMint.indexOf(to);
    assert(at >= 0, "who is asked may mint it");
    return this.#mayMint.slice(0, this.#gone.includes(to) ? at + 1 : at);
  }

  /** Now the write has what it covers: all that its coordinator held when it found it late. */
  #askAgain(from: ReplicaId, told: ReplyOf<"overdue">, now: Millis): void {
    if (!this.#waiting.has(from)) return;
    this.#askedAgain.push(from);
    const { context: covers, freshUntil, askedAt = 0, freshMs = 0 } = told;
    this.#ask(from, { covers, freshUntil, askedAt, freshMs }, now);
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

export function failureOf({ code, detail, numbers }: ReplyOf<"failed">): Failure {
  const { required, achieved, limit } = numbers;
  return {
    code,
    detail,
    ...(required === null ? {} : { required }),
    ...(achieved === null ? {} : { achieved }),
    ...(limit === null ? {} : { limit }),
  };
}
