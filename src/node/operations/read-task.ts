/** One read: whom it may ask, who coordinates it, and what is counted of it at its end. */
import type { Entry } from "../../../core/entry.ts";
import type { ReplyOf } from "../../../core/messages.ts";
import type { GetOperation } from "../../../core/operations.ts";
import type { QuorumRules } from "../../../core/quorum-options.ts";
import type { Millis } from "../../../core/time.ts";
import { AgreedRead, agreeing } from "../../../replica/agreed-read.ts";
import type { Candidate } from "../../../replica/candidate.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";
import { GetCoordinator } from "../../../replica/get-coordinator.ts";
import type { GetOutcome, GetPlan } from "../../../replica/get-plan.ts";
import type { Counters } from "../knowledge/counters.ts";
import { boundNeed, localNeed, strictOwners } from "../peers/routes.ts";
import type { FrontendHost, TaskStart } from "../peers/tasks.ts";

export interface ReadStart {
  readonly operation: Omit<GetOperation, "kind" | "options">;
  readonly rules: QuorumRules;
  readonly finish: (outcome: GetOutcome) => void;
  readonly again: ((now: Millis) => void) | null;
  /** The zone of the frontend that it is for; default: this node's. */
  readonly zone?: string;
}

/** The rules with that many replicas to count; no more of them can be primaries. */
const withCount = (rules: QuorumRules, count: number): QuorumRules => ({
  ...rules,
  r: count,
  pr: Math.min(rules.pr, count),
});

/**
 * What the first candidate replies, where that is this very node: it would be asked first, for the
 * value. What a strict read shows has to be durable, and that takes a while.
 */
function ownReply(
  { selfId, askSelf }: FrontendHost,
  { key, rules, candidates }: Pick<GetPlan, "key" | "rules" | "candidates">,
  isBounded: boolean,
): ReplyOf<"held"> | null {
  if (selfId === null || candidates[0]?.id !== selfId || rules.strict) return null;
  const reply = askSelf({ kind: "read", key, digestOnly: false, durably: false, isBounded });
  return reply?.kind === "held" ? reply : null;
}

export function planOf(
  host: FrontendHost,
  read: ReadStart,
  from: { readonly candidates: readonly Candidate[]; readonly zone: string },
): GetPlan {
  const { knowledge } = host;
  const { candidates, zone } = from;
  const { key, session, sessionEndsAt = 0 } = read.operation;
  const { onlyZone, count } = localNeed(candidates, read.rules, zone);
  const rules = count === null ? read.rules : withCount(read.rules, count);
  const bound = boundNeed(knowledge, rules);
  const { pending, strictCount } = strictOwners(knowledge, key, rules);
  return {
    key,
    rules,
    candidates,
    own: ownReply(host, { key, rules, candidates }, bound !== null),
    onlyZone,
    session,
    sessionEndsAt,
    pending,
    strictCount,
    isEveryone: candidates.length === knowledge.ring.memberIds.length,
    bound,
    hedgeMs: knowledge.liveness.hedgeMs,
    hash: knowledge.hash,
    wall: host.wall,
  };
}

/** Whether replies that came after the answer held something that it lacks. */
export const isStale = (answered: Entry | null, merged: Entry): boolean =>
  answered !== null && answered !== merged && !answered.context.includes(merged.context);

export class ReadTask implements TaskStart<GetOutcome> {
  readonly timeoutMs: number;
  readonly #read: ReadStart;
  readonly #plan: GetPlan;
  readonly #counters: Counters;
  #coordinator: GetCoordinator | AgreedRead | null = null;
  #answered: Entry | null = null;

  constructor(read: ReadStart, plan: GetPlan, counters: Counters) {
    this.timeoutMs = plan.rules.timeoutMs;
    this.#read = read;
    this.#plan = plan;
    this.#counters = counters;
  }

  get again(): ReadStart["again"] {
    return this.#read.again;
  }

  make(out: Outbox<GetOutcome>): Coordinator {
    const usual = agreeing(this.#plan);
    this.#coordinator =
      usual === null ? new GetCoordinator(this.#plan, out) : new AgreedRead(usual, out);
    return this.#coordinator;
  }

  finish(outcome: GetOutcome): void {
    if (outcome.ok) this.#answered = outcome.entry;
    this.#read.finish(outcome);
  }

  over(): void {
    if (this.#coordinator === null) return;
    this.#counters.readRepairs += this.#coordinator.repairCount;
    if (isStale(this.#answered, this.#coordinator.merged)) this.#counters.staleReads++;
  }
}
