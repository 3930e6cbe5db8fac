/**
 * Time is a value that the host hands in; nothing here reads a clock.
 *
 * A hybrid logical clock (Kulkarni et al., 2014) orders siblings for display: the wall clock's
 * milliseconds with a counter below them, never running backwards and never behind a time that was
 * seen from a peer. It decides no winner between versions: that is what contexts are for.
 */
import { assert } from "./assert.ts";

/** Milliseconds since 1970 by the host's wall clock. */
export type Millis = number;

/**
 * Milliseconds since 1970 times 1024, plus a logical counter: one safe integer, good until 2248.
 */
export type Hlc = number;

const LOGICAL_STEPS = 1024;

export const hlcFromMillis = (ms: Millis): Hlc => Math.floor(ms) * LOGICAL_STEPS;
export const millisOfHlc = (time: Hlc): Millis => Math.floor(time / LOGICAL_STEPS);

/** How far a peer's clock may run ahead of ours before it is refused: five minutes. */
export const CLOCK_SKEW_MS_MAX = 300_000;

export class HybridClock {
  #last: Hlc = 0;
  #refusedCount = 0;

  /** How many times of peers were refused for being too far ahead. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** A time later than every time given out or observed before. */
  next(now: Millis): Hlc {
    this.#last = Math.max(this.#last + 1, hlcFromMillis(now));
    assert(Number.isSafeInteger(this.#last), "the clock left the safe integers");
    return this.#last;
  }

  /** Follows a time seen from a peer, unless it is more than `CLOCK_SKEW_MS_MAX` ahead. */
  observe(time: Hlc, now: Millis): boolean {
    if (time > hlcFromMillis(now + CLOCK_SKEW_MS_MAX)) {
      this.#refusedCount++;
      return false;
    }
    if (time > this.#last) this.#last = time;
    return true;
  }
}
