/**
 * One node, put together: `step(input, now) → effects`, synchronous and deterministic. The same
 * code runs under the Node host's driver, in a Durable Object, in a Worker's frontend (without a
 * replica) and in the simulator.
 *
 * A client's operation starts a coordinator; the coordinator asks replicas; what this process's own
 * replica is asked does not leave it. A peer's request goes to the service, its reply back. Before
 * two nodes work together their cluster documents must be equal: the callee refuses a request with
 * another stamp (`stale`), both join their documents, and the request is made anew.
 */

import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { assert } from "../../core/assert.ts";
import { CodecError } from "../../core/codec.ts";
import { IdTable } from "../../core/id-table.ts";
import type { ReplicaId } from "../../core/ids.ts";
import {
  isStored,
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
import { Keeper } from "../../replica/keeper.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { Documents } from "./documents.ts";
import type { Background } from "./jobs/background.ts";
import { backgroundWork, gracesOf, type Intervals } from "./jobs/background-work.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import { claimStore } from "./knowledge/store-owner.ts";
import { Membership } from "./membership.ts";
import type { NodeParts, ReplicaParts } from "./node-parts.ts";
import { ClientDesk } from "./operations/client.ts";
import { Alarms } from "./peers/alarms.ts";
import type { Address, Effect, Input } from "./peers/boundary.ts";
import { type Call, Calls, isTooLate, type Task, type Waker } from "./peers/calls.ts";
import { Faults, faultFromList, faultToList } from "./peers/faults.ts";
import { DOWN, FREE, isForItsAnswer } from "./peers/request-kinds.ts";
import type { TaskStart } from "./peers/tasks.ts";
import { rulesFromList } from "./peers/wire.ts";
import { Planting } from "./serving/planting.ts";
import { Service } from "./serving/service.ts";

/**
 * How often one call is made anew because of cluster documents that differ. Every time one side has
 * learnt something, and a change of members has many steps that may come at once; the bound is
 * there for two versions of this program that would never agree.
 */
const ATTEMPTS_MAX = 16;
type DurableCallback = (ok: boolean, now: Millis) => void;

export class Node {
  readonly knowledge: Knowledge;
  readonly service: Service | null;
  readonly #desk: ClientDesk;
  readonly #calls: Calls;
  readonly #jobs: Background | null = null;
  readonly #faults: Faults | null = null;
  readonly #documents: Documents;
  #membership: Membership | null = null;
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
  #trace = "";
  #now: Millis = 0;
  #wall: WallMillis = 0;

  /** @throws ForeignStore when the store is another replica's */
  constructor(parts: NodeParts) {
    const { knowledge, prng, replica } = parts;
    this.knowledge = knowledge;
    const isCopy = replica !== null && claimStore(replica, knowledge.ring.document.name);
    this.#calls = new Calls(knowledge.liveness, knowledge.latencies);
    const run = <R>(start: TaskStart<R>, now: Millis): void => this.#run(start, now);
    const selfId = replica?.id ?? "";
    this.#desk = new ClientDesk({ knowledge, prng, selfId, run, wall: this.#readWall });
    this.#documents = new Documents({
      knowledge,
      store: replica?.store ?? null,
      whenDurable: (callback) => this.#unflushed.push(callback),
      changed: () => this.#documentChanged(),
    });
    const jobsPrng = prng.fork();
    this.service =
      replica === null ? null : this.#makeService({ ...replica, isCopy, prng: prng.fork() });
    if (replica?.takesFaults === true) this.#faults = new Faults(prng.fork(), replica.store);
    if (this.service !== null && replica !== null) {
      this.#jobs = this.#startWork(this.service, { ...replica, prng: jobsPrng });
    }
  }

  /** When the node wants a `tick`; Infinity for not at all. */
  get wakeAt(): Millis {
    const jobsAt = this.#jobs?.wakeAt ?? Infinity;
    return Math.min(this.#calls.wakeAt, jobsAt, this.#delayed.nextAt);
  }

  /** How many requests of its own are without an answer yet. */
  get openCallCount(): number {
    return this.#calls.openCount;
  }

  /**
   * Takes one input; what follows from it is in the effects, in the order in which to carry out.
   */
  step(input: Input, now: Now): readonly Effect[] {
    assert(this.#later.length === 0, "a step finishes what it began");
    assert(now.monotonic >= this.#now, "a node's own time never runs backwards");
    this.#now = now.monotonic;
    this.#wall = this.knowledge.clusterClock.believed(now);
    this.service?.keeper.advance({ monotonic: this.#now, wall: this.#wall });
    this.#effects = [];
    this.service?.background?.tails?.notice(now);
    this.service?.background?.absence?.notice(now);
    this.#take(input);
    for (let work = this.#later.shift(); work !== undefined; work = this.#later.shift()) work();
    if (this.#unflushed.length > 0) this.#flush();
    return this.#effects;
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
        return this.#takeUnreachable(input.to, input.call);
      case "flushed":
        return this.#takeFlushed(input.token, input.ok);
      case "job":
        return this.#jobs?.runNow(input.name, this.#now);
      case "tick":
        return this.#takeTick();
    }
  }

  #takeClient({ token, operation, trace }: Extract<Input, { kind: "client" }>): void {
    this.#trace = trace;
    let isAnswered = false;
    this.#desk.start(
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
    if (message.type === "reply") this.#takeReply(message.call, from, message.body);
    else this.#serve(from, message);
  }

  #takeUnreachable(to: Address, callId: number): void {
    const call = this.#calls.refused(callId, to, this.#now);
    if (call !== undefined) this.#giveUp(call.task, to);
  }

  #takeFlushed(token: number, ok: boolean): void {
    const callbacks = this.#flushing.get(token) ?? [];
    this.#flushing.delete(token);
    for (const callback of callbacks) callback(ok, this.#now);
  }

  #takeTick(): void {
    this.#trace = "";
    this.#jobs?.run(this.#now);
    for (let work = this.#delayed.take(this.#now); work !== undefined; ) {
      work();
      work = this.#delayed.take(this.#now);
    }
    for (;;) {
      const task = this.#calls.takeDue(this.#now);
      if (task === undefined) return;
      this.#trace = task.trace;
      task.coordinator.wake(this.#now);
      this.#calls.settle(task, this.#now);
    }
  }

  #run<R>(start: TaskStart<R>, now: Millis): void {
    const trace = this.#trace;
    // The coordinator and its task refer to each other: calls made while it starts find the task.
    const tasks: Task[] = [];
    const ask = (to: ReplicaId, body: Request): void => {
      const [task] = tasks;
      assert(task !== undefined, "a coordinator asks nobody before it is started");
      this.#ask({ task, to, body, attempt: 1 });
    };
    const finish = (result: R): void => {
      for (const task of tasks) task.isAnswered = true;
      start.finish(result, this.#now);
    };
    const coordinator = start.make({ ask, finish });
    const deadline = now + start.timeoutMs;
    const open = new Set<number>();
    const waker: Waker = { task: null };
    const task: Task = {
      coordinator,
      trace,
      deadline,
      routeStamp: this.knowledge.routeStamp,
      joined: this.#joined,
      again: start.again,
      open,
      over: start.over ?? null,
      isAnswered: false,
      alarmAt: Infinity,
      waker,
    };
    waker.task = task;
    tasks.push(task);
    coordinator.start(now);
    this.#calls.settle(task, now);
  }

  #ask(ask: { task: Task; to: ReplicaId; body: Request; attempt: number }): void {
    const { task, to, body } = ask;
    if (this.#isOutdated(task)) return void this.#later.push(() => this.#beginAnew(task));
    const { stamp, routeStamp } = this.knowledge;
    if (isTooLate(body, task, { routeStamp, joined: this.#joined })) {
      return void this.#later.push(() => this.#giveUp(task, to));
    }
    const call = this.#calls.open({ ...ask, sentAt: this.#now, stamp });
    if (to === this.service?.id) {
      this.#later.push(() => this.#askSelf(call, body, task.deadline));
      return;
    }
    const budgetMs = Math.max(0, Math.ceil(task.deadline - this.#now));
    const message = { type: "request", call, stamp, budgetMs, trace: task.trace, body } as const;
    this.#effects.push({ kind: "send", to, message });
  }

  /**
   * Whether an operation's coordinator chose by an older document whom to ask, and how many. To ask
   * those with the stamp of now would be to count owners of once as owners.
   */
  #isOutdated({ routeStamp, again, isAnswered }: Task): boolean {
    return again !== null && !isAnswered && routeStamp !== this.knowledge.routeStamp;
  }

  get #joined(): number {
    const member = this.knowledge.ring.member(this.service?.id ?? "");
    return member === undefined ? -1 : (member.joined ?? 0);
  }

  #giveUp(task: Task, to: ReplicaId): void {
    task.coordinator.failed(to, this.#now);
    this.#calls.settle(task, this.#now);
  }

  #beginAnew(task: Task): void {
    if (task.again === null || task.isAnswered) return;
    task.isAnswered = true;
    this.#calls.abandon(task);
    task.again(this.#now);
  }

  #askSelf(call: number, body: Request, deadline: Millis): void {
    const self = this.service?.id ?? "";
    const respond = (reply: Reply): void =>
      void this.#later.push(() => this.#takeReply(call, self, reply));
    this.#answer(body, respond, deadline);
  }

  #takeReply(callId: number, from: Address, body: Reply): void {
    // A replica that plays dead is dead to its callers: they learn it as of a refused connection.
    if (body.kind === "refused" && body.code === DOWN) return this.#takeUnreachable(from, callId);
    const isFirstOfTwo = isStored(body) && !body.durable;
    const open = this.#calls.peek(callId, from);
    if (open === undefined) return;
    const expectsTwo = open.body.kind === "store" && open.body.ack === 2;
    const call =
      isFirstOfTwo && expectsTwo
        ? this.#calls.halfAnswered(open)
        : this.#calls.answered(callId, from, this.#now);
    if (call === undefined) return;
    this.#trace = call.task.trace;
    try {
      this.#takeAnswer(call, from, body);
    } catch (error) {
      // A peer that answers nonsense is one that does not answer.
      if (!(error instanceof CodecError)) throw error;
      this.#giveUp(call.task, from);
    }
  }

  #takeAnswer(call: Call, from: Address, body: Reply): void {
    if (body.kind === "stale") return this.#takeStale(call, body.document);
    if (body.kind === "documented" || body.kind === "promised") {
      this.#documents.learnBytes(body.document);
    }
    call.task.coordinator.reply(from, body, this.#now);
    this.#calls.settle(call.task, this.#now);
  }

  /** The other side has another document: nothing was done there. Join, and ask anew. */
  #takeStale(call: Call, bytes: Uint8Array): void {
    const { task, to, body, attempt } = call;
    this.#documents.learnBytes(bytes);
    // What this node has learnt since, maybe for another task: it ends, since documents only grow.
    if (this.#isOutdated(task)) return this.#beginAnew(task);
    const isBehind = call.stamp !== this.knowledge.stamp;
    if (attempt >= ATTEMPTS_MAX) return this.#giveUp(task, to);
    const document = encodeDocument(this.knowledge.document);
    this.#effects.push({
      kind: "send",
      to,
      message: {
        type: "request",
        call: 0,
        stamp: this.knowledge.stamp,
        budgetMs: 0,
        trace: task.trace,
        body: { kind: "document", document },
      },
    });
    this.#ask({ task, to, body, attempt: isBehind ? attempt : attempt + 1 });
  }

  #serve(from: Address, message: RequestMessage): void {
    const { call, stamp, body, trace, budgetMs } = message;
    this.#trace = trace;
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

  #takeFault({ isChange, fault }: RequestOf<"fault">): Reply {
    const faults = this.#faults;
    if (faults === null) return { kind: "refused", code: "faults-off" };
    try {
      if (isChange) faults.set(faultFromList(fault));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      return { kind: "refused", code: "malformed" };
    }
    return { kind: "faulted", fault: faultToList(faults.current(this.#wall)) };
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
      // What a peer sent was not what it should have been: its error, and nothing was done.
      if (!(error instanceof CodecError)) throw error;
      respond({ kind: "refused", code: "malformed" });
    }
  }

  #flush(): void {
    this.service?.keeper.arrivals.settle();
    const token = ++this.#lastFlush;
    this.#flushing.add(token, this.#unflushed);
    this.#unflushed = [];
    this.#effects.push({ kind: "flush", token });
  }

  #makeService(replica: ReplicaParts & { prng: Prng; isCopy: boolean }): Service {
    const { knowledge } = this;
    const forest = new MerkleForest(replica.leafSums ?? new MemoryLeafSums());
    const isKept = replica.leafSums !== undefined;
    const planting = new Planting({ ...replica, knowledge, forest, isKept });
    const keeper = new Keeper({
      store: replica.store,
      hash: knowledge.hash,
      prng: replica.prng,
      isCopy: replica.isCopy,
      placeOf: planting.placeOf,
      partitionCount: () => knowledge.ring.partitionCount,
      graces: gracesOf(replica),
      purges: () => knowledge.purges,
      onChange: (place, change) => {
        forest.update(place, place.leaf, change);
        const isMine = knowledge.ring.isOwner(replica.id, place.partition, place.n);
        // A hint or a repair may come to who is no owner any more, or an exchange end too late.
        if (change.to !== 0 && !isMine) this.service?.background?.cleanUp.notice();
      },
      onRecord: (key, hasValue) => {
        this.service?.background?.evictor.wrote(key, hasValue);
        this.service?.feeds.wrote(key);
      },
    });
    if (!isKept) keeper.recount();
    return new Service(
      replica.id,
      { keeper, forest, planting },
      {
        knowledge,
        now: () => this.#now,
        wall: this.#readWall,
        run: (start, now) => this.#run(start, now),
        whenDurable: (callback) => this.#unflushed.push(callback),
        setAlarm: (at, work) => this.#delayed.set(at, work),
        readFirst: (request, timeoutMs, done) => this.#readFirst(request, timeoutMs, done),
      },
    );
  }

  #startWork(service: Service, every: Intervals & { prng: Prng }): Background {
    const { knowledge } = this;
    const { parts, jobs } = backgroundWork(
      service,
      {
        knowledge,
        prng: every.prng,
        wall: this.#readWall,
        run: (start, now) => this.#run(start, now),
        now: () => this.#now,
        setAlarm: (at, work) => this.#delayed.set(at, work),
        operate: (operation, answer) => this.#desk.start(operation, answer, this.#now),
        whenDurable: (callback) => void this.#unflushed.push(callback),
        learn: (document) => void this.#documents.learn(document),
        documentChanged: () => this.#documents.keep(),
        noticed: (duplicate, isToEnd) => {
          knowledge.counters.duplicatesNoticed++;
          this.#effects.push({ kind: "duplicate", duplicate, isToEnd });
        },
        isAway: () => this.#faults?.isAway(this.#wall) === true,
      },
      every,
    );
    service.background = parts;
    const goOn = (): void => {
      this.#later.push(
        () => service.planting.run(service.keeper),
        () => parts.transfer.run(this.#now),
        () => parts.resize.run(this.#now),
        () => parts.absence?.past.run(this.#now),
      );
    };
    this.#membership = new Membership(service, { knowledge, goOn });
    return jobs;
  }

  #documentChanged(): void {
    this.#membership?.documentChanged();
  }

  #readFirst(
    request: RequestOf<"coordinate">,
    timeoutMs: number,
    done: (outcome: GetOutcome) => void,
  ): void {
    const rules = { ...rulesFromList(request.rules), timeoutMs };
    const operation = { key: request.key, session: null };
    this.#desk.read({ operation, rules, finish: done, again: null }, this.#now);
  }
}
