/**
 * One node, put together: `step(input, now) → effects`, synchronous and deterministic. The same
 * code runs under the Node host's driver, in a Durable Object, in a Worker's frontend (without a
 * replica) and in the simulator.
 *
 * A client's operation starts a coordinator; the coordinator asks replicas; what it asks of this
 * process's own replica does not leave the process. A peer's request goes to the service, its reply
 * back. Before two nodes work together their cluster documents must be equal: the callee refuses a
 * request with another stamp (`stale`), both join their documents, and the request is made anew.
 */

import { assert } from "../../core/assert.ts";
import { CodecError } from "../../core/check.ts";
import { IdTable } from "../../core/id-table.ts";
import {
  type Message,
  type Reply,
  type Request,
  type RequestMessage,
  type RequestOf,
  UNKNOWN_REQUEST,
} from "../../core/messages.ts";
import type { Prng } from "../../core/prng.ts";
import type { Millis, Now, WallMillis } from "../../core/time.ts";
import type { GetOutcome } from "../../replica/get-plan.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { Asking } from "./asking.ts";
import { Documents } from "./documents.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import { claimStore } from "./knowledge/store-owner.ts";
import type { NodeParts } from "./node-parts.ts";
import { ClientOperations } from "./operations/client.ts";
import { OwnReplica, type OwnReplicaHost } from "./own-replica.ts";
import { Alarms } from "./peers/alarms.ts";
import type { Address, Effect, Input } from "./peers/boundary.ts";
import type { Waker } from "./peers/calls.ts";
import { Faults } from "./peers/faults.ts";
import { DOWN, FREE, isForItsAnswer } from "./peers/request-kinds.ts";
import type { TaskStart } from "./peers/tasks.ts";
import type { Replica } from "./replica/replica.ts";
import type { Service } from "./serving/service.ts";

type DurableCallback = (ok: boolean, now: Millis) => void;

export class Node {
  readonly knowledge: Knowledge;
  readonly #client: ClientOperations;
  readonly #asking: Asking;
  readonly #own: OwnReplica | null;
  readonly #faults: Faults | null = null;
  readonly #documents: Documents;
  /** Requests that a slow replica has not looked at yet, and feeds that wait for news. */
  readonly #delayed = new Alarms<() => void>();
  /**
   * What this node asks itself, and other work of this step that must not run inside other work.
   */
  readonly #later: (() => void)[] = [];
  readonly #flushing = new IdTable<readonly DurableCallback[]>();
  #unflushed: DurableCallback[] = [];
  #lastFlush = 0;
  #effects: Effect[] = [];
  #now: Millis = 0;
  #wall: WallMillis = 0;

  /** @throws ForeignStore when the store is another replica's */
  constructor(parts: NodeParts) {
    const { knowledge, prng, replica } = parts;
    this.knowledge = knowledge;
    const isCopy = replica !== null && claimStore(replica, knowledge.ring.document.name);
    this.#asking = new Asking({
      knowledge,
      selfId: replica?.id ?? null,
      now: () => this.#now,
      effect: (effect) => this.#effects.push(effect),
      later: (work) => this.#later.push(work),
      learnBytes: (document) => this.#documents.learnBytes(document),
      answer: (body, respond, deadline) => this.#answer(body, respond, deadline),
      answerAtOnce: (body) => this.#answerAtOnce(body),
    });
    const run = <R>(start: TaskStart<R>, now: Millis): Waker => this.#asking.run(start, now);
    const selfId = replica?.id ?? null;
    const askSelf = (body: Request): Reply | null => this.#asking.askAtOnce(body);
    const asking = { selfId, run, askSelf };
    this.#client = new ClientOperations({ knowledge, prng, ...asking, wall: this.#readWall });
    this.#documents = new Documents({
      knowledge,
      store: replica?.store ?? null,
      whenDurable: (callback) => this.#unflushed.push(callback),
      changed: () => this.#own?.documentChanged(),
    });
    const host = this.#hostOf(prng.fork(), run);
    this.#own =
      replica === null ? null : new OwnReplica({ ...replica, isCopy, mintsBy: prng.fork() }, host);
    if (replica?.takesFaults === true) this.#faults = new Faults(prng.fork(), replica.store);
  }

  /** null on a frontend that stores nothing. */
  get replica(): Replica | null {
    return this.#own?.replica ?? null;
  }

  /** The replica's side of the protocol; null on a frontend that stores nothing. */
  get service(): Service | null {
    return this.#own?.service ?? null;
  }

  /** When the node wants a `tick`; Infinity for not at all. */
  get wakeAt(): Millis {
    const jobsAt = this.#own?.jobTable.wakeAt ?? Infinity;
    return Math.min(this.#asking.wakeAt, jobsAt, this.#delayed.nextAt);
  }

  /** How many requests of its own are without an answer yet. */
  get openCallCount(): number {
    return this.#asking.openCount;
  }

  /** Takes one input; what follows from it is in the effects, in the order to carry them out. */
  step(input: Input, now: Now): readonly Effect[] {
    return this.stepAll([input], now);
  }

  /**
   * The same for several that came together, taken one after the other: what a step costs by itself
   * is paid once, and what they write is flushed in one go.
   */
  stepAll(inputs: readonly Input[], now: Now): readonly Effect[] {
    assert(this.#later.length === 0, "a step finishes what it began");
    assert(now.monotonic >= this.#now, "a node's own time never runs backwards");
    this.#now = now.monotonic;
    this.#wall = this.knowledge.clusterClock.believed(now);
    this.service?.keeper.advance({ monotonic: this.#now, wall: this.#wall });
    this.#effects = [];
    this.service?.jobs.lives.time.notice(now);
    this.service?.jobs.tails?.notice(now);
    this.service?.jobs.absence?.notice(now);
    for (const input of inputs) {
      this.#take(input);
      this.#doLater();
    }
    while (this.#unflushed.length > 0) this.#flush();
    this.service?.jobs.refill.run(this.#now);
    return this.#effects;
  }

  #doLater(): void {
    for (let work = this.#later.shift(); work !== undefined; work = this.#later.shift()) work();
  }

  /** As a function that can be handed on without the node. */
  readonly #readWall = (): WallMillis => this.#wall;

  #take(input: Input): void {
    switch (input.kind) {
      case "client":
        return this.#takeClient(input);
      case "message":
        return this.#takeMessage(input.from, input.message);
      case "unreachable":
        return this.#asking.unreachable(input.to, input.call, input.isUnsent === true);
      case "flushed":
        return this.#takeFlushed(input.token, input.ok);
      case "job":
        return this.#own?.jobTable.runNow(input.name, this.#now);
      case "tick":
        return this.#takeTick();
    }
  }

  #takeClient({ token, operation, trace }: Extract<Input, { kind: "client" }>): void {
    this.#asking.trace = trace;
    let isAnswered = false;
    this.#client.start(
      operation,
      (result) => {
        assert(!isAnswered, "a client is answered once");
        isAnswered = true;
        this.#effects.push({ kind: "answer", token, result });
      },
      this.#now,
    );
  }

  #takeMessage(from: Address, message: Message): void {
    if (message.type === "reply") this.#asking.takeReply(message.call, from, message.body);
    else this.#serve(from, message);
  }

  #takeFlushed(token: number, ok: boolean): void {
    const callbacks = this.#flushing.get(token) ?? [];
    this.#flushing.delete(token);
    for (const callback of callbacks) callback(ok, this.#now);
  }

  #takeTick(): void {
    this.#asking.trace = "";
    this.#own?.jobTable.run(this.#now);
    for (let work = this.#delayed.take(this.#now); work !== undefined; ) {
      work();
      work = this.#delayed.take(this.#now);
    }
    this.#asking.wakeDue();
  }

  #serve(from: Address, message: RequestMessage): void {
    const { call, stamp, body, trace, budgetMs } = message;
    this.#asking.trace = trace;
    if (budgetMs === 0 && isForItsAnswer(body)) {
      this.knowledge.counters.lateRequests++;
      return;
    }
    const respond = (reply: Reply): void => {
      this.#effects.push({ kind: "send", to: from, message: { type: "reply", call, body: reply } });
    };
    const isFree = FREE.has(body.kind);
    if (!isFree && stamp !== this.knowledge.stamp) {
      return respond({ kind: "stale", document: encodeDocument(this.knowledge.document) });
    }
    this.#answer(body, respond, this.#now + budgetMs);
  }

  #answer(body: Request, respond: (reply: Reply) => void, deadline: Millis): void {
    if (body.kind === "fault") return respond(this.#takeFault(body));
    if (this.#faults === null) return this.#carryOut(body, respond, deadline);
    const fate = this.#faults.fateOfRequest(this.#wall);
    if (fate.kind === "drop") return;
    if (fate.kind === "refuse") return respond({ kind: "refused", code: DOWN });
    const respondOrLose = (reply: Reply): void => {
      if (this.#faults?.losesReply(this.#wall) !== true) respond(reply);
    };
    const work = (): void => this.#carryOut(body, respondOrLose, deadline);
    if (fate.delayMs === 0) work();
    else this.#delayed.set(this.#now + fate.delayMs, work);
  }

  #answerAtOnce(body: Request): Reply | null {
    const fault = this.#faults?.current(this.#wall) ?? null;
    if (this.#own === null || fault !== null) return null;
    const replies: Reply[] = [];
    this.#carryOut(body, (reply) => void replies.push(reply), Infinity);
    return replies[0] ?? null;
  }

  #takeFault({ isChange, fault }: RequestOf<"fault">): Reply {
    const faults = this.#faults;
    if (faults === null) return { kind: "refused", code: "faults-off" };
    if (isChange) faults.set(fault);
    return { kind: "faulted", fault: faults.current(this.#wall) };
  }

  #carryOut(body: Request, respond: (reply: Reply) => void, deadline: Millis): void {
    try {
      if (body.kind === "unknown") return respond(UNKNOWN_REQUEST);
      if (body.kind === "document") return this.#documents.take(body, respond);
      if (body.kind === "promise") return this.#documents.takePromise(body, respond);
      if (body.kind === "accept") return this.#documents.takeAccept(body, respond);
      if (this.service === null) return respond({ kind: "refused", code: "overloaded" });
      this.service.handle(body, respond, deadline);
    } catch (error) {
      // The peer sent something malformed: that is its error, and nothing was done.
      if (!(error instanceof CodecError)) throw error;
      respond({ kind: "refused", code: "malformed" });
    }
  }

  /** Where nothing waits for the disk all is durable already, and no flush is needed. */
  #flush(): void {
    const store = this.service?.keeper.store;
    this.service?.keeper.arrivals.settle();
    const callbacks = this.#unflushed;
    this.#unflushed = [];
    if (store?.stagedByteCount === 0 && store.health() === "writable") {
      for (const callback of callbacks) callback(true, this.#now);
      return this.#doLater();
    }
    const token = ++this.#lastFlush;
    this.#flushing.add(token, callbacks);
    this.#effects.push({ kind: "flush", token });
  }

  /** What the replica needs of the node around it. */
  #hostOf(prng: Prng, run: OwnReplicaHost["run"]): OwnReplicaHost {
    const { knowledge } = this;
    return {
      knowledge,
      prng,
      run,
      settle: (waker) => this.#asking.settle(waker),
      now: () => this.#now,
      wall: this.#readWall,
      later: (...works) => void this.#later.push(...works),
      whenDurable: (callback) => void this.#unflushed.push(callback),
      setAlarm: (at, work) => this.#delayed.set(at, work),
      readFirst: (request, timeoutMs, done) => this.#readFirst(request, timeoutMs, done),
      operate: (operation, answer) => this.#client.start(operation, answer, this.#now),
      learn: (document) => void this.#documents.learn(document),
      documentChanged: () => this.#documents.keep(),
      noticed: (duplicate, isToEnd) => {
        knowledge.counters.duplicatesNoticed++;
        this.#effects.push({ kind: "duplicate", duplicate, isToEnd });
      },
      isAway: () => this.#faults?.isAway(this.#wall) === true,
    };
  }

  #readFirst(
    request: RequestOf<"coordinate">,
    timeoutMs: number,
    done: (outcome: GetOutcome) => void,
  ): void {
    const rules = { ...request.rules, timeoutMs };
    const { key, zone } = request;
    const operation = { key, session: null };
    this.#client.read({ operation, rules, finish: done, again: null, zone }, this.#now);
  }
}
