/**
 * Asks a key's other owners whether a client's operation has taken effect with them, before it is
 * minted for the second time: "has anybody stored a version of it?" Only repeats pay for this.
 *
 * A write that was acknowledged, or shown by a strict read, is with a majority; so any majority
 * that says "not here" has not met it. All owners are asked at once, and as long as the quorum
 * could be met the silent ones get the hedge delay: a version may be with a single one. Fallbacks
 * are asked in place of primaries that do not answer, where the write allows for them: they would
 * have its hint.
 *
 * Of a strict write that is not enough (see write-router.ts): whoever was asked to mint it before
 * has to say that it has not, and with that promises not to.
 */
import { assert } from "../core/assert.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, ReplyOf, RequestOf } from "../core/messages.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import type { Coordinator, Outbox } from "./coordination.ts";
import { Quorum, type QuorumNeed } from "./quorum.ts";

export interface RecallPlan {
  readonly question: RequestOf<"recall">;
  /** The coordinator, when it can say by itself that nothing is here; else null. */
  readonly self: Candidate | null;
  readonly primaries: readonly Candidate[];
  /** In the order in which to ask. */
  readonly fallbacks: readonly Candidate[];
  readonly need: QuorumNeed;
  /** Who else has to say so, be they owners or not. */
  readonly mustSay: readonly ReplicaId[];
  readonly timeoutMs: number;
  readonly hedgeMs: number;
}

export type RecallOutcome =
  /** Somebody has stored it: this is what is held there. */
  | { readonly kind: "done"; readonly reply: ReplyOf<"recalled"> }
  | { readonly kind: "unseen" }
  | { readonly kind: "failed"; readonly failure: Failure };

export class RecallCoordinator implements Coordinator {
  readonly #plan: RecallPlan;
  readonly #out: Outbox<RecallOutcome>;
  readonly #quorum: Quorum;
  readonly #open = new Map<ReplicaId, Candidate>();
  /** Of those that have to say it, those that have not. */
  readonly #unsaid: Set<ReplicaId>;
  #fallbacksUsed = 0;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  #isPatient = true;
  isOver = false;

  constructor(plan: RecallPlan, out: Outbox<RecallOutcome>) {
    assert(plan.need.durable === 0 && plan.need.zones === 0, "an answer is an answer");
    this.#plan = plan;
    this.#out = out;
    this.#quorum = new Quorum(plan.need);
    this.#unsaid = new Set(plan.mustSay);
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    return this.#isPatient ? Math.min(this.#hedgeAt, this.#deadline) : this.#deadline;
  }

  start(now: Millis): void {
    const { self, primaries, timeoutMs, hedgeMs, question } = this.#plan;
    this.#deadline = now + timeoutMs;
    this.#hedgeAt = now + hedgeMs;
    if (self !== null) {
      this.#quorum.add(self, false);
      this.#unsaid.delete(self.id);
    }
    for (const primary of primaries) this.#ask(primary);
    for (const id of this.#unsaid) if (!this.#open.has(id)) this.#out.ask(id, question);
    this.#decide();
  }

  reply(from: ReplicaId, body: Reply): void {
    const candidate = this.#open.get(from);
    if (this.isOver || (candidate === undefined && !this.#unsaid.has(from))) return;
    this.#open.delete(from);
    if (body.kind === "recalled") {
      if (body.done !== null) return this.#finish({ kind: "done", reply: body });
      if (!body.isUnknown) {
        if (candidate !== undefined) this.#quorum.add(candidate, false);
        this.#unsaid.delete(from);
      }
    }
    this.#decide();
  }

  failed(from: ReplicaId): void {
    if (this.#open.delete(from)) this.#decide();
  }

  wake(now: Millis): void {
    if (this.isOver) return;
    if (now >= this.#deadline) return this.#giveUp("quorum-timeout");
    if (now < this.#hedgeAt) return;
    this.#isPatient = false;
    this.#decide();
  }

  #ask(candidate: Candidate): void {
    this.#open.set(candidate.id, candidate);
    this.#out.ask(candidate.id, this.#plan.question);
  }

  #decide(): void {
    if (this.isOver) return;
    if (this.#quorum.isMet) {
      const isHeardOut = !this.#isPatient || this.#expected().length === 0;
      if (this.#unsaid.size === 0 && isHeardOut) this.#finish({ kind: "unseen" });
      // Those that have to say it are waited for: it may be late, and another may say "done".
      return;
    }
    while (!this.#quorum.couldBeMetWith(this.#expected())) if (!this.#askFallback()) break;
    if (this.#open.size === 0) this.#giveUp("quorum-unavailable");
  }

  /** Those that are worth waiting for; once the hedge delay is over, only fallbacks are. */
  #expected(): readonly Candidate[] {
    const open = [...this.#open.values()].filter(({ isSuspect }) => !isSuspect);
    return this.#isPatient ? open : open.filter(({ isPrimary }) => !isPrimary);
  }

  #askFallback(): boolean {
    const next = this.#plan.fallbacks[this.#fallbacksUsed++];
    if (next === undefined) return false;
    this.#ask(next);
    return true;
  }

  #giveUp(code: "quorum-timeout" | "quorum-unavailable"): void {
    const shortfall = this.#quorum.shortfall("could say that they have not stored it");
    const detail = `The write was asked for twice, and may have been carried out: ${shortfall}.`;
    this.#finish({ kind: "failed", failure: { code, detail, ...this.#quorum.missing() } });
  }

  #finish(outcome: RecallOutcome): void {
    this.isOver = true;
    this.#out.finish(outcome);
  }
}
