/**
 * Time is a value that the host hands in; nothing here reads a clock. There are two of them, which
 * must not be taken for each other. The wall clock says what day it is, the same for everybody, and
 * jumps when somebody sets it: what is stored, or said to others, is told by it. A node's own time
 * only goes on, and means nothing to anybody else: deadlines, intervals and how long a peer has
 * been silent are counted by it, so that none of them depends on what the wall clock does.
 *
 * The types below are flavoured: a plain number fits each of them, and none of them fits another.
 *
 * A hybrid logical clock (Kulkarni et al., 2014) orders siblings for display: the wall clock's
 * milliseconds with a counter below them, never running backwards and never behind a time that was
 * seen from a peer. It decides no winner between versions: that is what contexts are for.
 */
import { assert } from "./assert.ts";

/** Milliseconds since 1970 by the host's wall clock: it may be off, and jump either way. */
export type WallMillis = number & { readonly flavour?: "wall" };

/**
 * Milliseconds of the node's own, monotonic time, never less than a moment ago. Its zero is of the
 * host's choosing and long before the node began, so that 0 may stand for "never yet".
 */
export type Millis = number & { readonly flavour?: "monotonic" };

/**
 * Milliseconds of a process's life, as it tells others of it: its own time, counted from a moment
 * that nobody can guess, so that no two lives of a replica share one (src/node/knowledge).
 */
export type LifeMillis = number & { readonly flavour?: "life" };

/**
 * When an entry is next to be looked at, by the wall clock; 0 for never. Its fraction is no part of
 * the time: it has two flags, which `expiry.ts` sets and reads, so that an index that keeps this
 * number and no entry knows what there is to do then. The format of the log has them there too
 * (docs/wal-format.md). Compared with a time it is at most a millisecond late.
 */
export type DueAt = number & { readonly flavour?: "due" };

/** The latest time that a date of ECMAScript can show. */
export const WALL_MILLIS_MAX: WallMillis = 8.64e15;

/** What the two clocks of a host show at one moment. */
export interface Now {
  readonly monotonic: Millis;
  readonly wall: WallMillis;
}

/**
 * Milliseconds since 1970 times 1024, plus a logical counter: one safe integer, good until 2248.
 */
export type Hlc = number & { readonly flavour?: "hybrid" };

const LOGICAL_STEPS = 1024;

export const hlcFromMillis = (ms: WallMillis): Hlc => Math.floor(ms) * LOGICAL_STEPS;
export const millisOfHlc = (time: Hlc): WallMillis => Math.floor(time / LOGICAL_STEPS);

/** The latest time that anything may claim, the year 2200: a hybrid clock can go on from there. */
export const HLC_MAX: Hlc = hlcFromMillis(7_258_118_400_000);

/** How far a peer's clock may run ahead of ours before it is refused: five minutes. */
export const CLOCK_SKEW_MS_MAX = 300_000;

export class HybridClock {
  #last: Hlc = 0;
  #refusedCount = 0;

  /** How many times of peers were refused for being too far ahead. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /**
   * A time later than every one given out or observed before, and than `after`. Only times further
   * ahead than anybody follows are given up: the wall clock that they came from is right again.
   */
  next(now: WallMillis, after: Hlc = 0): Hlc {
    const base = Math.max(hlcFromMillis(now), after + 1);
    if (this.#last > base + hlcFromMillis(CLOCK_SKEW_MS_MAX)) this.#last = 0;
    this.#last = Math.max(this.#last + 1, base);
    assert(Number.isSafeInteger(this.#last), "the clock left the safe integers");
    return this.#last;
  }

  /** Follows a time seen from a peer, unless it is more than `CLOCK_SKEW_MS_MAX` ahead. */
  observe(time: Hlc, now: WallMillis): boolean {
    if (time > hlcFromMillis(now + CLOCK_SKEW_MS_MAX)) {
      this.#refusedCount++;
      return false;
    }
    if (time > this.#last) this.#last = time;
    return true;
  }
}
