/**
 * A replica that was away for longer than a tombstone's grace period, because it was down, frozen
 * or asleep, holds values whose deletes it has not heard of. Nothing of that can come back for
 * good, since no tombstone is collected before this replica has it too; but until it has compared
 * itself with its peers it is no source: it answers reads with "I don't know", so that the others
 * answer them (Cassandra's operators are told to rebuild such a node by hand).
 *
 * The silence ends after one attempt with every peer. Who cannot be reached is not waited for: the
 * only replica that is left serves what it has.
 *
 * A shorter absence, and every start, ask for less: a purge may have been made meanwhile, and it is
 * in the cluster document. So a replica asks its peers for theirs, one message each and its answer,
 * and the reads that come in meanwhile wait for that.
 *
 * Only for hosts whose node is awake all the time. A Durable Object that slept was reachable.
 */
import { assert } from "../../core/assert.ts";
import type { Millis, Now, WallMillis } from "../../core/time.ts";
import type { Exchanges } from "./exchanges.ts";
import { keepNumber, keptNumber } from "./kept-number.ts";
import type { Service } from "./service.ts";
import type { TaskHost } from "./tasks.ts";
import { tellOthers } from "./tell-document.ts";

const ALIVE = "alive";
/** The last sign of life is written down this often at most: it costs a sync of the log. */
const NOTE_MS_MIN = 1000;
const NOTE_MS_MAX = 60_000;
/** Until an attempt is repeated in which an exchange with a peer was already under way. */
const AGAIN_MS = 200;

/** The least gap between two steps that shows that the node was frozen, in ms. */
const SLEEP_MS_MIN = 2000;
/** How long a node that is back waits for its peers' documents before it serves reads, in ms. */
const DOCUMENT_MS_MAX = 1000;

export interface AbsencePlan {
  readonly host: TaskHost;
  /** Something steps the node at least this often, in ms. */
  readonly heartbeatMs: number;
  readonly tombstoneGraceMs: number;
}

export class Absence {
  readonly #service: Service;
  readonly #exchanges: Exchanges;
  readonly #plan: AbsencePlan;
  /** The last sign of life, over restarts; 0 for none. */
  #aliveAt: WallMillis;
  /** Since its start; 0 before the first step. */
  #steppedAt: Millis = 0;
  #isBehind = false;
  /** How many times it asked for documents and has not heard the end of it. */
  #askingCount = 0;
  #waiting: (() => void)[] = [];
  #attemptAt: Millis = Infinity;

  constructor(service: Service, exchanges: Exchanges, plan: AbsencePlan) {
    assert(plan.tombstoneGraceMs > 0 && plan.heartbeatMs > 0, "an absence is a time");
    this.#service = service;
    this.#exchanges = exchanges;
    this.#plan = plan;
    this.#aliveAt = keptNumber(service.keeper.store, ALIVE) ?? 0;
  }

  /** Whether what is held here may have been deleted long ago. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Does it when the peers' documents are known: at once, but for a moment after a start. */
  whenInformed(work: () => void): void {
    if (this.#askingCount === 0) work();
    else this.#waiting.push(work);
  }

  /** How often `note` is to be called, in ms. */
  get noteMs(): number {
    return Math.min(NOTE_MS_MAX, Math.max(NOTE_MS_MIN, this.#plan.tombstoneGraceMs / 4));
  }

  /** To be called before anything is done in a step. */
  notice({ monotonic: now, wall }: Now): void {
    const awayMs = this.#aliveAt === 0 ? 0 : this.#missed({ monotonic: now, wall });
    const wasAway = awayMs > this.#plan.tombstoneGraceMs;
    const sleepMs = Math.max(SLEEP_MS_MIN, 3 * this.#plan.heartbeatMs);
    const slept = this.#steppedAt === 0 || awayMs > sleepMs;
    if (this.#steppedAt === 0) this.#service.keeper.operations.begin(now);
    this.#aliveAt = wall;
    this.#steppedAt = now;
    if (slept) this.#askDocuments(now);
    if (wasAway) {
      this.#isBehind = true;
      this.#attemptAt = now;
    }
    if (now >= this.#attemptAt) this.#catchUp(now);
  }

  /**
   * How long nothing was heard of the outside, in ms. Of a life before, the wall clock alone tells,
   * and a note from the future tells nothing, so that it counts as for ever. Within a life that is
   * the longer one of two: a machine that sleeps takes the monotonic clock with it, and the wall
   * clock may be set back. (One that is set ahead costs a comparison with the peers.)
   */
  #missed({ monotonic, wall }: Now): number {
    const wallMs = wall - this.#aliveAt;
    if (this.#steppedAt === 0) return wallMs < 0 ? Infinity : wallMs;
    return Math.max(wallMs, monotonic - this.#steppedAt);
  }

  /** Writes down that the replica is alive; true when there is something to flush. */
  note(): boolean {
    // While it is behind, the old note stays: a crash now must not make it forget.
    if (this.#isBehind || this.#service.keeper.store.health() !== "writable") return false;
    keepNumber(this.#service.keeper.store, ALIVE, this.#plan.host.wall());
    return true;
  }

  #askDocuments(now: Millis): void {
    this.#askingCount++;
    const done = (): void => {
      if (--this.#askingCount > 0) return;
      for (const work of this.#waiting.splice(0)) work();
    };
    tellOthers(this.#plan.host, { self: this.#service.id, timeoutMs: DOCUMENT_MS_MAX, done }, now);
  }

  #catchUp(now: Millis): void {
    this.#attemptAt = Infinity;
    const expected = this.#exchanges.peerCount;
    this.#exchanges.withAll(now, ([count = 0], at) => {
      if (count < expected) this.#attemptAt = at + AGAIN_MS;
      else this.#isBehind = false;
    });
  }
}
