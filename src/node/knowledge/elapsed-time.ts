/**
 * The replica's own time, which claims of its staleness are measured in: it never goes on by less
 * than what passed. It goes on with the faster one of the two clocks: a machine that sleeps stops
 * one of them, and setting the other back takes nothing back.
 *
 * Wall clocks tell whole milliseconds, and many steps may be within one. So the two are compared
 * over stretches of a second, not step by step: else each step that the wall clock happened to tick
 * in would count a whole millisecond beside the fractions of the others, and a busy replica would
 * take itself for up to twice as stale as it is.
 */
import type { Millis, Now } from "../../../core/time.ts";

/** Of one stretch. */
const STRETCH_MS: Millis = 1000;
/** How far the wall clock may fall behind because it tells whole milliseconds. */
const ROUNDING_MS = 1;

export class ElapsedTime {
  /** Where the stretch began, and what had passed by then. */
  #from: Now | null = null;
  #before: Millis = 0;
  #last: Now | null = null;
  #now: Millis = 0;

  /** In ms since the first step. */
  get now(): Millis {
    return this.#now;
  }

  /**
   * To be called in every step, before anything is done in it.
   *
   * @returns by how much it went on beyond the monotonic clock, in ms
   */
  notice(now: Now): Millis {
    const last = this.#last ?? now;
    const monotonicMs = now.monotonic - last.monotonic;
    // A clock that is set back ends a stretch: in a longer one that would hide a gain beside it.
    const isSetBack = monotonicMs - (now.wall - last.wall) > ROUNDING_MS;
    if (isSetBack) this.#begin(last);
    const from = this.#from ?? now;
    const passedMs = Math.max(now.monotonic - from.monotonic, now.wall - from.wall);
    const gainedMs = Math.max(0, this.#before + passedMs - this.#now);
    this.#now += gainedMs;
    this.#last = now;
    if (isSetBack || now.monotonic - from.monotonic >= STRETCH_MS) this.#begin(now);
    else this.#from = from;
    return gainedMs - monotonicMs;
  }

  #begin(from: Now): void {
    this.#from = from;
    this.#before = this.#now;
  }
}
