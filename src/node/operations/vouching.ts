/**
 * Whether this node knows of every purge that was acknowledged before now. Such a purge is known to
 * a majority of the members, on stable storage. So a node that hears from a majority, by requests
 * that went out since, knows of it too: a member with another cluster document answers with that.
 *
 * The owners of a key vouch by answering a read. So only as many others are asked as the majority
 * lacks, and everybody when those have not answered by the hedge delay.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Reply } from "../../../core/messages.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { Millis } from "../../../core/time.ts";
import { askAll } from "../peers/fanout.ts";
import type { FrontendHost } from "../peers/tasks.ts";

export interface VouchersPlan {
  readonly host: FrontendHost;
  /** Those that may vouch by answering the read; none while owners change. */
  readonly owners: readonly ReplicaId[];
  /** How many of these will answer, if all goes well. */
  readonly expectedCount: number;
  readonly timeoutMs: number;
  /** Called whenever more may have vouched, and once when no more will. */
  readonly changed: () => void;
}

export class Vouchers {
  readonly #plan: VouchersPlan;
  readonly #heard = new Set<ReplicaId>();
  /** Whether everybody was asked, and nothing more is to be expected. */
  isOver = false;

  constructor(plan: VouchersPlan) {
    this.#plan = plan;
    const { selfId } = plan.host;
    if (selfId !== null && this.#members.includes(selfId)) this.#heard.add(selfId);
  }

  get required(): number {
    return majority(this.#members.length);
  }

  /** @param answeredCount how many of the owners have answered the read */
  count(answeredCount: number): number {
    const heardOwners = this.#plan.owners.filter((id) => this.#heard.has(id)).length;
    return this.#heard.size - heardOwners + Math.max(heardOwners, answeredCount);
  }

  start(now: Millis): void {
    const { owners, expectedCount, host, timeoutMs } = this.#plan;
    const missing = this.required - this.count(expectedCount);
    const { liveness } = host.knowledge;
    const others = this.#unheard()
      .filter((id) => !owners.includes(id))
      .sort((a, b) => Number(liveness.isSuspect(a)) - Number(liveness.isSuspect(b)));
    const deadline = now + timeoutMs;
    const askRest = (at: Millis): void => {
      if (this.count(expectedCount) >= this.required) return this.#end();
      const leftMs = Math.max(1, deadline - at);
      this.#ask(this.#unheard(), { timeoutMs: leftMs, done: () => this.#end() }, at);
    };
    if (missing <= 0) return this.#end();
    const firstMs = Math.min(timeoutMs, liveness.hedgeMs);
    this.#ask(others.slice(0, missing), { timeoutMs: firstMs, done: askRest }, now);
  }

  get #members(): readonly ReplicaId[] {
    return this.#plan.host.knowledge.ring.memberIds;
  }

  #unheard(): ReplicaId[] {
    return this.#members.filter((id) => !this.#heard.has(id));
  }

  #end(): void {
    this.isOver = true;
    this.#plan.changed();
  }

  #ask(
    targets: readonly ReplicaId[],
    { timeoutMs, done }: { readonly timeoutMs: number; readonly done: (now: Millis) => void },
    now: Millis,
  ): void {
    const heard = (from: ReplicaId, { kind }: Reply): void => {
      if (kind !== "pong") return;
      this.#heard.add(from);
      this.#plan.changed();
    };
    const question = { targets, body: { kind: "ping" } as const, timeoutMs, heard };
    askAll(this.#plan.host, { ...question, done: (_, at) => done(at) }, now);
  }
}
