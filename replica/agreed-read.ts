/**
 * The usual read: the replica of the coordinating node holds the value, and each of the others that
 * the quorum needs sends the digest of that very entry. There is nothing to decide then, nor to
 * mend, and nothing more is kept of it than who has answered.
 *
 * Whatever else happens, another digest, a failure or a silence, is for a coordinator. It is made
 * with the first such thing, is told what happened until then, as it happened, and goes on from
 * there. So an answer, and what is asked of whom, is as if it had been there from the start.
 */
import { assert } from "../core/assert.ts";
import type { Entry } from "../core/entry.ts";
import { decodedOrNull } from "../core/entry-codec.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, Request } from "../core/messages.ts";
import type { Digest } from "../core/store.ts";
import type { Millis } from "../core/time.ts";
import type { Candidate } from "./candidate.ts";
import type { Coordinator, Outbox } from "./coordination.ts";
import { readNeed } from "./get-answers.ts";
import { GetCoordinator } from "./get-coordinator.ts";
import type { GetOutcome, GetPlan } from "./get-plan.ts";
import { Quorum } from "./quorum.ts";

const ONLY_DIGEST = { digestOnly: true, durably: false, isBounded: false } as const;

/** A read that may come to no more than that. */
interface Agreeing {
  readonly plan: GetPlan;
  /** The own replica's entry and its digest. */
  readonly entry: Entry;
  readonly digest: Digest;
  /** The others that are asked. */
  readonly others: readonly Candidate[];
  /** Those that count, the own replica so far. */
  readonly quorum: Quorum;
}

/** @returns null where it takes a coordinator from the start */
export function agreeing(plan: GetPlan): Agreeing | null {
  const { own = null, rules, candidates, session, bound = null } = plan;
  const [self] = candidates;
  if (own === null || own.isUnknown || own.entry === null || self === undefined) return null;
  if (rules.strict || session !== null || bound !== null) return null;
  if (rules.r < 2 || rules.r > candidates.length) return null;
  const others = candidates.slice(1, rules.r);
  if (others.some(({ isSuspect }) => isSuspect)) return null;
  const quorum = new Quorum(readNeed(plan));
  quorum.add(self, false);
  if (!quorum.couldBeMetWith(others)) return null;
  const entry = decodedOrNull(own.entry);
  return entry === null ? null : { plan, entry, digest: own.digest, others, quorum };
}

interface Agreed {
  readonly from: ReplicaId;
  readonly body: Reply;
  readonly at: Millis;
}

export class AgreedRead implements Coordinator {
  readonly #of: Agreeing;
  readonly #out: Outbox<GetOutcome>;
  readonly #agreed: Agreed[] = [];
  #startedAt: Millis = 0;
  #coordinator: GetCoordinator | null = null;

  constructor(of: Agreeing, out: Outbox<GetOutcome>) {
    this.#of = of;
    this.#out = out;
  }

  get wakeAt(): Millis {
    if (this.#coordinator !== null) return this.#coordinator.wakeAt;
    const { hedgeMs, rules } = this.#of.plan;
    return this.isOver ? Infinity : this.#startedAt + Math.min(hedgeMs, rules.timeoutMs);
  }

  /** The join of all that came, also of what came after the answer. */
  get merged(): Entry {
    return this.#coordinator?.merged ?? this.#of.entry;
  }

  get repairCount(): number {
    return this.#coordinator?.repairCount ?? 0;
  }

  get isOver(): boolean {
    return this.#coordinator?.isOver ?? this.#agreed.length === this.#of.others.length;
  }

  start(now: Millis): void {
    this.#startedAt = now;
    const { key } = this.#of.plan;
    const body = { kind: "read", key, ...ONLY_DIGEST } as const;
    for (const { id } of this.#of.others) this.#out.ask(id, body);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    if (this.#coordinator !== null || !this.#agrees(body)) {
      return this.#decided().reply(from, body, now);
    }
    this.#agreed.push({ from, body, at: now });
    if (this.isOver) this.#finish();
  }

  failed(from: ReplicaId, now: Millis): void {
    this.#decided().failed(from, now);
  }

  wake(now: Millis): void {
    this.#decided().wake(now);
  }

  #agrees(body: Reply): boolean {
    return body.kind === "held" && !body.isUnknown && body.digest === this.#of.digest;
  }

  #finish(): void {
    const { entry, others, quorum } = this.#of;
    for (const other of others) quorum.add(other, false);
    this.#out.finish({ ok: true, entry, tally: quorum.tally() });
  }

  /** The one that decides from now on. */
  #decided(): GetCoordinator {
    if (this.#coordinator !== null) return this.#coordinator;
    let isUpToDate = false;
    const ask = (to: ReplicaId, body: Request): void => {
      if (isUpToDate) return this.#out.ask(to, body);
      const wasAsked = this.#of.others.some(({ id }) => id === to);
      assert(wasAsked, "a coordinator asks first whom it would have asked at the start");
    };
    const finish = (outcome: GetOutcome): void => this.#out.finish(outcome);
    const coordinator = new GetCoordinator(this.#of.plan, { ask, finish });
    this.#coordinator = coordinator;
    coordinator.start(this.#startedAt);
    for (const { from, body, at } of this.#agreed) coordinator.reply(from, body, at);
    isUpToDate = true;
    return coordinator;
  }
}
