/**
 * A replica that was away, because it was down, frozen or asleep, or that lost what it had (see
 * `lost-past.ts`), says so. Until it has caught up it answers reads with "I don't know", so that
 * others answer them, coordinates no write, and counts as no primary. Silence is better than a
 * wrong answer: what it lacks, others hold.
 *
 * **After every absence** it asks all others for two things at once: for their cluster documents,
 * since a purge may have been made meanwhile, and for the hints that they keep for it. They send
 * these at once, and it asks again until none are left. Where nothing was missed, all of that is
 * one round trip. A peer that does not answer is not waited for: it is down itself, and the only
 * replica that is left serves what it has. That is enough here, because nothing was lost: this
 * replica holds all that it has acknowledged, and quorums meet as before.
 *
 * **After a long absence** its hints may have been given up, and there may be deletes that it has
 * not heard of. Nothing deleted can come back for good, since no tombstone is collected before this
 * replica has it too. Still it compares itself with every peer that it can reach before it is a
 * source again (Cassandra's operators are told to rebuild such a node by hand).
 *
 * Only for hosts whose node is awake all the time. A Durable Object that slept was reachable, and
 * its storage is the platform's own: an object without data is one that never had any.
 */
import { assert } from "../../../core/assert.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis, Now, WallMillis } from "../../../core/time.ts";
import { keepNumber, keptNumber } from "../knowledge/kept-number.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { Pause } from "../peers/pause.ts";
import type { TaskHost } from "../peers/tasks.ts";
import { tellOthers } from "../peers/tell-document.ts";
import type { Replica } from "../replica/replica.ts";
import type { Exchanges } from "./exchanges.ts";
import { LostPast } from "./lost-past.ts";

const ALIVE = "alive";
/** The last sign of life is written down this often at most: it costs a sync of the log. */
const NOTE_MS_MIN = 1000;
const NOTE_MS_MAX = 60_000;
/** The wait before another attempt, when an exchange with a peer was already under way, in ms. */
const AGAIN_MS = 200;
/** Between two looks at what a peer still keeps for this replica, in ms. */
const HOMING_MS = 50;
/** After so many looks in a row that found no fewer kept, nothing more is expected of it. */
const HOMING_LOOKS_MAX = 20;

/** The smallest gap between two steps that counts as having been frozen, in ms. */
const SLEEP_MS_MIN = 2000;
/** How long a node that is back waits for its peers' documents before it serves reads, in ms. */
const DOCUMENT_MS_MAX = 1000;

export interface AbsencePlan {
  readonly host: TaskHost & {
    whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  };
  /** Something steps the node at least this often, in ms. */
  readonly heartbeatMs: number;
  readonly tombstoneGraceMs: number;
}

export class Absence {
  readonly past: LostPast;
  readonly #replica: Replica;
  readonly #exchanges: Exchanges;
  readonly #plan: AbsencePlan;
  /** The last sign of life, over restarts; 0 for none. */
  #aliveAt: WallMillis;
  /** Since its start; 0 before the first step. */
  #steppedAt: Millis = 0;
  /** It was away for long, and has not compared itself with those that it can reach. */
  #mustCompare = false;
  /** How many questions about what it missed have not been answered, or given up. */
  #askingCount = 0;
  /** Peers that are asked for hints, and may have more. */
  readonly #homing = new Set<ReplicaId>();
  #waiting: (() => void)[] = [];
  #attemptAt: Millis = Infinity;

  constructor(replica: Replica, exchanges: Exchanges, plan: AbsencePlan) {
    assert(plan.tombstoneGraceMs > 0 && plan.heartbeatMs > 0, "an absence is a time");
    this.#replica = replica;
    this.#exchanges = exchanges;
    this.#plan = plan;
    this.#aliveAt = keptNumber(replica.keeper.store, ALIVE) ?? 0;
    this.past = new LostPast(replica, { ...plan.host, progressed: () => this.#release() });
  }

  /** Whether anything of what it owns may be missing here. */
  get isBehind(): boolean {
    return this.#isCatchingUp || this.past.isPending;
  }

  /** Whether something of the key may be missing here. */
  mayLack(key: StoreKey): boolean {
    return this.#isCatchingUp || this.past.lacks(key);
  }

  /** What it waits for before it knows that it has what it owns, in words; null for nothing. */
  get reason(): string | null {
    if (this.past.isPending) return this.past.reason;
    if (!this.#isCatchingUp) return null;
    const { id } = this.#replica;
    if (this.#askingCount > 0) return `${id} is back and asks the others for what it missed.`;
    const holders = [...this.#homing].sort().join(", ");
    if (holders !== "") return `${id} is back and waits for the hints that ${holders} kept for it.`;
    return `${id} was away for long and compares itself with the other members first.`;
  }

  get #isCatchingUp(): boolean {
    return this.#askingCount > 0 || this.#homing.size > 0 || this.#mustCompare;
  }

  /**
   * Does the work once it is known what is missing here: at once, but for a moment after a start.
   */
  whenInformed(work: () => void): void {
    if (this.#isInformed) work();
    else this.#waiting.push(work);
  }

  get #isInformed(): boolean {
    return this.#askingCount === 0 && !this.past.isBeginning;
  }

  /** How often `note` is to be called, in ms. */
  get noteMs(): number {
    return Math.min(NOTE_MS_MAX, Math.max(NOTE_MS_MIN, this.#plan.tombstoneGraceMs / 4));
  }

  /** To be called before anything is done in a step. */
  notice({ monotonic: now, wall }: Now): void {
    const { heartbeatMs, tombstoneGraceMs } = this.#plan;
    const awayMs = this.#aliveAt === 0 ? 0 : this.#missed({ monotonic: now, wall });
    const sleepMs = Math.max(SLEEP_MS_MIN, 3 * heartbeatMs);
    const hasStarted = this.#steppedAt === 0;
    const slept = hasStarted || awayMs > sleepMs;
    if (hasStarted) this.#replica.keeper.operations.begin(now);
    this.#aliveAt = wall;
    this.#steppedAt = now;
    if (slept) this.#comeBack(now);
    // Hints wait for their owner for half of that.
    if (awayMs > tombstoneGraceMs || (slept && awayMs > tombstoneGraceMs / 2)) {
      this.#mustCompare = true;
      this.#attemptAt = now;
    }
    if (hasStarted) this.past.start(now);
    if (now >= this.#attemptAt) this.#catchUp(now);
  }

  /**
   * How long nothing was heard from the outside, in ms. For an earlier life only the wall clock
   * tells; a note from the future tells nothing, and counts as for ever. Within a life it is the
   * longer of two times: a machine that sleeps takes the monotonic clock with it, and the wall
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
    if (this.isBehind || this.#replica.keeper.store.health() !== "writable") return false;
    keepNumber(this.#replica.keeper.store, ALIVE, this.#plan.host.wall());
    return true;
  }

  #comeBack(now: Millis): void {
    const { host } = this.#plan;
    const self = this.#replica.id;
    this.#askingCount++;
    const done = (): void => {
      this.#askingCount--;
      this.#release();
    };
    tellOthers(host, { self, timeoutMs: DOCUMENT_MS_MAX, done }, now);
    for (const id of host.knowledge.ring.membersBut(self)) {
      if (this.#homing.has(id)) continue;
      this.#homing.add(id);
      this.#askingCount++;
      this.#bringHome(id, { count: Infinity, looks: 0 }, now);
    }
  }

  /** @param last how many hints the peer had at the last look, and for how many looks unchanged */
  #bringHome(
    id: ReplicaId,
    last: { readonly count: number; readonly looks: number },
    now: Millis,
  ): void {
    const { host } = this.#plan;
    const done = (replies: Replies, at: Millis): void => {
      const reply = replies.get(id);
      const pending = reply?.kind === "handedOff" ? reply.pending : 0;
      const looks = pending < last.count ? 0 : last.looks + 1;
      const isOver = pending === 0 || looks > HOMING_LOOKS_MAX;
      if (isOver) this.#homing.delete(id);
      if (last.count === Infinity) this.#askingCount--;
      this.#release();
      if (isOver) return;
      const finish = (_: null, later: Millis): void =>
        this.#bringHome(id, { count: pending, looks }, later);
      const make = (out: ConstructorParameters<typeof Pause>[1]): Pause =>
        new Pause(HOMING_MS, out);
      host.run<null>({ timeoutMs: 2 * HOMING_MS, again: null, make, finish }, at);
    };
    const body = { kind: "homing", target: this.#replica.id } as const;
    askAll(host, { targets: [id], body, timeoutMs: DOCUMENT_MS_MAX, done }, now);
  }

  #release(): void {
    if (!this.#isInformed) return;
    for (const work of this.#waiting.splice(0)) work();
  }

  #catchUp(now: Millis): void {
    this.#attemptAt = Infinity;
    const expected = this.#exchanges.peerCount;
    this.#exchanges.withAll(now, ({ exchanges }, at) => {
      if (exchanges < expected) this.#attemptAt = at + AGAIN_MS;
      else this.#mustCompare = false;
    });
  }
}
