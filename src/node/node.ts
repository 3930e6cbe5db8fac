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

import { type LeafSums, MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { assert } from "../../core/assert.ts";
import { CodecError } from "../../core/codec.ts";
import { IdTable } from "../../core/id-table.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Message, Reply, Request, RequestMessage, RequestOf } from "../../core/messages.ts";
import type { Prng } from "../../core/prng.ts";
import type { Store } from "../../core/store.ts";
import type { Millis } from "../../core/time.ts";
import type { GetOutcome } from "../../replica/get-coordinator.ts";
import { Keeper } from "../../replica/keeper.ts";
import { decodeDocument, encodeDocument } from "../../ring/cluster-document.ts";
import { Absence } from "./absence.ts";
import { Alarms } from "./alarms.ts";
import { Background } from "./background.ts";
import type { Address, Effect, Input } from "./boundary.ts";
import { Calls, type Task, type Waker } from "./calls.ts";
import { ClientDesk } from "./client.ts";
import { Collector } from "./collector.ts";
import { Exchanges } from "./exchanges.ts";
import { Faults, faultFromList, faultToList } from "./faults.ts";
import { Handoff } from "./handoff.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Knowledge } from "./knowledge.ts";
import { PurgeSweep } from "./purge-sweep.ts";
import { Service } from "./service.ts";
import type { TaskStart } from "./tasks.ts";
import { rulesFromList } from "./wire.ts";

export interface NodeParts {
  readonly knowledge: Knowledge;
  readonly prng: Prng;
  /** null on a frontend that stores nothing. */
  readonly replica: {
    readonly id: ReplicaId;
    readonly store: Store;
    /** Sums that survive a restart; without them they are counted anew from the store's index. */
    readonly leafSums?: LeafSums;
    /** How often hints are tried to be delivered, in ms; 0 for never by itself. */
    readonly handoffMs: number;
    /** How often it compares itself with one of its peers, in ms; 0 for never by itself. */
    readonly antiEntropyMs: number;
    /**
     * How long a tombstone is left alone before it may be collected, in ms. Hints wait for their
     * owner for half as long.
     */
    readonly tombstoneGraceMs: number;
    /** How often it looks for what may be collected, in ms; 0 for never by itself. */
    readonly collectMs?: number;
    /** How often it pings every peer, in ms; 0 where only requests observe. */
    readonly heartbeatMs: number;
    /** Silence after which a peer is suspected. */
    readonly suspectAfterMs: number;
    /** Whether it can be told to have faults. */
    readonly takesFaults?: boolean;
  } | null;
}

/** How often one call is made anew because of cluster documents that differ. */
const ATTEMPTS_MAX = 3;
const DOCUMENT = "document";
/** The reply of a replica that was told to be down. */
const DOWN = "down";
/** Collection looks at what is due at least this often, in ms. */
const COLLECT_MS_MAX = 10_000;
/** Between two parts of a sweep for what was purged, in ms. */
const SWEEP_MS = 1000;

/** Whether a request is worth nothing once nobody waits for its reply. */
const isForItsAnswer = ({ kind }: Request): boolean =>
  kind !== "store" && kind !== "deliver" && kind !== "collect" && kind !== "document";

/** What nodes may ask each other whatever cluster document they have. */
const FREE: ReadonlySet<Request["kind"]> = new Set(["document", "status", "fault"]);

type DurableCallback = (ok: boolean, now: Millis) => void;

export class Node {
  readonly knowledge: Knowledge;
  readonly service: Service | null;
  readonly #desk: ClientDesk;
  readonly #calls: Calls;
  readonly #background: Background;
  readonly #faults: Faults | null = null;
  /** Requests that a slow replica has not looked at yet. */
  readonly #delayed = new Alarms<() => void>();
  /**
   * What this node asks itself, and other work of this step that must not run inside other work.
   */
  readonly #later: (() => void)[] = [];
  readonly #flushing = new IdTable<readonly DurableCallback[]>();
  #unflushed: DurableCallback[] = [];
  #lastFlush = 0;
  /** Of the cluster document that was last written to the store. */
  #keptStamp = 0;
  #effects: Effect[] = [];
  #trace = "";
  #now: Millis = 0;

  constructor(parts: NodeParts) {
    const { knowledge, prng, replica } = parts;
    this.knowledge = knowledge;
    this.#calls = new Calls(knowledge.liveness);
    const run = <R>(start: TaskStart<R>, now: Millis): void => this.#run(start, now);
    const selfId = replica?.id ?? "";
    this.#desk = new ClientDesk({ knowledge, prng, selfId, run });
    this.#background = new Background(prng.fork());
    this.service = replica === null ? null : this.#makeService({ ...replica, prng: prng.fork() });
    if (replica?.takesFaults === true) this.#faults = new Faults(prng.fork(), replica.store);
    if (this.service !== null && replica !== null) this.#startBackground(this.service, replica);
  }

  /** When the node wants a `tick`; Infinity for not at all. */
  get wakeAt(): Millis {
    return Math.min(this.#calls.wakeAt, this.#background.wakeAt, this.#delayed.nextAt);
  }

  /** How many requests of its own are without an answer yet. */
  get openCallCount(): number {
    return this.#calls.openCount;
  }

  /**
   * Takes one input; what follows from it is in the effects, in the order in which to carry out.
   */
  step(input: Input, now: Millis): readonly Effect[] {
    assert(this.#later.length === 0, "a step finishes what it began");
    // A wall clock may be set back; inside the node time never runs backwards.
    this.#now = Math.max(this.#now, now);
    this.#effects = [];
    this.service?.background?.absence?.notice(this.#now);
    this.#take(input);
    for (let work = this.#later.shift(); work !== undefined; work = this.#later.shift()) work();
    if (this.#unflushed.length > 0) this.#flush();
    return this.#effects;
  }

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
        return this.#background.runNow(input.name, this.#now);
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
    if (call === undefined) return;
    call.task.coordinator.failed(to, this.#now);
    this.#calls.settle(call.task, this.#now);
  }

  #takeFlushed(token: number, ok: boolean): void {
    const callbacks = this.#flushing.get(token) ?? [];
    this.#flushing.delete(token);
    for (const callback of callbacks) callback(ok, this.#now);
  }

  #takeTick(): void {
    this.#trace = "";
    this.#background.run(this.#now);
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
    const finish = (result: R): void => start.finish(result, this.#now);
    const coordinator = start.make({ ask, finish });
    const deadline = now + start.timeoutMs;
    const open = new Set<number>();
    const waker: Waker = { task: null };
    const task: Task = {
      coordinator,
      trace,
      deadline,
      again: start.again,
      open,
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
    const call = this.#calls.open({ ...ask, sentAt: this.#now });
    if (to === this.service?.id) {
      this.#later.push(() => this.#askSelf(call, body, task.deadline));
      return;
    }
    const budgetMs = Math.max(0, Math.ceil(task.deadline - this.#now));
    const { stamp } = this.knowledge;
    const message = { type: "request", call, stamp, budgetMs, trace: task.trace, body } as const;
    this.#effects.push({ kind: "send", to, message });
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
    const isFirstOfTwo = body.kind === "stored" && !body.durable;
    const open = this.#calls.peek(callId, from);
    if (open === undefined) return;
    const expectsTwo = open.body.kind === "store" && open.body.ack === 2;
    const call = isFirstOfTwo && expectsTwo ? open : this.#calls.answered(callId, from, this.#now);
    if (call === undefined) return;
    this.#trace = call.task.trace;
    if (body.kind === "stale") return this.#takeStale(call, body.document);
    if (body.kind === "documented") this.#learn(body.document);
    call.task.coordinator.reply(from, body, this.#now);
    this.#calls.settle(call.task, this.#now);
  }

  /** The other side has another document: nothing was done there. Join, and ask anew. */
  #takeStale(
    call: { task: Task; to: ReplicaId; body: Request; attempt: number },
    bytes: Uint8Array,
  ): void {
    const { task, to, body, attempt } = call;
    const didLearn = this.#learn(bytes);
    if (didLearn && task.again !== null) {
      const { again } = task;
      this.#calls.abandon(task);
      return again(this.#now);
    }
    if (attempt >= ATTEMPTS_MAX) {
      task.coordinator.failed(to, this.#now);
      return this.#calls.settle(task, this.#now);
    }
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
    this.#ask({ task, to, body, attempt: attempt + 1 });
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
    const fate = this.#faults.fateOfRequest(this.#now);
    if (fate.kind === "drop") return;
    if (fate.kind === "refuse") return respond({ kind: "refused", code: DOWN });
    const respondOrLose = (reply: Reply): void => {
      if (this.#faults?.losesReply(this.#now) !== true) respond(reply);
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
    return { kind: "faulted", fault: faultToList(faults.current(this.#now)) };
  }

  #carryOut(body: Request, respond: (reply: Reply) => void, deadline: Millis): void {
    try {
      if (body.kind === "document") return this.#takeDocument(body, respond);
      if (this.service === null) return respond({ kind: "refused", code: "overloaded" });
      this.service.handle(body, respond, deadline);
    } catch (error) {
      // What a peer sent was not what it should have been: its error, and nothing was done.
      if (!(error instanceof CodecError)) throw error;
      respond({ kind: "refused", code: "malformed" });
    }
  }

  #takeDocument(body: RequestOf<"document">, respond: (reply: Reply) => void): void {
    this.#learn(body.document);
    // This very node may have changed it, as its clients asked, and tells itself like the others.
    if (this.knowledge.stamp !== this.#keptStamp) this.#keepDocument();
    const document = encodeDocument(this.knowledge.document);
    if (this.service === null) return respond({ kind: "documented", document });
    this.#unflushed.push((ok) => {
      respond(ok ? { kind: "documented", document } : { kind: "refused", code: "disk" });
    });
  }

  #learn(bytes: Uint8Array): boolean {
    if (!this.knowledge.learn(decodeDocument(bytes))) return false;
    this.#keepDocument();
    return true;
  }

  #keepDocument(): void {
    const { knowledge, service } = this;
    // Whatever is written from now on is later than what was purged.
    service?.keeper.clock.observe(knowledge.purges.newest, this.#now);
    const store = service?.keeper.store;
    if (store === undefined || store.health() !== "writable") return;
    this.#keptStamp = knowledge.stamp;
    store.writeMeta(DOCUMENT, encodeDocument(this.knowledge.document));
    this.#unflushed.push(() => {});
  }

  #flush(): void {
    const token = ++this.#lastFlush;
    this.#flushing.add(token, this.#unflushed);
    this.#unflushed = [];
    this.#effects.push({ kind: "flush", token });
  }

  #makeService(replica: NonNullable<NodeParts["replica"]> & { prng: Prng }): Service {
    const { knowledge } = this;
    const stored = replica.store.readMeta(DOCUMENT);
    if (stored !== undefined) knowledge.learn(decodeDocument(stored));
    const forest = new MerkleForest(replica.leafSums ?? new MemoryLeafSums());
    const keeper = new Keeper({
      store: replica.store,
      hash: knowledge.hash,
      prng: replica.prng,
      placeOf: knowledge.placeOf,
      partitionCount: () => knowledge.ring.partitionCount,
      purges: () => knowledge.purges,
      onChange: (place, change) => forest.update(place, place.leaf, change),
    });
    if (replica.leafSums === undefined) keeper.recount();
    return new Service(
      replica.id,
      { keeper, forest },
      {
        knowledge,
        now: () => this.#now,
        run: (start, now) => this.#run(start, now),
        whenDurable: (callback) => this.#unflushed.push(callback),
        readFirst: (request, timeoutMs, done) => this.#readFirst(request, timeoutMs, done),
      },
    );
  }

  #startBackground(service: Service, every: NonNullable<NodeParts["replica"]>): void {
    const { knowledge } = this;
    const run = <R>(start: TaskStart<R>, now: Millis): void => this.#run(start, now);
    const handoff = new Handoff(service, { knowledge, run }, every.tombstoneGraceMs / 2);
    const exchanges = new Exchanges(service, { knowledge, run });
    // Without heartbeats nobody wakes the node, and a gap between two steps says nothing.
    const absence =
      every.heartbeatMs > 0
        ? new Absence(service, exchanges, { host: { knowledge, run }, ...every })
        : null;
    const documentChanged = (): void => this.#keepDocument();
    const sweep = new PurgeSweep(service, { knowledge, run, documentChanged });
    service.background = { handoff, exchanges, absence, sweep };
    const jobs = [
      { name: "handoff", everyMs: every.handoffMs, run: (now: Millis) => handoff.start(now, null) },
      { name: "exchange", everyMs: every.antiEntropyMs, run: (now: Millis) => exchanges.next(now) },
    ];
    const note = (now: Millis): void => {
      if (absence?.note(now) === true) this.#unflushed.push(() => {});
    };
    const sweepSome = (now: Millis): void => {
      if (sweep.run(now)) this.#unflushed.push(() => {});
    };
    // Where a node has no timers, its alarm runs it.
    jobs.push({ name: "sweep", everyMs: every.collectMs === 0 ? 0 : SWEEP_MS, run: sweepSome });
    jobs.push({ name: "alive", everyMs: absence?.noteMs ?? 0, run: note });
    const collector = new Collector(service, { knowledge, run }, every.tombstoneGraceMs);
    const often = Math.min(COLLECT_MS_MAX, Math.max(1000, every.tombstoneGraceMs / 4));
    const everyMs = every.collectMs ?? often;
    jobs.push({ name: "collect", everyMs, run: (now) => collector.start(now) });
    const heartbeat = new Heartbeat(service.id, { knowledge, run }, every);
    jobs.push({ name: "heartbeat", everyMs: every.heartbeatMs, run: (now) => heartbeat.run(now) });
    for (const { run: work, ...job } of jobs) {
      const unlessAway = (now: Millis): void => {
        if (this.#faults?.isAway(now) !== true) work(now);
      };
      this.#background.add({ ...job, run: unlessAway }, 0);
    }
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
