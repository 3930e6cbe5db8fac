/**
 * A replica: one Durable Object with its node, its SQLite and an alarm for what nobody waits for.
 * It is reached by RPC alone, never from outside.
 */
import { DurableObject } from "cloudflare:workers";
import xxhash from "xxhash-wasm";
import type { ReplicaId } from "../core/ids.ts";
import { decodeMessage, encodeMessage, type Message, type ReplyMessage } from "../core/messages.ts";
import { Driver } from "../src/driver.ts";
import { Node } from "../src/node/node.ts";
import { callReplica } from "./calls.ts";
import { type Env, knowledgeOf, platformPrng } from "./config.ts";
import { SqliteLeafSums } from "./sqlite-leaf-sums.ts";
import { SqliteStore } from "./sqlite-store.ts";

/** Requests that change what is stored, and so leave work for the alarm. */
const WRITES = new Set(["store", "coordinate", "deliver"]);
const ALARM_MS = 10_000;
const HINT_ALARM_MS = 2000;
/** While a target stays away, its hints are tried less and less often, up to this. */
const HINT_ALARM_MS_MAX = 300_000;
const ID = "replica-id";
const TOMBSTONE_GRACE_MS = 3_600_000;

interface Waiting {
  readonly expectsTwo: boolean;
  resolve(bytes: Uint8Array): void;
}

export class ReplicaObject extends DurableObject<Env> {
  #driver: Driver | null = null;
  readonly #waiting = new Map<string, Waiting>();
  #lastCaller = 0;
  /** How many peers are still to be compared with since the last write. */
  #comparisonsLeft = 0;
  #hintAlarmMs = HINT_ALARM_MS;
  #hasAlarm = false;
  #hasher: Awaited<ReturnType<typeof xxhash>> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      this.#hasher = await xxhash();
      this.#hasAlarm = (await ctx.storage.getAlarm()) !== null;
    });
  }

  /** One request in, its reply out. The object learns who it is from its first caller. */
  async exchange(self: ReplicaId, bytes: Uint8Array): Promise<Uint8Array> {
    const driver = this.#start(self);
    const message = decodeMessage(bytes);
    if (message.type !== "request") throw new Error("a reply came as a request");
    if (WRITES.has(message.body.kind)) await this.#setAlarm();
    const { body } = message;
    const expectsTwo = body.kind === "store" && body.ack === 2;
    const caller = `rpc:${++this.#lastCaller}`;
    return new Promise((resolve) => {
      this.#waiting.set(caller, { expectsTwo, resolve });
      driver.receive(caller, message);
    });
  }

  /** Background work: hints home, one comparison with a peer, collection; then again, or rest. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    const id = this.ctx.storage.kv.get<ReplicaId>(ID);
    if (id === undefined) return;
    const driver = this.#start(id);
    const hintsBefore = this.#hintCount();
    for (const job of ["handoff", "exchange", "collect"] as const) driver.runJob(job);
    await driver.whenIdle();
    this.#comparisonsLeft--;
    const hints = this.#hintCount();
    const isStuck = hints > 0 && hints === hintsBefore;
    this.#hintAlarmMs = isStuck
      ? Math.min(2 * this.#hintAlarmMs, HINT_ALARM_MS_MAX)
      : HINT_ALARM_MS;
    if (hints > 0) await this.#alarmIn(this.#hintAlarmMs);
    else if (this.#comparisonsLeft > 0) await this.#alarmIn(ALARM_MS);
  }

  #hintCount(): number {
    const counts = this.#driver?.node.service?.keeper.store.hintCounts().values() ?? [];
    return [...counts].reduce((sum, count) => sum + count, 0);
  }

  async #setAlarm(): Promise<void> {
    this.#comparisonsLeft = (this.#driver?.node.knowledge.ring.memberIds.length ?? 1) - 1;
    if (!this.#hasAlarm) await this.#alarmIn(ALARM_MS);
  }

  async #alarmIn(ms: number): Promise<void> {
    this.#hasAlarm = true;
    await this.ctx.storage.setAlarm(Date.now() + ms);
  }

  #start(id: ReplicaId): Driver {
    if (this.#driver !== null) return this.#driver;
    if (this.#hasher === null) throw new Error("the hash is loaded before the first call");
    if (this.ctx.storage.kv.get<ReplicaId>(ID) === undefined) this.ctx.storage.kv.put(ID, id);
    const knowledge = knowledgeOf(this.env, this.#hasher, "");
    const { sql } = this.ctx.storage;
    const store = new SqliteStore(sql);
    const leafSums = new SqliteLeafSums(sql);
    // No interval of its own: an idle object sleeps, and its alarm runs the jobs.
    const never = { handoffMs: 0, antiEntropyMs: 0, heartbeatMs: 0, suspectAfterMs: 3000 };
    const replica = { id, store, leafSums, ...never, tombstoneGraceMs: TOMBSTONE_GRACE_MS };
    const node = new Node({ knowledge, prng: platformPrng(), replica });
    const driver: Driver = new Driver(node, {
      now: () => Date.now(),
      send: (to, message) => this.#send(driver, to, message),
      // The output gate holds every message back until the writes before it are confirmed, so a
      // flush has nothing to wait for.
      flush: () => Promise.resolve(),
    });
    this.#driver = driver;
    return driver;
  }

  #send(driver: Driver, to: string, message: Message): void {
    if (message.type === "reply") return this.#reply(to, message);
    const { env } = this;
    const { knowledge } = driver.node;
    this.ctx.waitUntil(callReplica({ env, knowledge, driver }, to, message));
  }

  #reply(caller: string, message: ReplyMessage): void {
    const waiting = this.#waiting.get(caller);
    if (waiting === undefined) return;
    const isFirstOfTwo = message.body.kind === "stored" && !message.body.durable;
    if (waiting.expectsTwo && isFirstOfTwo) return;
    this.#waiting.delete(caller);
    waiting.resolve(encodeMessage(message));
  }
}
