/**
 * Starts handoff rounds: one at a time a target. For a target that is believed to be away, hints
 * that have outlived their window are retired instead, and for one that leaves or has left the
 * ring, all. A replica that leaves does not wait for long.
 *
 * A replica that was removed while it was away hands over nothing: what it holds may have been
 * deleted since, and its tombstone was collected without waiting for it.
 */
import {
  type HandoffPlan,
  type HandoffResult,
  HandoffRound,
  type HintsMoving,
  handoffLimits,
} from "../../../antientropy/handoff.ts";
import { HintRetirement } from "../../../antientropy/hint-retirement.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** All of a round's batches together; a batch has a shorter time of its own. */
const ROUND_MS_MAX = 600_000;
/** How long a replica that leaves waits for an owner that seems to be away. */
const LEAVING_WINDOW_MS = 10_000;
/** How many other copies must exist for a hint to go: a quorum may be this one and another. */
const COPIES_MIN = 2;

export class Handoff {
  readonly #replica: Replica;
  readonly #host: TaskHost;
  readonly #windowMs: number;
  readonly #busy = new Set<ReplicaId>();

  /** @param windowMs how long hints wait for an owner that is away */
  constructor(replica: Replica, host: TaskHost, windowMs: number) {
    this.#replica = replica;
    this.#host = host;
    this.#windowMs = windowMs;
  }

  /**
   * Begins a round for every target with hints. With `done` (an operator asked) suspected targets
   * are tried too, and it is called when all rounds are over.
   */
  start(now: Millis, done: ((deliveredCount: number) => void) | null): void {
    const { liveness, counters, ring } = this.#host.knowledge;
    if (ring.member(this.#replica.id) === undefined) return done?.(0);
    const idle = [...this.#replica.keeper.store.hintCounts().keys()].filter(
      (id) => !this.#busy.has(id),
    );
    const isWorthTrying = (id: ReplicaId): boolean =>
      this.#isStaying(id) && (done !== null || liveness.isWorthTrying(id, now));
    const targets = idle.filter(isWorthTrying);
    for (const id of idle) if (!targets.includes(id)) this.#retire(id, now);
    let openCount = targets.length;
    let deliveredCount = 0;
    const over = (result: HandoffResult): void => {
      this.#busy.delete(result.target);
      counters.hintsDelivered += result.deliveredCount;
      deliveredCount += result.deliveredCount;
      if (--openCount === 0) done?.(deliveredCount);
    };
    if (targets.length === 0) done?.(0);
    for (const target of targets) this.#begin(target, { over, now });
  }

  /**
   * Begins a round for one target, which has just shown that it lives, whatever was believed of it.
   *
   * @returns how many hints it has here
   */
  toward(target: ReplicaId, now: Millis): number {
    const { knowledge } = this.#host;
    const count = this.#replica.keeper.store.hintCounts().get(target) ?? 0;
    const isMember = knowledge.ring.member(this.#replica.id) !== undefined;
    if (count === 0 || this.#busy.has(target) || !isMember || !this.#isStaying(target))
      return count;
    const over = (result: HandoffResult): void => {
      this.#busy.delete(target);
      knowledge.counters.hintsDelivered += result.deliveredCount;
    };
    this.#begin(target, { over, now });
    return count;
  }

  #isStaying(id: ReplicaId): boolean {
    const { ring } = this.#host.knowledge;
    const state = ring.stateOf(id);
    return ring.member(id) !== undefined && (state === "up" || state === "joining");
  }

  #retire(target: ReplicaId, now: Millis): void {
    const { knowledge } = this.#host;
    const isWaiting = this.#isStaying(this.#replica.id);
    const windowMs = isWaiting ? this.#windowMs : Math.min(this.#windowMs, LEAVING_WINDOW_MS);
    const olderThan = this.#isStaying(target) ? this.#host.wall() - windowMs : Infinity;
    const keepersOf = (key: StoreKey): readonly ReplicaId[] | null => this.#keepersOf(key, target);
    const plan = { ...this.#planFor(target), olderThan, keepersOf };
    this.#busy.add(target);
    this.#host.run<HandoffResult>(
      {
        timeoutMs: handoffLimits.batchTimeoutMs,
        again: null,
        make: (out) => new HintRetirement(plan, out),
        finish: ({ deliveredCount }) => {
          this.#busy.delete(target);
          knowledge.counters.hintsRetired += deliveredCount;
        },
      },
      now,
    );
  }

  #keepersOf(key: StoreKey, target: ReplicaId): readonly ReplicaId[] | null {
    const { knowledge } = this.#host;
    const { ring, liveness } = knowledge;
    const primaries = ring
      .preferenceList(ring.partitionOf(key))
      .slice(0, knowledge.widestOf(namespaceOf(key)))
      .filter((id) => id !== target);
    // A replica that leaves cannot keep a hint, and nobody needs one for a replica that has left.
    const mayStay = this.#isStaying(this.#replica.id) && ring.member(target) !== undefined;
    if (mayStay && primaries.length < COPIES_MIN) return null;
    const isAway = (id: ReplicaId): boolean => id !== this.#replica.id && liveness.isSuspect(id);
    return primaries.some(isAway) ? null : primaries;
  }

  #planFor(target: ReplicaId): HandoffPlan {
    const { store, hintMoves } = this.#replica.keeper;
    const moving: HintsMoving = (of, keys, to) => hintMoves.moving(of, keys, to);
    return { target, store, limits: handoffLimits, moving };
  }

  #begin(target: ReplicaId, of: { over: (result: HandoffResult) => void; now: Millis }): void {
    this.#busy.add(target);
    this.#host.run<HandoffResult>(
      {
        timeoutMs: ROUND_MS_MAX,
        again: null,
        make: (out) => new HandoffRound(this.#planFor(target), out),
        finish: of.over,
      },
      of.now,
    );
  }
}
