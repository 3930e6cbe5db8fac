/**
 * Agrees on a change of members: the two rounds of Paxos for one decree (Lamport, "Paxos Made
 * Simple", 2001), the decree being the change that follows the present version of the ring.
 *
 * First every member is asked to promise that it accepts no older proposal, and says what it knows.
 * A majority must promise, so of two operators one learns of the other's change or makes it fail.
 * Then every member is asked to accept the change; done when a majority has it on stable storage.
 * Where a change was accepted already there is nothing to propose any more, and the operator is
 * told so. The same happens to one who named a version of the ring that is not the present one, or
 * who comes too late. Once accepted, a change needs nobody: the members carry it out by themselves.
 */
import { CodecError, check } from "../../../core/check.ts";
import type { Failure } from "../../../core/failure.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Request } from "../../../core/messages.ts";
import type { CommitOperation } from "../../../core/operations.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { RingPlan } from "../../../core/results.ts";
import type { Millis } from "../../../core/time.ts";
import {
  type ClusterDocument,
  changingIn,
  encodeDocument,
} from "../../../ring/cluster-document.ts";
import { changedMembers, layoutAfter, otherVersion, planChange } from "../../../ring/plan.ts";
import { beginChange, callOff, forceOut, openChange } from "../../../ring/ring-change.ts";
import { agreedRing, type RingDocument } from "../../../ring/ring-document.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { tellDocument } from "../peers/tell-document.ts";
import { changeMsMax, tooLate } from "./lateness.ts";

/** Proposals of one millisecond that can be told apart. */
const BALLOTS_PER_MS = 4096;
/** How often it may turn out that the members' own ring is newer. */
const ATTEMPTS_MAX = 3;

/** What is to be accepted, or why not. */
type Proposal = { readonly ring: RingDocument; readonly plan: RingPlan } | Failure;

/** A change that somebody waits for. */
interface Asked {
  readonly operation: CommitOperation;
  readonly answer: Respond<"commit">;
  /** When, and for how many ms from then on it is wanted. */
  readonly at: Millis;
  readonly forMs: number;
}

/** One question to all members; each of the two has half of the time that there is. */
interface Round {
  readonly body: Request;
  readonly forMs: number;
}

export class Proposer {
  readonly #host: FrontendHost;

  constructor(host: FrontendHost) {
    this.#host = host;
  }

  start(operation: CommitOperation, answer: Respond<"commit">, now: Millis): void {
    const { from = Infinity, timeoutMs = changeMsMax(this.#host.knowledge.timeoutMs) } = operation;
    const { version } = this.#host.knowledge.document.ring;
    // Versions only go up: nobody need be asked.
    if (from < version) return answer(fail(conflict(otherVersion(version, from))));
    this.#prepare({ operation, answer, at: now, forMs: timeoutMs }, now, 1);
  }

  #prepare(asked: Asked, now: Millis, attempt: number): void {
    const { operation, answer } = asked;
    const { knowledge, prng } = this.#host;
    const ballot = Math.floor(this.#host.wall()) * BALLOTS_PER_MS + prng.below(BALLOTS_PER_MS);
    const { version } = knowledge.document.ring;
    const ask: Round = { body: { kind: "promise", version, ballot }, forMs: asked.forMs / 2 };
    this.#ask(ask, now, (replies, at) => {
      const late = tooLate(asked, at);
      if (late !== null) return answer(fail(late));
      if (knowledge.document.ring.version !== version && attempt < ATTEMPTS_MAX) {
        return this.#prepare(asked, at, attempt + 1);
      }
      const refusal = this.#refusal(replies) ?? this.#otherRing(operation);
      if (refusal !== null) return answer(fail(refusal));
      const away = knowledge.ring.memberIds.filter((id) => !replies.has(id));
      const proposal = this.#proposal(operation, { ballot, away });
      if ("code" in proposal) return answer(fail(proposal));
      this.#propose(proposal, { ...asked, ballot }, at);
    });
  }

  /** By what a majority knows: a node's own view may be older than that of the operator. */
  #otherRing({ from }: CommitOperation): Failure | null {
    const { version } = this.#host.knowledge.document.ring;
    return from === undefined || from === version ? null : conflict(otherVersion(version, from));
  }

  #ask({ body, forMs }: Round, now: Millis, done: (replies: Replies, now: Millis) => void): void {
    const { document, timeoutMs: most } = this.#host.knowledge;
    const targets = document.ring.members.map(({ id }) => id);
    const timeoutMs = Math.min(most, Math.ceil(forMs));
    askAll(this.#host, { targets, body, timeoutMs, done }, now);
  }

  #refusal(replies: Replies): Failure | null {
    const heard = [...replies.values()].flatMap((r) => (r.kind === "promised" ? [r] : []));
    const required = majority(this.#host.knowledge.document.ring.members.length);
    const given = heard.filter(({ isGiven }) => isGiven);
    if (given.length >= required) return null;
    if (heard.length >= required) return RIVAL;
    return { ...tooFew(NOTHING_CHANGED, required, heard.length), isWithoutEffect: true };
  }

  #proposal(
    { change }: CommitOperation,
    by: { readonly ballot: number; readonly away: readonly ReplicaId[] },
  ): Proposal {
    const { document } = this.#host.knowledge;
    const { ring } = document;
    const open = openChange(ring);
    const [changing] = changingIn(document);
    if (changing !== undefined && open === null) return isResized(changing[0]);
    if (open === null && change["abort"] !== undefined) return NOT_CHANGING;
    if (open === null) return proposalOf(document, change, by);
    const plan = planChange(ring, open.to.members);
    if (change["abort"] === true) {
      if (open.phase === "settling") return conflict("It is too late: the new owners are in use.");
      return { ring: callOff(ring, by.ballot), plan };
    }
    const dead = idsToForce(ring, change).filter((id) => by.away.includes(id));
    if (dead.length === 0) return UNDER_WAY;
    return { ring: forceOut(ring, dead, by.ballot), plan };
  }

  #propose(
    { ring, plan }: { readonly ring: RingDocument; readonly plan: RingPlan },
    { ballot, answer, forMs }: Asked & { readonly ballot: number },
    now: Millis,
  ): void {
    const { knowledge } = this.#host;
    const document = encodeDocument({ ...knowledge.document, ring });
    const ask: Round = { body: { kind: "accept", ballot, document }, forMs: forMs / 2 };
    this.#ask(ask, now, (replies, at) => {
      const accepted = [...replies.values()].filter(({ kind }) => kind === "documented").length;
      const required = majority(ring.members.length);
      if (accepted >= required) {
        this.#tellNewcomers(at);
        return answer({ kind: "committed", plan });
      }
      const isRefused = [...replies.values()].some(({ kind }) => kind === "refused");
      answer(fail(isRefused ? RIVAL : tooFew(MAY_BEGIN, required, accepted)));
    });
  }

  /** A newcomer was not asked: it may know another ring, and is told of this one now. */
  #tellNewcomers(now: Millis): void {
    const { ring, timeoutMs } = this.#host.knowledge;
    const targets = ring.memberIds.filter((id) => ring.stateOf(id) === "joining");
    tellDocument(this.#host, { targets, timeoutMs }, now);
  }
}

const proposalOf = (...of: Parameters<typeof checkedProposal>): Proposal => {
  try {
    return checkedProposal(...of);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return invalid(error.message);
  }
};

/** @throws CodecError with what is wrong with the change */
function checkedProposal(
  { ring: document, namespaces }: ClusterDocument,
  change: CommitOperation["change"],
  { ballot, away }: { readonly ballot: number; readonly away: readonly ReplicaId[] },
): Proposal {
  const ring = agreedRing(document);
  const members = changedMembers(ring, change);
  for (const [name, { settings }] of namespaces) {
    if (settings === null || settings.n <= members.length) continue;
    const mend = "lower it, or keep more members";
    throw new CodecError(`namespace ${name} has n ${settings.n}: ${mend}`);
  }
  const plan = planChange(ring, members);
  const removed = ring.members.filter(({ id }) => !members.some((member) => member.id === id));
  const isSame = JSON.stringify(members) === JSON.stringify(ring.members);
  check(!isSame, "the change changes nothing: name members to add, remove or reweight");
  const forced = removed.map(({ id }) => id).filter((id) => away.includes(id));
  const to = layoutAfter(ring, members, ballot);
  return { ring: beginChange(ring, to, { ballot, forced }), plan };
}

/** Members that are already leaving, and whose removal is asked for again. */
function idsToForce(ring: RingDocument, change: CommitOperation["change"]): readonly ReplicaId[] {
  const { remove = [], ...others } = change;
  const isMore = Object.values(others).some((value) => Object.keys(value as object).length > 0);
  if (isMore || !Array.isArray(remove)) return [];
  const staying = new Set(openChange(ring)?.to.members.map(({ id }) => id));
  const isLeaving = (id: unknown): id is ReplicaId =>
    ring.members.some((member) => member.id === id) && !staying.has(id as ReplicaId);
  return remove.every(isLeaving) ? (remove as ReplicaId[]) : [];
}

const conflict = (detail: string): Failure => ({ code: "ring-conflict", detail });
const invalid = (problem: string): Failure => ({ code: "invalid-request", detail: problem });

const RIVAL = conflict("Another operator's change came first. See GET /v1/cluster/transfers.");
const UNDER_WAY = conflict(
  "Members are changing already. See GET /v1/cluster/transfers; remove a member that leaves once " +
    'more to give it up for dead, or call the change off with {"abort": true}.',
);

const isResized = (namespace: string): Failure =>
  conflict(
    `The N of namespace ${namespace} is changing. Commit when GET /v1/cluster/transfers shows no ` +
      "namespace, or set n back to what it was.",
  );
const NOT_CHANGING = conflict("No change of members is going on: there is nothing to call off.");

const NOTHING_CHANGED =
  "Fewer than a majority of the members could be reached: nothing was changed.";
/** One member that has accepted it is enough: the next proposer goes on with what it says. */
const MAY_BEGIN =
  "Fewer than a majority of the members acknowledged the change; it may begin all the same. See " +
  "GET /v1/cluster/transfers and GET /v1/cluster/ring before you ask for it again.";

const tooFew = (detail: string, required: number, achieved: number): Failure => ({
  code: "quorum-unavailable",
  ...{ detail, required, achieved },
});
