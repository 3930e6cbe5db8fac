/** What the replicas of one read have answered, and what that comes to. */
import { present } from "../core/assert.ts";
import { type Entry, emptyEntry, keptDigestOf, merge } from "../core/entry.ts";
import { decodedOrNull } from "../core/entry-codec.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Ages } from "../core/message-values.ts";
import type { ReplyOf } from "../core/messages.ts";
import { majority } from "../core/quorum-options.ts";
import type { Digest } from "../core/store.ts";
import type { Candidate } from "./candidate.ts";
import type { GetPlan } from "./get-plan.ts";
import { Quorum, type QuorumNeed } from "./quorum.ts";

export interface ReplicaAnswer {
  readonly candidate: Candidate;
  /** `unknown`: the replica answered that it may have lost what it had. */
  state: "asked" | "failed" | "unknown" | "answered";
  digest: Digest;
  wasAskedForEntry: boolean;
  /** What it says that it knows of the members; see `held` in core/messages.ts. */
  ages?: Ages | null | undefined;
}

const nobody: readonly ReplicaAnswer[] = [];
/** It has sent a digest of something, and has been, or is about to be, asked for that. */
const isDue = ({ state, digest }: ReplicaAnswer): boolean =>
  digest !== 0 && (state === "asked" || state === "answered");

/** The replies that a read waits for. */
export const readNeed = ({ rules, onlyZone }: Pick<GetPlan, "rules" | "onlyZone">): QuorumNeed => ({
  n: rules.n,
  count: rules.r,
  primaries: rules.pr,
  durable: 0,
  zones: rules.zones,
  onlyZone,
});

/** Lists and not maps: they hold a handful, and each read makes them anew. */
export class GetAnswers {
  readonly #plan: Pick<GetPlan, "rules" | "candidates" | "hash">;
  readonly #need: QuorumNeed;
  readonly #all: ReplicaAnswer[] = [];
  /** Of the entries that came. */
  readonly #digests: Digest[] = [];
  /** All entries that came, joined. */
  merged: Entry = emptyEntry;

  constructor(plan: Pick<GetPlan, "rules" | "candidates" | "hash" | "onlyZone">) {
    this.#plan = plan;
    this.#need = readNeed(plan);
  }

  get(id: ReplicaId): ReplicaAnswer | undefined {
    for (const answer of this.#all) if (answer.candidate.id === id) return answer;
    return undefined;
  }

  all(): Iterable<ReplicaAnswer> {
    return this.#all;
  }

  /** Somebody is asked, and has not answered. */
  add(candidate: Candidate): ReplicaAnswer {
    const answer: ReplicaAnswer = { candidate, state: "asked", digest: 0, wasAskedForEntry: false };
    this.#all.push(answer);
    return answer;
  }

  /** The first candidate's reply, which is there before anybody is asked. */
  takeOwn(own: ReplyOf<"held">): void {
    const answer = this.add(present(this.#plan.candidates[0]));
    answer.wasAskedForEntry = true;
    this.take(answer, own);
  }

  /** All of them are to be asked anew; what they have sent stays. */
  clear(): void {
    this.#all.length = 0;
  }

  /** Whether an entry has come, a value or what is left of one. */
  get hasEntry(): boolean {
    return this.#digests.length > 0;
  }

  take(answer: ReplicaAnswer, held: ReplyOf<"held">): void {
    answer.state = held.isUnknown ? "unknown" : "answered";
    answer.ages = held.ages;
    answer.digest = held.digest;
    if (held.isUnknown || held.digest === 0) return;
    // A digest is enough only where no more was asked for: else that would be asked for ever.
    if (held.entry === null && !answer.wasAskedForEntry) return;
    const entry = held.entry === null ? null : decodedOrNull(held.entry);
    if (entry === null) {
      answer.state = "failed";
      return;
    }
    // Computed here, not believed: a reply's digest and entry must belong together.
    answer.digest = keptDigestOf(entry, this.#plan.hash);
    if (this.isRead(answer)) return;
    this.#digests.push(answer.digest);
    this.merged = merge(this.merged, entry);
  }

  /** The replies that count: those with known contents, and "nothing" only where that counts. */
  quorum(): Quorum {
    const quorum = new Quorum(this.#need);
    for (const answer of this.#all) {
      if (answer.state !== "answered" || !this.isRead(answer)) continue;
      if (answer.digest === 0 && !this.#countsNothingOf(answer)) continue;
      quorum.add(answer.candidate, false);
    }
    return quorum;
  }

  /**
   * A fallback that has nothing says only that nobody has brought it anything: it counts beside a
   * primary's reply, and never in place of all of them. A mere digest is not such a reply yet: what
   * it stands for is not in the answer.
   */
  #countsNothingOf({ candidate }: ReplicaAnswer): boolean {
    if (!this.#plan.rules.notfoundOk) return false;
    return candidate.isPrimary || this.#primariesThat(this.#isHeard).length > 0;
  }

  readonly #isHeard = (answer: ReplicaAnswer): boolean =>
    answer.state === "answered" && this.isRead(answer);

  /** A fallback that has nothing, and is to count as soon as a primary's digest is read. */
  #waitsForPrimary(answer: ReplicaAnswer): boolean {
    if (answer.state !== "answered" || answer.digest !== 0) return false;
    if (!this.#plan.rules.notfoundOk || this.#countsNothingOf(answer)) return false;
    return this.#primariesThat(isDue).length > 0;
  }

  outstanding(): readonly Candidate[] {
    const outstanding: Candidate[] = [];
    for (const answer of this.#all) {
      const isUnread = answer.state === "answered" && !this.isRead(answer);
      const isOut = answer.state === "asked" || isUnread || this.#waitsForPrimary(answer);
      if (isOut) outstanding.push(answer.candidate);
    }
    return outstanding;
  }

  /** Of those, the ones to wait for: a suspect that has sent a digest has shown that it lives. */
  expected(): readonly Candidate[] {
    const outstanding = this.outstanding();
    if (!outstanding.some(({ isSuspect }) => isSuspect)) return outstanding;
    return outstanding.filter(({ id, isSuspect }) => !isSuspect || this.get(id)?.digest !== 0);
  }

  /** Those that answered "I don't know". Mostly there are none, and then no list is made. */
  unknown(): readonly ReplicaAnswer[] {
    let unknown: ReplicaAnswer[] | null = null;
    for (const answer of this.#all) {
      if (answer.state !== "unknown") continue;
      unknown ??= [];
      unknown.push(answer);
    }
    return unknown ?? nobody;
  }

  /** Whether the entry behind the answer's digest has come; for "nothing" none need come. */
  isRead({ digest }: ReplicaAnswer): boolean {
    return digest === 0 || this.#digests.includes(digest);
  }

  /** The digests whose entries somebody has been asked for and may yet send. */
  digestsOnTheirWay(): Digest[] {
    const digests: Digest[] = [];
    for (const { state, wasAskedForEntry, digest } of this.#all) {
      if (state === "asked" && wasAskedForEntry) digests.push(digest);
    }
    return digests;
  }

  /** What is known of the members by those whose entries are in the answer. */
  told(): readonly Ages[] {
    const told: Ages[] = [];
    for (const answer of this.#all) {
      const { state, ages } = answer;
      if (ages && state === "answered" && this.isRead(answer)) told.push(ages);
    }
    return told;
  }

  /** All the primaries there are, or with `basic_quorum` a majority of them, hold nothing. */
  isNothingForSure(): boolean {
    const { rules, candidates } = this.#plan;
    if (rules.notfoundOk) return false;
    const primaries = candidates.filter((candidate) => candidate.isPrimary).length;
    let nothing = 0;
    for (const { state, digest, candidate } of this.#all) {
      if (candidate.isPrimary && state === "answered" && digest === 0) nothing++;
    }
    return nothing >= (rules.basicQuorum ? Math.min(majority(rules.n), primaries) : primaries);
  }

  /** Primaries that answered with less than what all of them hold together, or have lost it. */
  behind(): readonly ReplicaId[] {
    const digest = this.#digest();
    return this.#primariesThat(
      (a) => a.state === "unknown" || (a.state === "answered" && a.digest !== digest),
    );
  }

  /** Primaries that answered with all that anybody holds. */
  current(): readonly ReplicaId[] {
    const digest = this.#digest();
    return this.#primariesThat((a) => a.state === "answered" && a.digest === digest);
  }

  #primariesThat(isSuch: (answer: ReplicaAnswer) => boolean): readonly ReplicaId[] {
    const ids: ReplicaId[] = [];
    for (const answer of this.#all) {
      const { id, isPrimary } = answer.candidate;
      if (isPrimary && isSuch(answer)) ids.push(id);
    }
    return ids;
  }

  #digest(): Digest {
    return this.merged === emptyEntry ? 0 : keptDigestOf(this.merged, this.#plan.hash);
  }
}
