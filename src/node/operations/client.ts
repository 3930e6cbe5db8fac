/**
 * A node's frontend half: turns a client's operation into the coordinator that carries it out, and
 * the outcome into the client's result. It needs no store; a Worker's frontend is this and nothing
 * else.
 */

import type { Failure } from "../../../core/failure.ts";
import { newOpId, type OpId, type ReplicaId } from "../../../core/ids.ts";
import type { WriteRules } from "../../../core/message-values.ts";
import type { ReplyOf } from "../../../core/messages.ts";
import type {
  GetOperation,
  MergeOperation,
  Operation,
  WriteOperation,
} from "../../../core/operations.ts";
import { majority, onSide, type QuorumRules } from "../../../core/quorum-options.ts";
import type { FailedResult, ResultOf, WriteResult } from "../../../core/results.ts";
import type { Millis } from "../../../core/time.ts";
import type { Candidate } from "../../../replica/candidate.ts";
import type { GetOutcome } from "../../../replica/get-plan.ts";
import { type MergeOutcome, MergeRouter } from "../../../replica/merge-router.ts";
import { type WriteOutcome, WriteRouter } from "../../../replica/write-router.ts";
import { askAll } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { startLease } from "../serving/leases.ts";
import { ClusterOperations } from "./cluster-operations.ts";
import { startFaultOperation } from "./fault-operation.ts";
import { FeedCoordinator } from "./feed-coordinator.ts";
import { readAtHome } from "./home-read.ts";
import { startPurge } from "./purge-operation.ts";
import { planOf, type ReadStart, ReadTask } from "./read-task.ts";
import { Vouchers } from "./vouching.ts";

export class ClientOperations {
  readonly #host: FrontendHost;
  readonly #cluster: ClusterOperations;
  readonly #feeds: FeedCoordinator;

  constructor(host: FrontendHost) {
    this.#host = host;
    this.#cluster = new ClusterOperations(host);
    this.#feeds = new FeedCoordinator(host);
  }

  start(operation: Operation, answer: Respond, now: Millis): void {
    switch (operation.kind) {
      case "get":
        return this.get(operation, answer, now);
      case "write":
        return this.#write(
          operation,
          { answer, op: newOpId(this.#host.prng), isRetry: false, asked: [], begunAt: now },
          now,
        );
      case "fault":
        return startFaultOperation(this.#host, { operation, answer }, now);
      case "lease":
        return startLease(this.#host, { operation, answer }, now);
      case "changes":
        return this.#feeds.start(operation, answer, now);
      case "purge":
        return startPurge(this.#host, { operation, answer }, now);
      case "merge":
        return this.#merge(operation, answer, now);
      default:
        return this.#cluster.start(operation, answer, now);
    }
  }

  /** @param begunAt when the client asked: an operation that is begun anew gets no more time */
  get(operation: GetOperation, answer: Respond<"get">, now: Millis, begunAt = now): void {
    const asked = this.#rules(operation, answer, "r");
    if (asked === null) return;
    const timeoutMs = leftOf(asked.timeoutMs, now - begunAt);
    const rules = timeoutMs === asked.timeoutMs ? asked : { ...asked, timeoutMs };
    const finish = (outcome: GetOutcome): void => answer(gotOf(outcome, rules));
    const atHome = readAtHome(this.#host, operation, rules);
    if (atHome !== null) return finish(atHome);
    const again = (at: Millis): void => this.get(operation, answer, at, begunAt);
    const { memberIds } = this.#host.knowledge.ring;
    // Where the replicas read from are a majority of all, they vouch for the purges by themselves.
    if (rules.strict && rules.r < majority(memberIds.length)) {
      return this.#getVouched({ operation, rules, finish, again }, now);
    }
    this.read({ operation, rules, finish, again }, now);
  }

  /** What was found is shown as soon as it is certain that no purge was missed. */
  #getVouched(
    { operation, rules, ...get }: ReadStart & { readonly operation: GetOperation },
    now: Millis,
  ): void {
    const { knowledge } = this.#host;
    let found: GetOutcome | null = null;
    let isOver = false;
    const finish = (outcome: GetOutcome): void => {
      if (!isOver) get.finish(outcome);
      isOver = true;
    };
    const settle = (): void => {
      if (found === null) return;
      if (!found.ok) return finish(found);
      const count = vouchers.count(found.tally.primaries);
      // It may have been read before the purge was heard of.
      const shown = { ...found, entry: knowledge.purges.apply(operation.key, found.entry) };
      if (count >= vouchers.required) finish(shown);
      else if (vouchers.isOver) finish({ ok: false, failure: unvouched(vouchers.required, count) });
    };
    const again = (at: Millis): void => {
      if (!isOver) get.again?.(at);
      isOver = true;
    };
    const { n, r, timeoutMs } = rules;
    const isChanging = knowledge.pending(operation.key, n).length > 0;
    const { ring } = knowledge;
    const owners = isChanging ? [] : ring.primariesOf(ring.partitionOf(operation.key), n);
    const expectedCount = Math.min(r, owners.length);
    const plan = { host: this.#host, owners, expectedCount, timeoutMs, changed: settle };
    const vouchers = new Vouchers(plan);
    const keep = (outcome: GetOutcome): void => {
      found = outcome;
      settle();
    };
    vouchers.start(now);
    this.read({ operation, rules, finish: keep, again }, now);
  }

  /**
   * Reads by rules that are numbers already; a write's precondition is judged by such a read, too.
   */
  read(read: ReadStart, now: Millis): void {
    const { knowledge, selfId } = this.#host;
    const partition = knowledge.ring.partitionOf(read.operation.key);
    const { zone = knowledge.zone } = read;
    const candidates = knowledge.candidates(partition, read.rules, { self: selfId, now, zone });
    this.#probe(candidates, now);
    const plan = planOf(this.#host, read, { candidates, zone });
    this.#host.run<GetOutcome>(new ReadTask(read, plan, knowledge.counters), now);
  }

  #write(operation: WriteOperation, state: WriteState, now: Millis): void {
    const { answer } = state;
    const rules = this.#rules(operation, answer, "w");
    if (rules === null) return;
    const { knowledge, selfId } = this.#host;
    const { key, precondition } = operation;
    const partition = knowledge.ring.partitionOf(key);
    const candidates = knowledge.candidates(partition, rules, { self: selfId, now });
    this.#probe(candidates, now);
    const request = {
      kind: "coordinate",
      key,
      op: state.op,
      isRetry: state.isRetry,
      ageMs: Math.max(0, Math.ceil(now - state.begunAt)),
      content: operation.content,
      ttlMs: operation.ttlMs,
      covers: operation.context,
      freshUntil: 0,
      ifMatch: precondition?.ifMatch ?? [],
      ifNoneMatch: precondition?.ifNoneMatch ?? [],
      unmodifiedSince: precondition?.unmodifiedSince ?? 0,
      rules: writeRules(rules),
      zone: knowledge.zone,
    } as const;
    const hedgeMs = Math.min(rules.timeoutMs / 2, 4 * knowledge.liveness.hedgeMs + 100);
    const timeoutMs = leftOf(rules.timeoutMs, now - state.begunAt);
    const lifeOf = (id: ReplicaId, at: Millis) => knowledge.peerTimes.of(id, at);
    const { asked } = state;
    const plan = { request, candidates, asked, timeoutMs, hedgeMs, wall: this.#host.wall, lifeOf };
    let router: WriteRouter | null = null;
    this.#host.run<WriteOutcome>(
      {
        timeoutMs,
        make: (out) => {
          router = new WriteRouter(plan, out);
          return router;
        },
        finish: (outcome) => {
          if (outcome.ok) answer(this.#written(outcome.reply));
          else answer({ kind: "failed", failure: outcome.failure, context: outcome.context });
        },
        again: (at) => {
          const isRetry = state.isRetry || (router?.mayBeMinted ?? false);
          this.#write(operation, { ...state, isRetry, asked: router?.asked ?? asked }, at);
        },
      },
      now,
    );
  }

  /** It may begin anew by a newer document: to join the same once more changes nothing. */
  #merge(operation: MergeOperation, answer: Respond<"merge">, now: Millis): void {
    const rules = this.#rules(operation, answer, "w");
    if (rules === null) return;
    const { knowledge, selfId } = this.#host;
    const { key, entry } = operation;
    const partition = knowledge.ring.partitionOf(key);
    const candidates = knowledge.candidates(partition, rules, { self: selfId, now });
    this.#probe(candidates, now);
    const { zone, liveness } = knowledge;
    const request = { kind: "merge", key, entry, rules: writeRules(rules), zone } as const;
    const { timeoutMs } = rules;
    const hedgeMs = Math.min(timeoutMs / 2, 4 * liveness.hedgeMs + 100);
    const plan = { request, candidates, timeoutMs, hedgeMs };
    this.#host.run<MergeOutcome>(
      {
        timeoutMs,
        make: (out) => new MergeRouter(plan, out),
        finish: (outcome) => {
          if (outcome.ok) answer({ kind: "merged", wasKnown: outcome.wasKnown });
          else answer(fail(outcome.failure));
        },
        again: (at) => this.#merge(operation, answer, at),
      },
      now,
    );
  }

  /**
   * A node without heartbeats hears from a suspected replica only when it asks it, and it asks
   * suspects last. So now and then a suspect that the request could have used is asked whether it
   * lives, beside the request and without making it wait (the half-open state of a circuit
   * breaker).
   */
  #probe(candidates: readonly Candidate[], now: Millis): void {
    const { knowledge, selfId } = this.#host;
    if (selfId !== null) return;
    const { liveness } = knowledge;
    const due = candidates.find(({ id, isSuspect }) => isSuspect && liveness.takeProbe(id, now));
    if (due === undefined) return;
    const { timeoutMs } = knowledge;
    askAll(this.#host, { targets: [due.id], body: { kind: "ping" }, timeoutMs }, now);
  }

  #written(reply: ReplyOf<"coordinated">): WriteResult {
    const { created, sibling, context, siblingCount, tally } = reply;
    return { kind: "written", created, sibling, context, siblingCount, tally };
  }

  /** Every option is checked on every method; the first bad one is the answer. */
  #rules(
    operation: Pick<GetOperation, "key" | "options">,
    answer: (failed: FailedResult) => void,
    side: "r" | "w",
  ): QuorumRules | null {
    const { key, options } = operation;
    const resolution = this.#host.knowledge.resolve(key, options);
    if (resolution.ok) return onSide(resolution.rules, options, side);
    answer(fail({ code: "invalid-option", ...resolution.error }));
    return null;
  }
}

function gotOf(outcome: GetOutcome, { maxStaleMs, staleW }: QuorumRules): ResultOf<"get"> {
  if (!outcome.ok) return fail(outcome.failure);
  const { entry, tally, staleBoundMs } = outcome;
  if (maxStaleMs === undefined || staleW === undefined) return { kind: "got", entry, tally };
  if (staleBoundMs === undefined) return fail(UNPROVEN);
  return { kind: "got", entry, tally, staleBoundMs, staleW };
}

/** A write's rules, without a read's bound of staleness. */
function writeRules(rules: QuorumRules): WriteRules {
  const { maxStaleMs, staleW, ...ofWrites } = rules;
  return maxStaleMs === undefined && staleW === undefined ? rules : ofWrites;
}

/** A client that asked for a bound never gets an answer without one. */
const UNPROVEN: Failure = {
  code: "staleness-unproven",
  detail:
    "No replica could prove a bound: read without max_stale, with r + w above n, or strictly.",
};

/** What is left of a request's time. */
const leftOf = (timeoutMs: number, elapsedMs: number): number =>
  Math.max(1, timeoutMs - Math.max(0, elapsedMs));

const unvouched = (required: number, achieved: number): Failure => ({
  code: "quorum-unavailable",
  detail: "Fewer than a majority of the members could say whether the value was purged.",
  required,
  achieved,
});

interface WriteState {
  readonly answer: Respond<"write">;
  readonly op: OpId;
  readonly isRetry: boolean;
  /** By whom it may have been minted in the attempts before. */
  readonly asked: readonly ReplicaId[];
  /** When its first attempt began, by whatever cluster document. */
  readonly begunAt: Millis;
}
