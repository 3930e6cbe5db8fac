/**
 * One write, at the replica that minted it: sends the entry to the rest of the preference list at
 * the same time, answers when enough distinct replicas have acknowledged, and sees to it that the
 * rest gets it too (DeCandia et al., "Dynamo", 2007, 4.5 and 4.6).
 *
 * A primary that cannot be reached, is suspected, or is silent for the hedge delay is stood in for:
 * the next fallback gets the entry with a hint that names the primary. When no fallback is left the
 * coordinator keeps the hint itself, so that the write goes home even in a cluster of N members.
 * The primary's own acknowledgement still counts if it comes after all.
 */
import { assert } from "../core/assert.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply } from "../core/messages.ts";
import type { StoreKey } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import { type Coordinator, type Outbox, SUSPECT_PATIENCE_MS } from "./coordination.ts";
import { Quorum, type QuorumNeed } from "./quorum.ts";

export interface PutPlan {
  readonly key: StoreKey;
  /** The encoded entry as the coordinator stored it. */
  readonly entry: Uint8Array;
  readonly need: QuorumNeed;
  /** The coordinator itself: it has the write already. */
  readonly self: Candidate;
  /** The primary whose hint the coordinator keeps, when it is none itself; else empty. */
  readonly standsInFor: ReplicaId | "";
  /** The other primaries, each to get the entry under its own name. */
  readonly primaries: readonly Candidate[];
  /** Stand-ins in the order in which to ask; empty when the write is strict. */
  readonly fallbacks: readonly Candidate[];
  readonly sloppy: boolean;
  readonly timeoutMs: number;
  readonly hedgeMs: number;
}

export type PutOutcome =
  | { readonly ok: true; readonly tally: Tally }
  | { readonly ok: false; readonly failure: Failure };

interface Target {
  readonly candidate: Candidate;
  /** The primary that it stands in for; empty when it gets the entry for itself. */
  readonly hintFor: ReplicaId | "";
  state: "asked" | "failed" | "acked";
}

/** What the coordinator does for itself beside sending. */
export interface PutOutbox extends Outbox<PutOutcome> {
  /** Keeps the entry as a hint in the coordinator's own store. */
  keepHint(target: ReplicaId): void;
}

export class PutCoordinator implements Coordinator {
  readonly #plan: PutPlan;
  readonly #out: PutOutbox;
  readonly #quorum: Quorum;
  readonly #targets = new Map<ReplicaId, Target>();
  /** Primaries for which a stand-in was asked, or a hint kept here. */
  readonly #stoodInFor = new Set<ReplicaId>();
  #fallbacksUsed = 0;
  #isLocallyDurable = false;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  #isFinished = false;

  constructor(plan: PutPlan, out: PutOutbox) {
    assert(plan.need.count >= 1, "a write is acknowledged by somebody");
    assert(
      plan.primaries.every(({ id }) => id !== plan.self.id),
      "the coordinator has it already",
    );
    this.#plan = plan;
    this.#out = out;
    this.#quorum = new Quorum(plan.need);
    if (plan.standsInFor !== "") this.#stoodInFor.add(plan.standsInFor);
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : Math.min(this.#deadline, this.#hedgeAt);
  }

  get isOver(): boolean {
    return this.#isFinished && this.#unacked().length === 0;
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.timeoutMs;
    this.#hedgeAt = now + this.#plan.hedgeMs;
    this.#quorum.add(this.#plan.self, false);
    for (const primary of this.#plan.primaries) this.#send(primary, "");
    for (const primary of this.#plan.primaries) if (primary.isSuspect) this.#standIn(primary.id);
    this.#decide(now);
  }

  /** The coordinator's own record is on stable storage. */
  locallyDurable(now: Millis): void {
    this.#isLocallyDurable = true;
    this.#quorum.add(this.#plan.self, true);
    this.#decide(now);
  }

  /** The coordinator's own disk failed: its copy counts for nothing. */
  locallyFailed(now: Millis): void {
    if (this.#isFinished) return;
    this.#finish({
      ok: false,
      failure: {
        code: "insufficient-storage",
        detail: "The coordinator's disk failed while the write was on its way.",
      },
    });
    this.#decide(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    const target = this.#targets.get(from);
    if (target === undefined) return;
    if (body.kind !== "stored") return this.failed(from, now);
    target.state = "acked";
    this.#quorum.add(target.candidate, body.durable);
    this.#decide(now);
  }

  failed(from: ReplicaId, now: Millis): void {
    const target = this.#targets.get(from);
    if (target === undefined || target.state === "acked") return;
    target.state = "failed";
    this.#standIn(target.hintFor === "" ? from : target.hintFor);
    this.#decide(now);
  }

  wake(now: Millis): void {
    if (now >= this.#hedgeAt) {
      this.#hedgeAt = Infinity;
      for (const target of this.#unacked()) {
        const home = target.hintFor === "" ? target.candidate.id : target.hintFor;
        if (target.hintFor !== "") this.#stoodInFor.delete(home);
        this.#standIn(home);
      }
    }
    if (now >= this.#deadline) {
      for (const target of this.#unacked()) target.state = "failed";
      if (!this.#isFinished) this.#giveUp(true);
    } else this.#decide(now);
  }

  #unacked(): readonly Target[] {
    return [...this.#targets.values()].filter((target) => target.state === "asked");
  }

  #send(candidate: Candidate, hintFor: ReplicaId | ""): void {
    this.#targets.set(candidate.id, { candidate, hintFor, state: "asked" });
    const { durable, count } = this.#plan.need;
    const ack = durable === 0 ? 0 : durable >= count ? 1 : 2;
    const { key, entry } = this.#plan;
    this.#out.ask(candidate.id, { kind: "store", key, entry, hintFor, ack });
  }

  /** Makes sure that somebody keeps the entry for the primary. */
  #standIn(primary: ReplicaId): void {
    if (this.#stoodInFor.has(primary) && !this.#standInFailed(primary)) return;
    this.#stoodInFor.add(primary);
    const next = this.#plan.sloppy ? this.#plan.fallbacks[this.#fallbacksUsed] : undefined;
    if (next === undefined) return this.#out.keepHint(primary);
    this.#fallbacksUsed++;
    this.#send(next, primary);
  }

  #standInFailed(primary: ReplicaId): boolean {
    const standIns = [...this.#targets.values()].filter(({ hintFor }) => hintFor === primary);
    return standIns.length > 0 && standIns.every(({ state }) => state === "failed");
  }

  #decide(now: Millis): void {
    if (this.#isFinished) return;
    if (this.#quorum.isMet) {
      this.#finish({ ok: true, tally: this.#quorum.tally() });
      return;
    }
    const { self, fallbacks, sloppy } = this.#plan;
    const open = [...this.#targets.values()].filter(({ state }) => state !== "failed");
    const waiting = open.map((target) => target.candidate);
    const spare = sloppy ? fallbacks.slice(this.#fallbacksUsed) : [];
    const possible = this.#isLocallyDurable ? [...waiting, ...spare] : [self, ...waiting, ...spare];
    if (!this.#quorum.couldBeMetWith(possible)) return this.#giveUp(false);
    const healthy = possible.filter((candidate) => !candidate.isSuspect);
    if (!this.#quorum.couldBeMetWith(healthy)) {
      this.#deadline = Math.min(this.#deadline, now + SUSPECT_PATIENCE_MS);
    }
  }

  #finish(outcome: PutOutcome): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#out.finish(outcome);
  }

  #giveUp(isLate: boolean): void {
    const tally = this.#quorum.tally();
    const silent = [...this.#targets.values()].some(
      ({ candidate, state }) => state === "failed" && !candidate.isSuspect,
    );
    this.#finish({
      ok: false,
      failure: {
        code: isLate && silent ? "quorum-timeout" : "quorum-unavailable",
        detail: `The write is short of its quorum: ${this.#quorum.shortfall("acknowledged")}.`,
        required: tally.required,
        achieved: tally.answered,
      },
    });
  }
}
