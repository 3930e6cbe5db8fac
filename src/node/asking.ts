/**
 * What a node asks of others, and of itself: tasks with their coordinators, the calls they make,
 * and what becomes of the answers. Before two nodes work together their cluster documents must be
 * equal: the callee refuses a request with another stamp (`stale`), both join their documents, and
 * the request is made anew.
 */
import { CodecError } from "../../core/check.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { isAnsweredTwice, isStored, type Reply, type Request } from "../../core/messages.ts";
import type { Millis } from "../../core/time.ts";
import { type ClusterDocument, encodeDocument } from "../../ring/cluster-document.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import type { Address, Effect } from "./peers/boundary.ts";
import {
  Calls,
  isTooLate,
  type OpenCall,
  type Standing,
  type Task,
  type Waker,
} from "./peers/calls.ts";
import { DOWN } from "./peers/request-kinds.ts";
import { RunningTask, type TaskWorld } from "./peers/running-task.ts";
import type { TaskStart } from "./peers/tasks.ts";

/**
 * How often one call is made anew because of cluster documents that differ. Each time one side has
 * learnt something, and the many steps of a change of members may come at once. The bound is there
 * for two versions of this program that would never agree.
 */
const ATTEMPTS_MAX = 16;

export interface AskingHost {
  readonly knowledge: Knowledge;
  /** The replica of this very node; null: it has none. */
  readonly selfId: ReplicaId | null;
  /** The node's own time at this very step. */
  now(): Millis;
  effect(effect: Effect): void;
  /** Work of this step that must not run inside other work. */
  later(work: () => void): void;
  learnBytes(document: Uint8Array): void;
  /** Asks the node's own replica. */
  answer(body: Request, respond: (reply: Reply) => void, deadline: Millis): void;
  /** What it replies at once; null where it does not, or plays that it fails. */
  answerAtOnce(body: Request): Reply | null;
}

export class Asking {
  readonly #host: AskingHost;
  readonly #calls: Calls;
  readonly #world: TaskWorld;
  #known: { readonly document: ClusterDocument; readonly standing: Standing } | null = null;
  /** The trace of whatever is worked on. */
  trace = "";

  constructor(host: AskingHost) {
    this.#host = host;
    this.#calls = new Calls(host.knowledge.liveness, host.knowledge.latencies);
    this.#world = {
      now: host.now,
      ask: (task, to, body) => this.#ask({ task, to, body, attempt: 1 }),
    };
  }

  get wakeAt(): Millis {
    return this.#calls.wakeAt;
  }

  /** How many requests are without an answer yet. */
  get openCount(): number {
    return this.#calls.openCount;
  }

  get #now(): Millis {
    return this.#host.now();
  }

  /**
   * Nobody takes connections at that address.
   *
   * @param isUnsent nothing of the request can have come there
   */
  unreachable(to: Address, callId: number, isUnsent: boolean): void {
    const call = this.#calls.refused(callId, to, this.#now);
    if (call !== undefined) this.#giveUp(call.task, to, isUnsent);
  }

  /** Wakes the coordinators whose time has come. */
  wakeDue(): void {
    for (;;) {
      const task = this.#calls.takeDue(this.#now);
      if (task === undefined) return;
      this.trace = task.trace;
      task.coordinator.wake(this.#now);
      this.#calls.settle(task, this.#now);
    }
  }

  /** To be called when a coordinator was told of something other than a reply: that may end it. */
  settle({ task }: Waker): void {
    if (task !== null) this.#calls.settle(task, this.#now);
  }

  /** Starts a coordinator, with the calls that it makes. */
  run<R>(start: TaskStart<R>, now: Millis): Waker {
    const begun = { at: now, trace: this.trace, standing: this.#standing };
    const task = new RunningTask(start, begun, this.#world);
    task.coordinator.start(now);
    this.#calls.settle(task, now);
    return task.waker;
  }

  #ask(ask: { task: Task; to: ReplicaId; body: Request; attempt: number }): void {
    const { task, to, body, attempt } = ask;
    if (this.#isOutdated(task)) return this.#host.later(() => this.#beginAnew(task));
    const { stamp } = this.#host.knowledge;
    if (isTooLate(body, task, this.#standing)) {
      return this.#host.later(() => this.#giveUp(task, to));
    }
    const call = this.#calls.open({ task, to, body, attempt, sentAt: this.#now, stamp });
    if (to === this.#host.selfId) {
      this.#host.later(() => this.#askSelf(call, body, task.deadline));
      return;
    }
    const budgetMs = Math.max(0, Math.ceil(task.deadline - this.#now));
    const message = { type: "request", call, stamp, budgetMs, trace: task.trace, body } as const;
    this.#host.effect({ kind: "send", to, message });
  }

  /**
   * Whether an operation's coordinator chose by an older document whom to ask, and how many. To ask
   * those with the present stamp would be to count former owners as owners.
   */
  #isOutdated({ routeStamp, again, isAnswered }: Task): boolean {
    return again !== null && !isAnswered && routeStamp !== this.#host.knowledge.routeStamp;
  }

  /** What a task that begins now goes by: the same until the cluster document changes. */
  get #standing(): Standing {
    const { document, ring, routeStamp } = this.#host.knowledge;
    if (this.#known?.document === document) return this.#known.standing;
    const member = ring.member(this.#host.selfId ?? "");
    const joined = member === undefined ? -1 : (member.joined ?? 0);
    const standing = { routeStamp, joined };
    this.#known = { document, standing };
    return standing;
  }

  #giveUp(task: Task, to: ReplicaId, isUnsent = false): void {
    task.coordinator.failed(to, this.#now, isUnsent);
    this.#calls.settle(task, this.#now);
  }

  #beginAnew(task: Task): void {
    if (task.again === null || task.isAnswered) return;
    task.isAnswered = true;
    this.#calls.abandon(task);
    task.again(this.#now);
  }

  #askSelf(call: number, body: Request, deadline: Millis): void {
    const self = this.#host.selfId ?? "";
    const respond = (reply: Reply): void =>
      this.#host.later(() => this.takeReply(call, self, reply));
    this.#host.answer(body, respond, deadline);
  }

  /** The own replica's reply without a task, where it has one at once; counted as any other. */
  askAtOnce(body: Request): Reply | null {
    const { selfId } = this.#host;
    const reply = selfId === null ? null : this.#host.answerAtOnce(body);
    if (selfId !== null && reply !== null) this.#calls.answeredAtOnce(selfId, body, this.#now);
    return reply;
  }

  takeReply(callId: number, from: Address, body: Reply): void {
    // A replica that plays dead is dead to its callers: to them it is like a refused connection.
    if (body.kind === "refused" && body.code === DOWN) return this.unreachable(from, callId, true);
    const isFirstOfTwo = isStored(body) && !body.durable;
    const open = this.#calls.peek(callId, from);
    if (open === undefined) {
      if (isStored(body) && body.durable) this.#calls.answeredLate(callId, from, this.#now);
      return;
    }
    const call =
      isFirstOfTwo && isAnsweredTwice(open.body)
        ? this.#calls.halfAnswered(open)
        : this.#calls.answered(callId, open, this.#now);
    this.trace = call.task.trace;
    try {
      this.#takeAnswer(call, from, body);
    } catch (error) {
      // A peer that answers nonsense counts as one that does not answer.
      if (!(error instanceof CodecError)) throw error;
      this.#giveUp(call.task, from);
    }
  }

  #takeAnswer(call: OpenCall, from: Address, body: Reply): void {
    if (body.kind === "stale") return this.#takeStale(call, body.document);
    if (body.kind === "documented" || body.kind === "promised") {
      this.#host.learnBytes(body.document);
    }
    call.task.coordinator.reply(from, body, this.#now);
    this.#calls.settle(call.task, this.#now);
  }

  /** The other side has another document: nothing was done there. Join, and ask anew. */
  #takeStale(call: OpenCall, bytes: Uint8Array): void {
    const { task, to, body, attempt } = call;
    this.#host.learnBytes(bytes);
    // Learnt just now, or for another task. To begin anew comes to an end: documents only grow.
    if (this.#isOutdated(task)) return this.#beginAnew(task);
    const isBehind = call.stamp !== this.#host.knowledge.stamp;
    if (attempt >= ATTEMPTS_MAX) return this.#giveUp(task, to);
    const document = encodeDocument(this.#host.knowledge.document);
    this.#host.effect({
      kind: "send",
      to,
      message: {
        type: "request",
        call: 0,
        stamp: this.#host.knowledge.stamp,
        budgetMs: 0,
        trace: task.trace,
        body: { kind: "document", document },
      },
    });
    this.#ask({ task, to, body, attempt: isBehind ? attempt : attempt + 1 });
  }
}
