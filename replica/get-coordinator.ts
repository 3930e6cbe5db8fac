/**
 * One read: asks replicas until r of them agree to be counted, joins what they hold, answers, and
 * repairs those it saw were behind (DeCandia et al., "Dynamo", 2007, 4.5 and 4.7).
 *
 * Only one replica is asked for the value, the others for a digest. A digest counts once an entry
 * with that digest is in hand; where one differs, its replica is asked again, for the entry. So a
 * value of 1 MiB crosses the network once when replicas agree, and the answer never rests on
 * something that the coordinator has not read.
 *
 * What was read longer ago than SPREAD_MS_MAX is not sent on: by then it may have been deleted, and
 * its tombstone collected (see antientropy/collection.ts).
 *
 * It asks as many as the quorum still needs, in the given order, and one more for each that fails,
 * answers "I don't know", or is silent for the hedge delay. Fallbacks come last. When too few are
 * left, those that did not know are asked again for a while: after a restart they are about to.
 */
import { assert } from "../core/assert.ts";
import { type Entry, emptyEntry } from "../core/entry.ts";
import { encodeEntry } from "../core/entry-codec.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import { SPREAD_MS_MAX } from "../core/limits.ts";
import type { Ack } from "../core/message-values.ts";
import { isStored, type Reply } from "../core/messages.ts";
import { majority } from "../core/quorum-options.ts";
import type { Digest } from "../core/store.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import {
  ASK_AGAIN_MS,
  type Coordinator,
  type Outbox,
  SUSPECT_PATIENCE_MS,
  UNKNOWN_PATIENCE_MS,
} from "./coordination.ts";
import { GetAnswers, type ReplicaAnswer } from "./get-answers.ts";
import type { GetOutcome, GetPlan } from "./get-plan.ts";
import type { Quorum } from "./quorum.ts";
import { isSessionForgotten, NOT_REACHED, reachesSession } from "./session-debt.ts";
import { nothingToProve, type Proof, proofOf } from "./stale-bound.ts";
import { WriteBack } from "./write-back.ts";

/** How long after its start an answered read waits for late replies, to repair them, in ms. */
const REPAIR_WAIT_MS = SPREAD_MS_MAX - 500;

/**
 * `asking again`: everybody is asked a second time, because the session's writes are nowhere.
 * `writing back`: a strict read has found replicas apart, and first brings them what it will show.
 * `mending`: it has been answered; late replies are waited for, to repair whoever is behind.
 */
type Phase = "asking" | "asking again" | "writing back" | "mending" | "over";

export class GetCoordinator implements Coordinator {
  readonly #plan: GetPlan;
  readonly #out: Outbox<GetOutcome>;
  readonly #answers: GetAnswers;
  #phase: Phase = "asking";
  #startedAt: Millis = 0;
  #now: Millis = 0;
  #deadline: Millis = Infinity;
  /** Until when replicas that are believed dead are waited for, or others just to be counted. */
  #patienceAt: Millis = Infinity;
  /** Infinity while nobody is left to ask: whatever is asked, or comes, sets it again. */
  #hedgeAt: Millis = Infinity;
  /** When those that did not know are asked once more. */
  #againAt: Millis = Infinity;
  #isHedged = false;
  /** One more was asked, for what it knows of the members. */
  #isProving = false;
  /** Of a strict read that found replicas apart. */
  #writeBack: WriteBack | null = null;
  repairCount = 0;

  constructor(plan: GetPlan, out: Outbox<GetOutcome>) {
    assert(plan.candidates.length > 0, "a read has somebody to ask");
    this.#plan = plan;
    this.#out = out;
    this.#answers = new GetAnswers(plan);
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    if (this.#isAnswered) return Math.min(this.#deadline, this.#startedAt + REPAIR_WAIT_MS);
    return Math.min(this.#deadline, this.#patienceAt, this.#hedgeAt, this.#againAt);
  }

  /** The join of all replies, also of those after the answer. */
  get merged(): Entry {
    return this.#answers.merged;
  }

  get isOver(): boolean {
    return this.#phase === "over";
  }

  get #isAnswered(): boolean {
    return this.#phase === "mending" || this.#phase === "over";
  }

  start(now: Millis): void {
    this.#now = now;
    this.#startedAt = now;
    this.#deadline = now + this.#plan.rules.timeoutMs;
    this.#setHedge();
    if (this.#plan.own) this.#answers.takeOwn(this.#plan.own);
    this.#decide(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    this.#now = now;
    this.#setHedge();
    const answer = this.#answers.get(from);
    if (isStored(body)) {
      if (body.durable) this.#writeBack?.stored(from);
    } else if (body.kind !== "held") this.#fail(from);
    else if (answer !== undefined) this.#answers.take(answer, body);
    this.#decide(now);
  }

  failed(from: ReplicaId, now: Millis): void {
    this.#now = now;
    this.#setHedge();
    this.#fail(from);
    this.#decide(now);
  }

  wake(now: Millis): void {
    this.#now = now;
    if (this.#isAnswered) {
      if (now >= this.wakeAt) this.#repair();
    } else if (now >= Math.min(this.#deadline, this.#patienceAt)) {
      this.#giveUp(true);
      this.#repair();
    } else if (now >= this.#againAt) {
      this.#againAt = Infinity;
      for (const answer of this.#unsure()) this.#askAgain(answer);
      this.#decide(now);
    } else if (now >= this.#hedgeAt) this.#hedge();
  }

  #setHedge(): void {
    this.#hedgeAt = Math.min(this.#hedgeAt, this.#now + this.#plan.hedgeMs);
  }

  #fail(from: ReplicaId): void {
    this.#writeBack?.failed(from);
    const answer = this.#answers.get(from);
    if (answer?.state === "asked") answer.state = "failed";
  }

  /** Asks one more. */
  #hedge(): void {
    this.#isHedged = true;
    this.#hedgeAt = Infinity;
    if (this.#writeBack === null) {
      this.#fetchUnread([]);
      this.#askNext(!this.#answers.hasEntry);
    } else this.#writeBack.hedge();
    this.#decide(this.#now);
    // A session may be over by the clock alone, and an "I don't know" counts for a while.
    const isReached = reachesSession(this.#plan, this.#answers.merged);
    if (!isReached || this.#writeBack !== null) this.#setHedge();
    else if (this.#unsure().length > 0) this.#hedgeAt = Math.min(this.#hedgeAt, this.#unsureUntil);
  }

  get #unsureUntil(): Millis {
    return this.#startedAt + UNKNOWN_PATIENCE_MS;
  }

  /** Those that did not know, and may know by now. */
  #unsure(): readonly ReplicaAnswer[] {
    return this.#now >= this.#unsureUntil ? [] : this.#answers.unknown();
  }

  /** These, and those that did not know: mostly there are none. */
  #orUnsure(candidates: readonly Candidate[]): readonly Candidate[] {
    const unsure = this.#unsure();
    return unsure.length === 0 ? candidates : [...candidates, ...unsure.map((a) => a.candidate)];
  }

  #askAgain(answer: ReplicaAnswer): void {
    answer.state = "asked";
    this.#ask(answer, !answer.wasAskedForEntry);
  }

  #unasked(): readonly Candidate[] {
    return this.#plan.candidates.filter(({ id }) => this.#answers.get(id) === undefined);
  }

  #decide(now: Millis): void {
    this.#fetchUnread(this.#answers.digestsOnTheirWay());
    if (this.#isAnswered) {
      if (this.#answers.outstanding().length === 0) this.#repair();
      return;
    }
    if (this.#writeBack !== null) return this.#decideWriteBack(this.#writeBack);
    const quorum = this.#answers.quorum();
    if (quorum.isMet || this.#answers.isNothingForSure()) return this.#decideSession(quorum, now);
    this.#askAsManyAsNeeded(quorum);
    // Also when the quorum is lost, healthy replicas get a moment: the failure counts the replies.
    const { notfoundOk } = this.#plan.rules;
    const left = notfoundOk ? this.#answers.expected() : this.#answers.outstanding();
    const isHeardOut = notfoundOk && left.length > 0;
    if (isHeardOut || this.#couldBeMet(quorum)) this.#limitPatience(quorum, now);
    else if (left.length === 0) this.#giveUp(false);
  }

  #couldBeMet(quorum: Quorum): boolean {
    return quorum.couldBeMetWith(this.#orUnsure(this.#answers.outstanding()));
  }

  /** Asks for the entries behind digests that nobody has sent, or is about to send. */
  #fetchUnread(onTheirWay: Digest[]): void {
    // The one that was asked for the value may still send what the digests stand for.
    if (onTheirWay.includes(0) && !this.#answers.hasEntry && !this.#isHedged) return;
    for (const answer of this.#answers.all()) {
      const { state, digest } = answer;
      if (state !== "answered" || this.#answers.isRead(answer)) continue;
      if (onTheirWay.includes(digest)) continue;
      onTheirWay.push(digest);
      answer.state = "asked";
      this.#ask(answer, false);
    }
  }

  #decideSession(quorum: Quorum, now: Millis): void {
    if (!reachesSession(this.#plan, this.#answers.merged)) {
      for (const candidate of this.#unasked()) this.#askOne(candidate, false);
      const isWaiting = this.#answers.outstanding().length > 0 || this.#unsure().length > 0;
      if (isWaiting) return this.#limitPatience(quorum, now);
      const hasAnswered = (id: ReplicaId) => this.#answers.get(id)?.state === "answered";
      const isForgotten = isSessionForgotten(this.#plan, hasAnswered, this.#answers.merged);
      if (!isForgotten) return this.#tell({ ok: false, failure: NOT_REACHED });
      if (this.#phase === "asking") return this.#lookAgain();
    }
    const proof = this.#proof;
    if (!proof.isEnough) return this.#prove(quorum, now);
    if (this.#plan.rules.strict && this.#mustWriteBack()) return this.#startWriteBack();
    this.#finish(quorum, proof);
  }

  get #proof(): Proof {
    const { bound = null } = this.#plan;
    return bound === null ? nothingToProve : proofOf(bound, this.#answers.told());
  }

  /** Another replica may know more of the members, and each of them knows all of itself. */
  #prove(quorum: Quorum, now: Millis): void {
    if (this.#answers.expected().length === 0) {
      const next = this.#isProving ? this.#unasked() : this.#unasked().slice(0, 1);
      this.#isProving = true;
      for (const candidate of next) this.#askOne(candidate, this.#answers.hasEntry);
    }
    const isWaiting = this.#answers.outstanding().length > 0 || this.#unsure().length > 0;
    if (isWaiting) this.#limitPatience(quorum, now);
    else this.#tell({ ok: false, failure: this.#proof.failure() });
  }

  /** A hint may have gone home between two answers, so that neither told of it. */
  #lookAgain(): void {
    this.#phase = "asking again";
    this.#answers.clear();
    for (const candidate of this.#plan.candidates) this.#askOne(candidate, false);
  }

  /** Replicas are apart, or agree but are too few for reads by the other layout. */
  #mustWriteBack(): boolean {
    if (this.#answers.behind().length > 0) return true;
    const { rules, strictCount } = this.#plan;
    if (strictCount <= majority(rules.n) || this.#answers.merged === emptyEntry) return false;
    return this.#answers.current().length < strictCount;
  }

  #startWriteBack(): void {
    const behind = this.#answers.behind();
    const primaries = this.#plan.candidates.filter((candidate) => candidate.isPrimary);
    const others = primaries.map(({ id }) => id).filter((id) => !behind.includes(id));
    const stateOf = (id: ReplicaId): string | undefined => this.#answers.get(id)?.state;
    this.#phase = "writing back";
    this.#writeBack = new WriteBack({
      entry: this.#answers.merged,
      required: this.#plan.strictCount,
      current: this.#answers.current(),
      behind: [...behind, ...this.#plan.pending],
      spare: others.filter((id) => stateOf(id) === undefined || stateOf(id) === "asked"),
      send: (to, entry) => this.#send(to, encodeEntry(entry, null), "durable"),
    });
    this.#decideWriteBack(this.#writeBack);
  }

  #decideWriteBack(writeBack: WriteBack): void {
    if (writeBack.isMet) this.#finish(this.#answers.quorum(), this.#proof);
    else if (writeBack.isImpossible) this.#giveUp(false);
  }

  #send(to: ReplicaId, entry: Uint8Array, ack: Ack): void {
    if (this.#now - this.#startedAt > SPREAD_MS_MAX) return;
    this.repairCount++;
    const { key } = this.#plan;
    this.#out.ask(to, { kind: "store", key, entry, hintFor: null, ack, tells: false });
  }

  #askAsManyAsNeeded(quorum: Quorum): void {
    while (!quorum.couldBeMetWith(this.#answers.expected())) {
      // The value once: from the first, or from the next one when that had none to send.
      const isOnItsWay = this.#answers.hasEntry || this.#answers.digestsOnTheirWay().length > 0;
      if (!this.#askNext(!isOnItsWay)) return;
    }
  }

  #askNext(wantsEntry: boolean): boolean {
    const next = this.#plan.candidates.find(({ id }) => this.#answers.get(id) === undefined);
    if (next === undefined) return false;
    this.#askOne(next, !wantsEntry);
    return true;
  }

  #askOne(candidate: Candidate, digestOnly: boolean): void {
    this.#ask(this.#answers.add(candidate), digestOnly);
  }

  #ask(answer: ReplicaAnswer, digestOnly: boolean): void {
    this.#setHedge();
    if (!digestOnly) answer.wasAskedForEntry = true;
    const { key, rules, bound = null } = this.#plan;
    // What a strict read has shown must be there for the next one, whatever crashes in between.
    const isBounded = bound !== null;
    const body = { kind: "read", key, digestOnly, durably: rules.strict, isBounded } as const;
    this.#out.ask(answer.candidate.id, body);
  }

  /**
   * When only replicas that are believed dead are left, they get a short while and no more; those
   * that do not know are asked again when too few others are left.
   */
  #limitPatience(quorum: Quorum, now: Millis): void {
    const { isMet } = quorum;
    const surely = this.#answers.expected();
    const expected = this.#orUnsure(surely);
    if (expected.length > surely.length && (isMet || !quorum.couldBeMetWith(surely)))
      this.#againAt = Math.min(this.#againAt, now + ASK_AGAIN_MS);
    const isWorthIt = isMet ? expected.length > 0 : quorum.couldBeMetWith(expected);
    const patienceAt = Math.min(this.#patienceAt, now + SUSPECT_PATIENCE_MS);
    this.#patienceAt = isWorthIt ? Infinity : patienceAt;
  }

  #finish(quorum: Quorum, proof: Proof): void {
    const found = this.#writeBack?.entry ?? this.#answers.merged;
    const { session } = this.#plan;
    // Contexts only grow, even where what the session named was collected.
    const isWhole = session === null || found.context.includes(session);
    const context = isWhole ? null : found.context.join(session);
    const entry = context === null ? found : { ...found, context };
    const { staleBoundMs } = proof;
    this.#tell({ ok: true, entry, tally: quorum.tally(), staleBoundMs });
  }

  #giveUp(isLate: boolean): void {
    this.#tell({ ok: false, failure: this.#failureOf(this.#answers.quorum(), isLate) });
  }

  #failureOf(quorum: Quorum, isLate: boolean): Failure {
    if (quorum.isMet && !reachesSession(this.#plan, this.#answers.merged)) return NOT_REACHED;
    if (quorum.isMet && !this.#proof.isEnough) return this.#proof.failure();
    const wereSilent = this.#answers.expected().length > 0 && this.#couldBeMet(quorum);
    const isTimeout = isLate && (wereSilent || this.#writeBack !== null);
    const code = isTimeout ? "quorum-timeout" : "quorum-unavailable";
    return { code, ...this.#shortfall(quorum) };
  }

  #tell(outcome: GetOutcome): void {
    this.#phase = "mending";
    this.#out.finish(outcome);
    if (this.#answers.outstanding().length === 0) this.#repair();
  }

  #shortfall(quorum: Quorum): Omit<Failure, "code"> {
    if (this.#writeBack === null) {
      const detail = `The read is short of its quorum: ${quorum.shortfall("answered")}.`;
      return { detail, ...quorum.missing() };
    }
    const { required, holdingCount } = this.#writeBack;
    const numbers = `${holdingCount} of ${required} required primaries hold it`;
    const detail = `Too few replicas took what the strict read found: ${numbers}.`;
    return { detail, required, achieved: holdingCount };
  }

  /** Brings primaries that were seen to be behind up to date; never those that were not asked. */
  #repair(): void {
    if (this.#phase !== "mending") return;
    this.#phase = "over";
    if (this.#answers.merged === emptyEntry) return;
    const isSent = (id: ReplicaId): boolean =>
      this.#writeBack?.entry === this.#answers.merged && this.#writeBack.wasSent(id);
    const behind = this.#answers.behind().filter((id) => !isSent(id));
    if (behind.length === 0) return;
    const entry = encodeEntry(this.#answers.merged, null);
    for (const id of behind) this.#send(id, entry, "received");
  }
}
