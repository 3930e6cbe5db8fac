/**
 * One read: asks replicas until r of them agree to be counted, joins what they hold, answers, and
 * repairs those it saw were behind (DeCandia et al., "Dynamo", 2007, 4.5 and 4.7).
 *
 * Only one replica is asked for the value, the others for a digest. A digest counts once an entry
 * with that digest is in hand; where one differs, its replica is asked again, for the entry. So a
 * value of 1 MiB crosses the network once when replicas agree, and the answer never rests on
 * something that the coordinator has not read.
 *
 * Who is asked: as many as the quorum still needs, in the given order; one more for each that
 * fails, answers "I don't know", or is silent for the hedge delay. Fallbacks come last in the
 * order.
 */
import { assert } from "../core/assert.ts";
import type { CausalContext } from "../core/causal-context.ts";
import { digestOf, type Entry, emptyEntry, merge } from "../core/entry.ts";
import { decodeEntry, encodeEntry } from "../core/entry-codec.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import type { Reply, ReplyOf } from "../core/messages.ts";
import { majority, type QuorumRules } from "../core/quorum-options.ts";
import type { Digest, StoreKey } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import { type Coordinator, type Outbox, SUSPECT_PATIENCE_MS } from "./coordination.ts";
import { Quorum } from "./quorum.ts";

export interface GetPlan {
  readonly key: StoreKey;
  readonly rules: QuorumRules;
  /** In the order in which to ask. */
  readonly candidates: readonly Candidate[];
  /** For `local_quorum`: the zone whose replicas count. */
  readonly onlyZone: string | null;
  readonly session: CausalContext | null;
  /** A context this old may name writes that were collected since; they count as reached. */
  readonly sessionMayBeCollected: boolean;
  readonly hedgeMs: number;
  readonly hash: KeyedHash;
}

export type GetOutcome =
  | { readonly ok: true; readonly entry: Entry; readonly tally: Tally }
  | { readonly ok: false; readonly failure: Failure };

interface Answer {
  readonly candidate: Candidate;
  state: "asked" | "failed" | "answered";
  digest: Digest;
  wasAskedForEntry: boolean;
}

export class GetCoordinator implements Coordinator {
  readonly #plan: GetPlan;
  readonly #out: Outbox<GetOutcome>;
  readonly #answers = new Map<ReplicaId, Answer>();
  readonly #entries = new Map<Digest, Entry>([[0, emptyEntry]]);
  #merged: Entry = emptyEntry;
  #deadline: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  #isHedged = false;
  #isFinished = false;
  #isRepaired = false;
  /** A strict read that found replicas apart: who has acknowledged the joined entry. */
  #writeBack: Set<ReplicaId> | null = null;
  repairCount = 0;

  constructor(plan: GetPlan, out: Outbox<GetOutcome>) {
    assert(plan.candidates.length > 0, "a read has somebody to ask");
    this.#plan = plan;
    this.#out = out;
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    return this.#isFinished ? this.#deadline : Math.min(this.#deadline, this.#hedgeAt);
  }

  get isOver(): boolean {
    return this.#isFinished && this.#isRepaired;
  }

  start(now: Millis): void {
    this.#deadline = now + this.#plan.rules.timeoutMs;
    this.#hedgeAt = now + this.#plan.hedgeMs;
    this.#askAsManyAsNeeded();
    this.#decide(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    const answer = this.#answers.get(from);
    if (answer === undefined) return;
    if (body.kind === "stored") this.#writeBack?.add(from);
    else if (body.kind === "held" && !body.isUnknown) this.#take(answer, body);
    else answer.state = "failed";
    this.#decide(now);
  }

  failed(from: ReplicaId, now: Millis): void {
    const answer = this.#answers.get(from);
    if (answer === undefined || answer.state === "answered") return;
    answer.state = "failed";
    this.#decide(now);
  }

  wake(now: Millis): void {
    if (now >= this.#deadline) {
      if (!this.#isFinished) this.#giveUp(true);
      this.#repair();
    } else if (!this.#isFinished && now >= this.#hedgeAt) {
      this.#hedgeAt = now + this.#plan.hedgeMs;
      this.#isHedged = true;
      this.#askNext(this.#entries.size === 1);
      this.#decide(now);
    }
  }

  #take(answer: Answer, held: ReplyOf<"held">): void {
    answer.state = "answered";
    answer.digest = held.digest;
    if (held.entry === null || held.digest === 0) return;
    const { entry } = decodeEntry(held.entry);
    // Computed here, not believed: a reply's digest and entry must belong together.
    answer.digest = digestOf(entry, this.#plan.hash);
    if (!this.#entries.has(answer.digest)) {
      this.#entries.set(answer.digest, entry);
      this.#merged = merge(this.#merged, entry);
    }
  }

  /** The replies that count: known contents, and not nothing where nothing does not count. */
  #quorum(): Quorum {
    const { rules, onlyZone } = this.#plan;
    const need = {
      n: rules.n,
      count: rules.r,
      primaries: rules.pr,
      durable: 0,
      zones: rules.zones,
    };
    const quorum = new Quorum({ ...need, onlyZone });
    for (const answer of this.#answers.values()) {
      if (answer.state !== "answered" || !this.#entries.has(answer.digest)) continue;
      if (answer.digest === 0 && !rules.notfoundOk) continue;
      quorum.add(answer.candidate, false);
    }
    return quorum;
  }

  #outstanding(): readonly Candidate[] {
    return [...this.#answers.values()]
      .filter((a) => a.state === "asked" || (a.state === "answered" && !this.#isRead(a)))
      .map((answer) => answer.candidate);
  }

  readonly #isRead = (answer: Answer): boolean => this.#entries.has(answer.digest);

  #unasked(): readonly Candidate[] {
    return this.#plan.candidates.filter((candidate) => !this.#answers.has(candidate.id));
  }

  #decide(now: Millis): void {
    this.#fetchUnread();
    if (this.#isFinished) {
      if (this.#outstanding().length === 0) this.#repair();
      return;
    }
    if (this.#writeBack !== null) return this.#decideWriteBack();
    const quorum = this.#quorum();
    if (quorum.isMet || this.#isNothingForSure()) return this.#decideSession(quorum, now);
    this.#askAsManyAsNeeded();
    const outstanding = this.#outstanding();
    if (quorum.couldBeMetWith(outstanding)) this.#limitPatience(quorum, outstanding, now);
    else if (outstanding.length === 0 || this.#plan.rules.notfoundOk) this.#giveUp(false);
  }

  /** Asks for the entries behind digests that nobody has yet sent the contents of. */
  #fetchUnread(): void {
    const wanted = new Set<Digest>();
    for (const answer of this.#answers.values()) {
      if (answer.state === "asked" && answer.wasAskedForEntry) {
        // The one that was asked for the value may still send what the digests stand for.
        if (this.#entries.size === 1 && !this.#isHedged) return;
        wanted.add(answer.digest);
      }
    }
    for (const answer of this.#answers.values()) {
      if (answer.state !== "answered" || this.#isRead(answer) || wanted.has(answer.digest))
        continue;
      wanted.add(answer.digest);
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
    return nothing >= (rules.basicQuorum ? majority(rules.n) : Math.max(rules.n, primaries));
  }

  #decideSession(quorum: Quorum, now: Millis): void {
    const { session, rules, sessionMayBeCollected } = this.#plan;
    if (session !== null && !this.#merged.context.includes(session)) {
      for (const candidate of this.#unasked()) this.#askOne(candidate, false);
      const outstanding = this.#outstanding();
      if (outstanding.length > 0) return this.#limitPatience(quorum, outstanding, now);
      const wasCollected = sessionMayBeCollected && this.#allPrimariesAnswered();
      if (!wasCollected) return this.#failSession();
    }
    if (rules.strict && this.#isBehind().length > 0) return this.#startWriteBack();
    this.#finish(quorum);
  }

  #allPrimariesAnswered(): boolean {
    return this.#plan.candidates
      .filter((candidate) => candidate.isPrimary)
      .every(({ id }) => this.#answers.get(id)?.state === "answered");
  }

  /** Primaries that answered with less than what all of them hold together. */
  #isBehind(): readonly Answer[] {
    const digest = this.#mergedDigest();
    return [...this.#answers.values()].filter(
      (a) => a.candidate.isPrimary && a.state === "answered" && a.digest !== digest,
    );
  }

  #mergedDigest(): Digest {
    return this.#merged === emptyEntry ? 0 : digestOf(this.#merged, this.#plan.hash);
  }

  #startWriteBack(): void {
    const behind = new Set(this.#isBehind().map((answer) => answer.candidate.id));
    this.#writeBack = new Set();
    for (const { candidate, state } of this.#answers.values()) {
      const isCurrent = candidate.isPrimary && state === "answered" && !behind.has(candidate.id);
      if (isCurrent) this.#writeBack.add(candidate.id);
    }
    this.#sendMerged(behind, 1);
    this.#decideWriteBack();
  }

  #decideWriteBack(): void {
    if ((this.#writeBack?.size ?? 0) >= majority(this.#plan.rules.n)) this.#finish(this.#quorum());
  }

  #sendMerged(to: Iterable<ReplicaId>, ack: number): void {
    const entry = encodeEntry(this.#merged, null);
    for (const id of to) {
      this.repairCount++;
      this.#out.ask(id, { kind: "store", key: this.#plan.key, entry, hintFor: "", ack });
    }
  }

  #askAsManyAsNeeded(): void {
    const quorum = this.#quorum();
    for (;;) {
      const outstanding = this.#outstanding().filter((candidate) => !candidate.isSuspect);
      if (quorum.couldBeMetWith(outstanding)) return;
      const isFirst = this.#answers.size === 0;
      if (!this.#askNext(isFirst)) return;
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
    this.#out.ask(answer.candidate.id, { kind: "read", key: this.#plan.key, digestOnly });
  }

  /** When only replicas that are believed dead are left, they get a short while and no more. */
  #limitPatience(quorum: Quorum, outstanding: readonly Candidate[], now: Millis): void {
    const healthy = outstanding.filter((candidate) => !candidate.isSuspect);
    if (quorum.isMet ? healthy.length > 0 : quorum.couldBeMetWith(healthy)) return;
    this.#deadline = Math.min(this.#deadline, now + SUSPECT_PATIENCE_MS);
  }

  #finish(quorum: Quorum): void {
    this.#isFinished = true;
    this.#out.finish({ ok: true, entry: this.#merged, tally: quorum.tally() });
    if (this.#outstanding().length === 0) this.#repair();
  }

  #giveUp(isLate: boolean): void {
    const quorum = this.#quorum();
    if (quorum.isMet && this.#plan.session !== null) return this.#failSession();
    const wereSilent = this.#outstanding().some((candidate) => !candidate.isSuspect);
    this.#isFinished = true;
    const isTimeout = isLate && (wereSilent || this.#writeBack !== null);
    this.#out.finish({
      ok: false,
      failure: {
        code: isTimeout ? "quorum-timeout" : "quorum-unavailable",
        detail: `The read is short of its quorum: ${quorum.shortfall("answered")}.`,
        required: quorum.need.count,
        achieved: quorum.tally().answered,
      },
    });
    if (this.#outstanding().length === 0) this.#repair();
  }

  #failSession(): void {
    this.#isFinished = true;
    this.#out.finish({
      ok: false,
      failure: {
        code: "context-not-reached",
        detail: "No replica that can be reached holds what the context names. Try again shortly.",
      },
    });
    if (this.#outstanding().length === 0) this.#repair();
  }

  /** Brings primaries that were seen to be behind up to date; never those that were not asked. */
  #repair(): void {
    if (this.#isRepaired || !this.#isFinished) return;
    this.#isRepaired = true;
    const behind = this.#isBehind().filter(({ candidate }) => !this.#writeBack?.has(candidate.id));
    if (behind.length > 0)
      this.#sendMerged(
        behind.map(({ candidate }) => candidate.id),
        0,
      );
  }
}
