/**
 * A replica: one Durable Object with its node, its SQLite and an alarm for what nobody waits for.
 * It is reached from this deployment's own Workers, never from outside: by RPC, and by `fetch` for
 * the bells of feeds alone.
 */
import { DurableObject } from "cloudflare:workers";
import xxhash from "xxhash-wasm";
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import {
  isAnsweredTwice,
  isStored,
  type Message,
  messageFromList,
  type ReplyMessage,
  type Request,
} from "../core/messages.ts";
import type { WallMillis } from "../core/time.ts";
import { timingDefaults } from "../ring/cluster-config.ts";
import type { RingDocument } from "../ring/ring-document.ts";
import { Driver } from "../src/driver/driver.ts";
import { logServed } from "../src/frontend/http/trace.ts";
import {
  type AlarmPlan,
  type Backlog,
  CHANGE_MS,
  COMPARE_MS,
  idlePlan,
  planNext,
} from "./alarm-plan.ts";
import { AtomicNode } from "./atomic-node.ts";
import { callReplica } from "./calls.ts";
import { platformNow } from "./clock.ts";
import { type Env, knowledgeOf, platformPrng, type ReplicaRpc } from "./config.ts";
import { BellTower } from "./feed-bells.ts";
import { logEvent } from "./log.ts";
import { SqliteLeafSums } from "./sqlite-leaf-sums.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { messageToWire, type Wire } from "./wire.ts";

/** Requests that change what is stored, and so leave work for the alarm. */
const WRITES: ReadonlySet<Request["kind"]> = new Set([
  ...(["store", "storeAlone", "coordinate", "deliver"] as const),
]);
/** Requests that bring what a replica waits for while its ring is provisional. */
const OF_DOCUMENTS: ReadonlySet<Request["kind"]> = new Set([
  ...(["document", "promise", "accept", "ping", "status", "fault"] as const),
]);
const ID = "replica-id";
const ORIGIN = "cluster-origin";
const PLAN = "alarm-plan";
/** Comparisons with all peers, one after the other, may take this long. */
const COMPARE_ALL_MS_MAX = 120_000;
/** Of 128 MB some 10 for keys of 50 characters: what is not remembered is found by a walk. */
const TRACKED_KEYS_MAX = 65_536;
/** Records of a walk over all keys in one step, and such steps in one alarm. */
const RECORDS_PER_STEP = 500;
const MIGRATION_STEPS_MAX = 200;
/** Looks at what is to be collected, in one alarm. */
const COLLECT_LOOKS_MAX = 16;
const TOMBSTONE_GRACE_MS = timingDefaults.tombstoneGraceMs;

interface Waiting {
  readonly expectsTwo: boolean;
  resolve(reply: ReplyMessage): void;
}

interface Replica {
  readonly id: ReplicaId;
  readonly driver: Driver;
  readonly store: SqliteStore;
}

/**
 * Remembers who this object is and of which cluster.
 *
 * Another hash (another secret) or other partitions would send keys to replicas that do not have
 * them, and nothing would say so. The list of replicas may be another one: it counts only until a
 * majority has agreed on the first ring.
 */
function keepOrigin(kv: SyncKvStorage, id: ReplicaId, ring: RingDocument): void {
  const origin = [ring.name, ring.seed, ring.partitions, ring.n].join(" ");
  const known = kv.get<string>(ORIGIN);
  if (known === origin) return;
  if (known !== undefined) {
    throw new Error(
      "STARLING_NAME, _N, _PARTITIONS or the secret is not what this replica began with: put it " +
        "back; the first secret may stay as STARLING_DATA_SECRET beside another STARLING_SECRET",
    );
  }
  kv.put(ID, id);
  kv.put(ORIGIN, origin);
}

export class ReplicaObject extends DurableObject<Env> implements ReplicaRpc {
  #replica: Replica | null = null;
  #hasher: Awaited<ReturnType<typeof xxhash>> | null = null;
  readonly #waiting = new Map<string, Waiting>();
  readonly #tower: BellTower;
  #lastCaller = 0;
  #plan: AlarmPlan = idlePlan;
  /** The plan as it is stored: a write is billed, so an equal one is not written. */
  #keptPlan = "";
  /** When the alarm rings; Infinity for never. */
  #alarmAt: WallMillis = Infinity;
  /** Asking the others for the ring that is in use, once for all who wait. */
  #agreeing: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#tower = new BellTower(ctx);
    void ctx.blockConcurrencyWhile(async () => {
      this.#hasher = await xxhash();
      this.#alarmAt = (await ctx.storage.getAlarm()) ?? Infinity;
      this.#keptPlan = ctx.storage.kv.get<string>(PLAN) ?? JSON.stringify(idlePlan);
      // A plan of an older version lacks what has come since.
      this.#plan = { ...idlePlan, ...(JSON.parse(this.#keptPlan) as Partial<AlarmPlan>) };
    });
  }

  /**
   * One request in, its last reply out.
   *
   * @param self the replica that the caller takes this object for: it learns its name that way
   * @param answered what a frontend's isolate answered since it last said so: nobody can ask it
   * @throws CodecError for anything but a request
   */
  async exchange(self: ReplicaId, request: Wire, answered?: number[] | null): Promise<Wire> {
    const message = messageFromList(request);
    assert(message.type === "request", "a replica is sent requests");
    const { trace, body } = message;
    if (trace !== "") logServed(logEvent, trace, { kind: body.kind, id: self });
    const { driver } = this.#start(self);
    if (answered) driver.node.knowledge.traffic.add(answered);
    if (isProvisional(driver) && !OF_DOCUMENTS.has(body.kind)) await this.#agree(driver);
    if (WRITES.has(body.kind) && !this.#hasPlannedComparisons) await this.#planComparisons();
    if (body.kind === "changes") this.#tower.looked(body.namespace);
    const { knowledge } = driver.node;
    const { stamp } = knowledge;
    const reply = await this.#ask(driver, message);
    // A purge may have come, and what it covers is to be rewritten; or a change of members.
    if (stamp !== knowledge.stamp) {
      this.#tower.ringAll();
      await this.#planComparisons();
    }
    if (stamp !== knowledge.stamp && this.#isChanging) await this.#ringIn(CHANGE_MS);
    if (driver.node.service?.jobs.evictor.isPending === true) driver.runJob("evict");
    return messageToWire(reply);
  }

  /** Hangs a bell: see feed-bells.ts. */
  override fetch(request: globalThis.Request): Response {
    return this.#tower.hang(request);
  }

  /** Its reader is gone. */
  override webSocketClose(bell: WebSocket): void {
    bell.close();
  }

  /**
   * At the first request of its life an object has the ring of the vars, which may be that of a
   * deployment to come. If it went by that, it would store for a ring that nobody else has. An
   * object that cannot reach a majority serves all the same, and its alarm tries again.
   */
  #agree(driver: Driver): Promise<void> {
    if (this.#agreeing === null) {
      driver.runJob("change");
      this.#agreeing = driver.whenIdle();
    }
    return this.#agreeing;
  }

  /** Background work: hints home, comparisons with peers, collection; then again, or rest. */
  override async alarm(): Promise<void> {
    this.#alarmAt = Infinity;
    const wasAsleep = this.#replica === null;
    const id = this.ctx.storage.kv.get<ReplicaId>(ID);
    if (id === undefined) return;
    const { driver } = this.#start(id);
    const before = this.#backlog();
    driver.runJob("handoff");
    if (this.#plan.comparisonsLeft > 0) await this.#compare(driver, wasAsleep);
    driver.runJob("evict");
    driver.runJob("sweep");
    await this.#migrateTrees(driver);
    driver.runJob("change");
    await this.#collect(driver);
    this.#keepTotals();
    const { ring, liveness } = driver.node.knowledge;
    const peers = ring.membersBut(id);
    const peersAway = peers.some((peer) => liveness.isSuspect(peer));
    const done = { before, after: this.#backlog(), peerCount: peers.length, peersAway };
    const { plan, ringInMs } = planNext(this.#plan, done, Date.now());
    this.#keepPlan(plan);
    // A write that came in meanwhile has set the alarm already.
    if (ringInMs !== null) await this.#ringIn(ringInMs);
  }

  /** Where that fails the object ends, as with a step: memory would know more than is stored. */
  #keepTotals(): void {
    try {
      this.#replica?.store.keepTotals();
    } catch (error) {
      this.ctx.abort("its totals could not be written");
      throw error;
    }
  }

  /** All are asked twice, and an object that sleeps in between forgets that they agreed. */
  async #collect(driver: Driver): Promise<void> {
    for (let looks = 0; looks < COLLECT_LOOKS_MAX; looks++) {
      driver.runJob("collect");
      await driver.whenIdle();
      const settledAt = driver.node.service?.jobs.collector.settledAt ?? Infinity;
      if (settledAt === Infinity) return;
      await scheduler.wait(Math.max(0, settledAt - platformNow().monotonic));
    }
  }

  /** A walk over all keys goes by small steps, and lets requests in between them. */
  async #migrateTrees(driver: Driver): Promise<void> {
    const migration = driver.node.replica?.migration;
    for (let i = 0; i < MIGRATION_STEPS_MAX && migration?.isPending === true; i++) {
      driver.runJob("migrate");
      await scheduler.wait(0);
    }
  }

  /**
   * While it stays awake a replica takes one peer after the other. One that slept has forgotten
   * whose turn it is; then there is little to compare, and it takes all of them at once. The plan
   * is changed first: a write that comes in meanwhile asks for all comparisons anew.
   */
  async #compare(driver: Driver, withAll: boolean): Promise<void> {
    const { comparisonsLeft } = this.#plan;
    this.#plan = { ...this.#plan, comparisonsLeft: withAll ? 0 : comparisonsLeft - 1 };
    if (!withAll) return driver.runJob("exchange");
    const { stamp } = driver.node.knowledge;
    const body = { kind: "exchange" } as const;
    const budgetMs = COMPARE_ALL_MS_MAX;
    await this.#ask(driver, { type: "request", call: 1, stamp, budgetMs, trace: "", body });
  }

  /** Hands the node a request as if from a caller of its own, and waits for the last reply. */
  #ask(driver: Driver, message: Extract<Message, { type: "request" }>): Promise<ReplyMessage> {
    const { body } = message;
    const expectsTwo = isAnsweredTwice(body);
    const caller = `rpc:${++this.#lastCaller}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(caller, { expectsTwo, resolve });
      driver.receive(caller, message);
      // The platform at once ends a call that nobody is left to answer; a silence on demand lasts.
      if (this.env.STARLING_FAULTS !== "true" || !this.#waiting.has(caller)) return;
      setTimeout(() => {
        if (this.#waiting.delete(caller)) reject(new Error("a fault that was asked for"));
      }, message.budgetMs);
    });
  }

  #backlog(): Backlog {
    const store = this.#replica?.store;
    const { service, replica } = this.#replica?.driver.node ?? {};
    const work = service?.jobs ?? null;
    const isAtWork = work?.sweep.isPending === true || work?.evictor.isPending === true;
    const hintCount = [...(store?.hintCounts().values() ?? [])].reduce((sum, n) => sum + n, 0);
    const dueAt = store?.earliestDue() ?? Infinity;
    return {
      hintCount,
      dueAt: isAtWork ? Date.now() : dueAt,
      isChanging: this.#isChanging,
      step: (this.#replica?.driver.node.knowledge.stamp ?? 0) + (replica?.migration.leftCount ?? 0),
    };
  }

  get #isChanging(): boolean {
    const work = this.#replica?.driver.node.service?.jobs ?? null;
    if (work === null) return false;
    if (this.#replica?.driver.node.replica?.migration.isPending === true) return true;
    return work.transfer.isPending || work.resize.isPending || work.cleanUp.isPending;
  }

  /** One comparison with each peer, once the present writes are over. */
  get #comparisonCount(): number {
    return (this.#replica?.driver.node.knowledge.ring.memberIds.length ?? 1) - 1;
  }

  get #hasPlannedComparisons(): boolean {
    const isPlanned = this.#plan.comparisonsLeft === this.#comparisonCount;
    return isPlanned && this.#alarmAt <= Date.now() + COMPARE_MS;
  }

  async #planComparisons(): Promise<void> {
    this.#keepPlan({ ...this.#plan, comparisonsLeft: this.#comparisonCount });
    await this.#ringIn(COMPARE_MS);
  }

  #keepPlan(plan: AlarmPlan): void {
    this.#plan = plan;
    const text = JSON.stringify(plan);
    if (text === this.#keptPlan) return;
    this.#keptPlan = text;
    this.ctx.storage.kv.put(PLAN, text);
  }

  /** Unless it rings earlier already: setting an alarm is billed as a row written. */
  async #ringIn(ms: number): Promise<void> {
    const at = Date.now() + ms;
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    await this.ctx.storage.setAlarm(at);
  }

  #start(id: ReplicaId): Replica {
    if (this.#replica === null) {
      this.#replica = this.ctx.storage.transactionSync(() => this.#open(id));
    }
    assert(this.#replica.id === id, "an object is one replica for ever");
    return this.#replica;
  }

  #open(id: ReplicaId): Replica {
    const { env, ctx } = this;
    assert(this.#hasher !== null, "the hash is loaded before the first call");
    const knowledge = knowledgeOf(env, this.#hasher, (ring) => ring.member(id)?.zone ?? "");
    const { sql, kv } = ctx.storage;
    keepOrigin(kv, id, knowledge.document.ring);
    const store = new SqliteStore(sql, { generation: env.STARLING_GENERATION ?? "" });
    const leafSums = new SqliteLeafSums(sql);
    // No interval of its own, because a timer keeps an object awake, and awake it is billed: an
    // idle one sleeps, and its alarm runs the jobs.
    const never = { handoffMs: 0, antiEntropyMs: 0, collectMs: 0, heartbeatMs: 0 };
    const times = { ...never, suspectAfterMs: 3000, tombstoneGraceMs: TOMBSTONE_GRACE_MS };
    const takesFaults = env.STARLING_FAULTS === "true";
    const limits = { trackedKeysMax: TRACKED_KEYS_MAX, recordsPerRun: RECORDS_PER_STEP };
    const replica = { id, store, leafSums, takesFaults, ...limits, ...times };
    const node = new AtomicNode({ knowledge, prng: platformPrng(), replica }, ctx);
    const driver: Driver = new Driver(node, {
      now: platformNow,
      send: (to, message) => this.#send(driver, to, message),
      // The output gate holds every message back, replies and calls to other replicas alike, until
      // the writes before it are confirmed: a flush has nothing to wait for. For that reason no
      // write here is ever made with `allowUnconfirmed`.
      flush: () => Promise.resolve(),
    });
    const { feeds = null } = node.service ?? {};
    if (feeds !== null) feeds.onNews = (namespace) => this.#tower.ring(namespace);
    return { id, driver, store };
  }

  #send(driver: Driver, to: string, message: Message): void {
    if (message.type === "reply") return this.#reply(to, message);
    const { env } = this;
    const { knowledge } = driver.node;
    this.ctx.waitUntil(callReplica({ env, knowledge, driver }, to, message));
  }

  /** A store that is acknowledged twice has one return value: the second, "durable". */
  #reply(caller: string, message: ReplyMessage): void {
    const waiting = this.#waiting.get(caller);
    if (waiting === undefined) return;
    const isFirstOfTwo = isStored(message.body) && !message.body.durable;
    if (waiting.expectsTwo && isFirstOfTwo) return;
    this.#waiting.delete(caller);
    waiting.resolve(message);
  }
}

const isProvisional = ({ node }: Driver): boolean =>
  node.knowledge.document.ring.isProvisional === true;
