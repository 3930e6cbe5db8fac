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
 * Who is asked: as many as the quorum still needs, in the given order; one more for each that
 * fails, answers "I don't know", or is silent for the hedge delay. Fallbacks come last in the
 * order. When too few are left, those that did not know are asked again for a while: right after a
 * restart they are about to.
 */
import { assert } from "../core/assert.ts";
import { type Entry, emptyEntry, keptDigestOf, merge } from "../core/entry.ts";
import { decodedOrNull, encodeEntry } from "../core/entry-codec.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import { SPREAD_MS_MAX } from "../core/limits.ts";
import { isStored, type Reply, type ReplyOf } from "../core/messages.ts";
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
import type { GetOutcome, GetPlan } from "./get-plan.ts";
import { Quorum, type QuorumNeed } from "./quorum.ts";
import { reachesSession, showsReplaced } from "./session-debt.ts";
import { nothingToProve, type Proof, proofOf } from "./stale-bound.ts";
import { WriteBack } from "./write-back.ts";

/** How long after its start a read that was answered waits for the rest, to mend it, in ms. */
const REPAIR_WAIT_MS = SPREAD_MS_MAX - 500;

const NOT_REACHED: Failure = {
  code: "context-not-reached",
  detail: "No replica that can be reached holds what the context names. Try again shortly.",
};

interface Answer {
  readonly candidate: Candidate;
  /** `unknown`: the replica answered that it may have lost what it had. */
  state: "asked" | "failed" | "unknown" | "answered";
  digest: Digest;
  wasAskedForEntry: boolean;
  /** What it says that it knows of the members; see `held` in core/messages.ts. */
  ages?: readonly unknown[] | undefined;
}

export class GetCoordinator implements Coordinator {
  readonly #plan: GetPlan;
  readonly #out: Outbox<GetOutcome>;
  readonly #need: QuorumNeed;
  readonly #answers = new Map<ReplicaId, Answer>();
  readonly #entries = new Map<Digest, Entry>([[0, emptyEntry]]);
  #merged: Entry = emptyEntry;
  #startedAt: Millis = 0;
  #now: Millis = 0;
  #deadline: Millis = Infinity;
  /** Until when replicas that are believed dead are waited for, while nothing else is left. */
  #patienceAt: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  /** When those that did not know are asked once more. */
  #againAt: Millis = Infinity;
  #isHedged = false;
  #isFinished = false;
  #isRepaired = false;
  /** Everybody is asked a second time, because the session's writes are nowhere. */
  #isSecondLook = false;
  /** One more was asked, for what it knows of the members. */
  #isProving = false;
  /** Of a strict read that found replicas apart. */
  #writeBack: WriteBack | null = null;
  repairCount = 0;

  constructor(plan: GetPlan, out: Outbox<GetOutcome>) {
    assert(plan.candidates.length > 0, "a read has somebody to ask");
    this.#plan = plan;
    this.#out = out;
    const { rules, onlyZone } = plan;
    const { n, r, pr, zones } = rules;
    this.#need = { n, count: r, primaries: pr, durable: 0, zones, onlyZone };
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    if (this.#isFinished) return Math.min(this.#deadline, this.#startedAt + REPAIR_WAIT_MS);
    return Math.min(this.#deadline, this.#patienceAt, this.#hedgeAt, this.#againAt);
  }

  /** Of all replies, those after the answer too. */
  get merged(): Entry {
    return this.#merged;
  }

  get isOver(): boolean {
    return this.#isFinished && this.#isRepaired;
  }

  start(now: Millis): void {
    this.#now = now;
    this.#startedAt = now;
    this.#deadline = now + this.#plan.rules.timeoutMs;
    this.#hedgeAt = now + this.#plan.hedgeMs;
    this.#askAsManyAsNeeded();
    this.#decide(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    this.#now = now;
    const answer = this.#answers.get(from);
    if (isStored(body)) {
      if (body.durable) this.#writeBack?.stored(from);
    } else if (body.kind !== "held") this.#fail(from);
    else if (answer !== undefined) this.#take(answer, body);
    this.#decide(now);
  }

  failed(from: ReplicaId, now: Millis): void {
    this.#now = now;
    this.#fail(from);
    this.#decide(now);
  }

  wake(now: Millis): void {
    this.#now = now;
    if (this.#isFinished) {
      if (now >= this.wakeAt) this.#repair();
    } else if (now >= Math.min(this.#deadline, this.#patienceAt)) {
      this.#giveUp(true);
      this.#repair();
    } else if (now >= this.#againAt) {
      this.#againAt = Infinity;
      for (const answer of this.#unsure()) this.#askAgain(answer);
      this.#decide(now);
    } else if (now >= this.#hedgeAt) {
      this.#hedgeAt = now + this.#plan.hedgeMs;
      this.#hedge();
      this.#decide(now);
    }
  }

  #fail(from: ReplicaId): void {
    this.#writeBack?.failed(from);
    const answer = this.#answers.get(from);
    if (answer?.state === "asked") answer.state = "failed";
  }

  #hedge(): void {
    this.#isHedged = true;
    if (this.#writeBack !== null) return this.#writeBack.hedge();
    this.#fetchUnread(new Set());
    this.#askNext(this.#entries.size === 1);
  }

  #take(answer: Answer, held: ReplyOf<"held">): void {
    answer.state = held.isUnknown ? "unknown" : "answered";
    answer.ages = held.ages;
    answer.digest = held.digest;
    if (held.isUnknown || held.digest === 0) return;
    // A digest is enough only where no more was asked for: else it would be asked for ever.
    if (held.entry === null && !answer.wasAskedForEntry) return;
    const entry = held.entry === null ? null : decodedOrNull(held.entry);
    if (entry === null) {
      answer.state = "failed";
      return;
    }
    // Computed here, not believed: a reply's digest and entry must belong together.
    answer.digest = keptDigestOf(entry, this.#plan.hash);
    if (!this.#entries.has(answer.digest)) {
      this.#entries.set(answer.digest, entry);
      this.#merged = merge(this.#merged, entry);
    }
  }

  /** The replies that count: known contents, and not nothing where nothing does not count. */
  #quorum(): Quorum {
    const quorum = new Quorum(this.#need);
    for (const answer of this.#answers.values()) {
      if (answer.state !== "answered" || !this.#entries.has(answer.digest)) continue;
      if (answer.digest === 0 && !this.#countsNothingOf(answer)) continue;
      quorum.add(answer.candidate, false);
    }
    return quorum;
  }

  /**
   * A fallback that has nothing says only that nobody has brought it anything: it counts beside the
   * word of a primary, and never in the place of all of them.
   */
  #countsNothingOf({ candidate }: Answer): boolean {
    if (!this.#plan.rules.notfoundOk) return false;
    if (candidate.isPrimary) return true;
    // One that has sent a digest and is asked for the entry has spoken.
    return this.#primariesThat((a) => a.state === "answered" || a.digest !== 0).length > 0;
  }

  #outstanding(): readonly Candidate[] {
    const outstanding: Candidate[] = [];
    for (const answer of this.#answers.values()) {
      const isUnread = answer.state === "answered" && !this.#isRead(answer);
      if (answer.state === "asked" || isUnread) outstanding.push(answer.candidate);
    }
    return outstanding;
  }

  /** Of those, the ones to wait for: a suspect that has sent a digest has shown that it lives. */
  #expected(): readonly Candidate[] {
    return this.#outstanding().filter(
      ({ id, isSuspect }) => !isSuspect || this.#answers.get(id)?.digest !== 0,
    );
  }

  /** Those that did not know, and may know by now. */
  #unsure(): readonly Answer[] {
    if (this.#now >= this.#startedAt + UNKNOWN_PATIENCE_MS) return [];
    return [...this.#answers.values()].filter(({ state }) => state === "unknown");
  }

  #askAgain(answer: Answer): void {
    answer.state = "asked";
    this.#ask(answer, !answer.wasAskedForEntry);
  }

  readonly #isRead = (answer: Answer): boolean => this.#entries.has(answer.digest);

  #unasked(): readonly Candidate[] {
    return this.#plan.candidates.filter((candidate) => !this.#answers.has(candidate.id));
  }

  #decide(now: Millis): void {
    this.#fetchUnread(this.#digestsOnTheirWay());
    if (this.#isFinished) {
      if (this.#outstanding().length === 0) this.#repair();
      return;
    }
    if (this.#writeBack !== null) return this.#decideWriteBack(this.#writeBack);
    const quorum = this.#quorum();
    if (quorum.isMet || this.#isNothingForSure()) return this.#decideSession(quorum, now);
    this.#askAsManyAsNeeded();
    const outstanding = this.#outstanding();
    const unsure = this.#unsure().map(({ candidate }) => candidate);
    if (quorum.couldBeMetWith([...outstanding, ...unsure])) this.#limitPatience(quorum, now);
    else if (outstanding.length === 0 || this.#plan.rules.notfoundOk) this.#giveUp(false);
  }

  /** The digests whose entries somebody has been asked for and may yet send. */
  #digestsOnTheirWay(): Set<Digest> {
    const digests = new Set<Digest>();
    for (const { state, wasAskedForEntry, digest } of this.#answers.values()) {
      if (state === "asked" && wasAskedForEntry) digests.add(digest);
    }
    return digests;
  }

  /** Asks for the entries behind digests that nobody has sent, or is about to send. */
  #fetchUnread(onTheirWay: Set<Digest>): void {
    // The one that was asked for the value may still send what the digests stand for.
    if (onTheirWay.has(0) && this.#entries.size === 1 && !this.#isHedged) return;
    for (const answer of this.#answers.values()) {
      const { state, digest } = answer;
      if (state !== "answered" || this.#isRead(answer) || onTheirWay.has(digest)) continue;
      onTheirWay.add(digest);
      answer.state = "asked";
      this.#ask(answer, false);
    }
  }

  /** All the primaries there are, or with `basic_quorum` a majority of them, hold nothing. */
  #isNothingForSure(): boolean {
    const { rules, candidates } = this.#plan;
    if (rules.notfoundOk) return false;
    const primaries = candidates.filter((candidate) => candidate.isPrimary).length;
    let nothing = 0;
    for (const { state, digest, candidate } of this.#answers.values()) {
      if (candidate.isPrimary && state === "answered" && digest === 0) nothing++;
    }
    return nothing >= (rules.basicQuorum ? Math.min(majority(rules.n), primaries) : primaries);
  }

  #decideSession(quorum: Quorum, now: Millis): void {
    const { rules } = this.#plan;
    if (!reachesSession(this.#plan, this.#merged)) {
      for (const candidate of this.#unasked()) this.#askOne(candidate, false);
      const isWaiting = this.#outstanding().length > 0 || this.#unsure().length > 0;
      if (isWaiting) return this.#limitPatience(quorum, now);
      if (!this.#isSessionForgotten()) return this.#end(NOT_REACHED);
      if (!this.#isSecondLook) return this.#lookAgain();
    }
    if (!this.#proof.isEnough) return this.#prove(quorum, now);
    if (rules.strict && this.#mustWriteBack()) return this.#startWriteBack();
    this.#finish(quorum);
  }

  get #proof(): Proof {
    const { bound = null } = this.#plan;
    if (bound === null) return nothingToProve;
    const isIn = (answer: Answer): boolean => answer.state === "answered" && this.#isRead(answer);
    const told = [...this.#answers.values()].filter(isIn).map(({ ages = [] }) => ages);
    return proofOf(bound, told);
  }

  /** Another replica may know more of the members, and each of them knows all of itself. */
  #prove(quorum: Quorum, now: Millis): void {
    if (this.#expected().length === 0) {
      const next = this.#isProving ? this.#unasked() : this.#unasked().slice(0, 1);
      this.#isProving = true;
      for (const candidate of next) this.#askOne(candidate, this.#entries.size > 1);
    }
    const isWaiting = this.#outstanding().length > 0 || this.#unsure().length > 0;
    if (isWaiting) this.#limitPatience(quorum, now);
    else this.#end(this.#proof.failure());
  }

  /**
   * Whether what the session names was collected: every member answered and none has it. What is
   * there instead may be shown if the session has not seen it: a value that the session's writes
   * replaced would be covered by its context, and such a one is a loss that must not be hidden.
   */
  #isSessionForgotten(): boolean {
    const { session, isEveryone, candidates } = this.#plan;
    const answered = ({ id }: Candidate): boolean => this.#answers.get(id)?.state === "answered";
    if (session === null || !isEveryone || !candidates.every(answered)) return false;
    return !showsReplaced(this.#plan, session, this.#merged);
  }

  /** A hint may have gone home between two answers, so that neither told of it. */
  #lookAgain(): void {
    this.#isSecondLook = true;
    this.#answers.clear();
    for (const candidate of this.#plan.candidates) this.#askOne(candidate, false);
  }

  /** Primaries that answered with less than what all of them hold together, or have lost it. */
  #behind(): readonly ReplicaId[] {
    const digest = this.#mergedDigest();
    return this.#primariesThat(
      ({ state, ...a }) => state === "unknown" || (state === "answered" && a.digest !== digest),
    );
  }

  /** Primaries that answered with all that anybody holds. */
  #current(): readonly ReplicaId[] {
    const digest = this.#mergedDigest();
    return this.#primariesThat(({ state, ...a }) => state === "answered" && a.digest === digest);
  }

  #primariesThat(isSuch: (answer: Answer) => boolean): readonly ReplicaId[] {
    return [...this.#answers.values()]
      .filter(isSuch)
      .filter(({ candidate }) => candidate.isPrimary)
      .map(({ candidate }) => candidate.id);
  }

  /** Replicas are apart, or agree and are too few for those who will read by the other layout. */
  #mustWriteBack(): boolean {
    if (this.#behind().length > 0) return true;
    const { rules, strictCount } = this.#plan;
    if (strictCount <= majority(rules.n) || this.#merged === emptyEntry) return false;
    return this.#current().length < strictCount;
  }

  #mergedDigest(): Digest {
    return this.#merged === emptyEntry ? 0 : keptDigestOf(this.#merged, this.#plan.hash);
  }

  #startWriteBack(): void {
    const behind = this.#behind();
    const primaries = this.#plan.candidates.filter((candidate) => candidate.isPrimary);
    const others = primaries.map(({ id }) => id).filter((id) => !behind.includes(id));
    const stateOf = (id: ReplicaId): string | undefined => this.#answers.get(id)?.state;
    this.#writeBack = new WriteBack({
      entry: this.#merged,
      required: this.#plan.strictCount,
      current: this.#current(),
      behind: [...behind, ...this.#plan.pending],
      spare: others.filter((id) => stateOf(id) === undefined || stateOf(id) === "asked"),
      send: (to, entry) => this.#send(to, encodeEntry(entry, null), 1),
    });
    this.#decideWriteBack(this.#writeBack);
  }

  #decideWriteBack(writeBack: WriteBack): void {
    if (writeBack.isMet) this.#finish(this.#quorum());
    else if (writeBack.isImpossible) this.#giveUp(false);
  }

  #send(to: ReplicaId, entry: Uint8Array, ack: number): void {
    if (this.#now - this.#startedAt > SPREAD_MS_MAX) return;
    this.repairCount++;
    const { key } = this.#plan;
    this.#out.ask(to, { kind: "store", key, entry, hintFor: "", ack, tells: false });
  }

  #askAsManyAsNeeded(): void {
    const quorum = this.#quorum();
    while (!quorum.couldBeMetWith(this.#expected())) {
      // The value once: from the first, or from the next one when that had none to send.
      const isOnItsWay = this.#entries.size > 1 || this.#digestsOnTheirWay().size > 0;
      if (!this.#askNext(!isOnItsWay)) return;
    }
  }

  #askNext(wantsEntry: boolean): boolean {
    const [next] = this.#unasked();
    if (next === undefined) return false;
    this.#askOne(next, !wantsEntry);
    return true;
  }

  #askOne(candidate: Candidate, digestOnly: boolean): void {
    const answer: Answer = { candidate, state: "asked", digest: 0, wasAskedForEntry: false };
    this.#answers.set(candidate.id, answer);
    this.#ask(answer, digestOnly);
  }

  #ask(answer: Answer, digestOnly: boolean): void {
    if (!digestOnly) answer.wasAskedForEntry = true;
    const { key, rules, bound = null } = this.#plan;
    // What a strict read has shown must be there for the next one, whatever crashes in between.
    const body = { kind: "read", key, digestOnly, durably: rules.strict } as const;
    this.#out.ask(answer.candidate.id, bound === null ? body : { ...body, isBounded: true });
  }

  /**
   * When only replicas that are believed dead are left, they get a short while and no more; those
   * that do not know are asked again when too few others are left.
   */
  #limitPatience(quorum: Quorum, now: Millis): void {
    const unsure = this.#unsure().map(({ candidate }) => candidate);
    const isShort = quorum.isMet || !quorum.couldBeMetWith(this.#expected());
    if (isShort && unsure.length > 0) this.#againAt = Math.min(this.#againAt, now + ASK_AGAIN_MS);
    const expected = [...this.#expected(), ...unsure];
    const isWorthIt = quorum.isMet ? expected.length > 0 : quorum.couldBeMetWith(expected);
    const patienceAt = Math.min(this.#patienceAt, now + SUSPECT_PATIENCE_MS);
    this.#patienceAt = isWorthIt ? Infinity : patienceAt;
  }

  #finish(quorum: Quorum): void {
    this.#isFinished = true;
    const found = this.#writeBack?.entry ?? this.#merged;
    const { session } = this.#plan;
    // Contexts only grow, also where what the session named was collected.
    const isWhole = session === null || found.context.includes(session);
    const context = isWhole ? null : found.context.join(session);
    const entry = context === null ? found : { ...found, context };
    this.#out.finish({ ok: true, entry, tally: quorum.tally(), ...this.#proof.shown });
    if (this.#outstanding().length === 0) this.#repair();
  }

  #giveUp(isLate: boolean): void {
    const quorum = this.#quorum();
    if (quorum.isMet && !reachesSession(this.#plan, this.#merged)) return this.#end(NOT_REACHED);
    if (quorum.isMet && !this.#proof.isEnough) return this.#end(this.#proof.failure());
    const wereSilent = this.#expected().length > 0;
    const isTimeout = isLate && (wereSilent || this.#writeBack !== null);
    const code = isTimeout ? "quorum-timeout" : "quorum-unavailable";
    this.#end({ code, ...this.#shortfall(quorum) });
  }

  #end(failure: Failure): void {
    this.#isFinished = true;
    this.#out.finish({ ok: false, failure });
    if (this.#outstanding().length === 0) this.#repair();
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
    if (this.#isRepaired || !this.#isFinished) return;
    this.#isRepaired = true;
    if (this.#merged === emptyEntry) return;
    const isSent = (id: ReplicaId): boolean =>
      this.#writeBack?.entry === this.#merged && this.#writeBack.wasSent(id);
    const behind = this.#behind().filter((id) => !isSent(id));
    if (behind.length === 0) return;
    const entry = encodeEntry(this.#merged, null);
    for (const id of behind) this.#send(id, entry, 0);
  }
}
