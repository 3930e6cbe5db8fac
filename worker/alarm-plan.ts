/**
 * When a replica's alarm is to ring next. An object without work sets none and sleeps: an idle
 * deployment costs nothing. What is stuck because a peer is away is tried less and less often.
 *
 * The plan is a value that the object stores: it may have slept between two alarms, and a back-off
 * that starts anew each time would be none.
 */
import { assert } from "../core/assert.ts";

export interface AlarmPlan {
  /** How many peers are still to be compared with since the last write. */
  readonly comparisonsLeft: number;
  /** How long to wait before the next comparison, in ms. */
  readonly compareMs: number;
  /** How long to wait before hints are tried again, in ms. */
  readonly hintMs: number;
  /** How long to wait before collection is tried again, in ms. */
  readonly dueMs: number;
  /** How long to wait before a change of members is gone on with, in ms. */
  readonly changeMs: number;
}

/** What there is to do, before or after the jobs of one alarm. */
export interface Backlog {
  readonly hintCount: number;
  /** The instant from which something may be collected; Infinity for never. */
  readonly dueAt: number;
  /** Whether members change, or copies that are no longer owned are still to be given up. */
  readonly isChanging: boolean;
  /** Moves with every step of a change: the document's stamp and what is left of a walk. */
  readonly step: number;
}

/** Comparing waits this long after a write, so that writes in flight are not chased. */
export const COMPARE_MS = 10_000;
/** Between two looks at what a change of members leaves to do. */
export const CHANGE_MS = 1000;
const HINT_MS = 2000;
const DUE_MS = 10_000;
const RETRY_MS_MAX = 300_000;
const DUE_MS_MAX = 3_600_000;
/** What changes meanwhile wakes the replica by itself; this is for messages that were lost. */
const CHANGE_MS_MAX = 60_000;

export const idlePlan: AlarmPlan = {
  comparisonsLeft: 0,
  compareMs: COMPARE_MS,
  hintMs: HINT_MS,
  dueMs: DUE_MS,
  changeMs: CHANGE_MS,
};

const doubled = (ms: number, most: number): number => Math.min(2 * ms, most);

/**
 * @param plan without the comparisons that were just made
 * @param done what the jobs left behind; `peersAway` when a peer did not answer them, and so has to
 *   be compared with once it is back
 * @returns the plan to keep, and in how many ms to ring again; null for not at all
 */
export function planNext(
  plan: AlarmPlan,
  done: {
    readonly before: Backlog;
    readonly after: Backlog;
    readonly peerCount: number;
    readonly peersAway: boolean;
  },
  now: number,
): { readonly plan: AlarmPlan; readonly ringInMs: number | null } {
  const { before, after, peerCount, peersAway } = done;
  assert(plan.comparisonsLeft >= 0, "comparisons are counted");
  const hintsAreStuck = after.hintCount > 0 && after.hintCount >= before.hintCount;
  const dueIsStuck = after.dueAt <= now && after.dueAt === before.dueAt;
  const changeIsStuck = after.isChanging && before.isChanging && before.step === after.step;
  const startsAnew = plan.comparisonsLeft === 0 && peersAway;
  const next: AlarmPlan = {
    comparisonsLeft: startsAnew ? peerCount : plan.comparisonsLeft,
    compareMs: startsAnew ? doubled(plan.compareMs, RETRY_MS_MAX) : COMPARE_MS,
    hintMs: hintsAreStuck ? doubled(plan.hintMs, RETRY_MS_MAX) : HINT_MS,
    dueMs: dueIsStuck ? doubled(plan.dueMs, DUE_MS_MAX) : DUE_MS,
    changeMs: changeIsStuck ? doubled(plan.changeMs, CHANGE_MS_MAX) : CHANGE_MS,
  };
  const ringInMs = Math.min(
    after.hintCount > 0 ? next.hintMs : Infinity,
    next.comparisonsLeft > 0 ? next.compareMs : Infinity,
    after.isChanging ? next.changeMs : Infinity,
    // Not before the others are likely to be awake, and never in a tight loop.
    Math.max(after.dueAt - now, next.dueMs),
  );
  return { plan: next, ringInMs: ringInMs === Infinity ? null : ringInMs };
}
