/**
 * The time of this process's life, as others are told of it. It goes on as the node's own time
 * does, and adds what that misses while the machine sleeps. A wall clock that is set back takes
 * nothing back. Each life begins at a number that nobody can guess: what was said of one life
 * cannot be taken for another's.
 */
import type { LifeMillis, Now } from "../../../core/time.ts";

/** A wall clock that gained this much at once, in ms, shows that the machine slept. */
const SLEPT_MS_MIN = 100;
/** Between two beginnings, in ms; 2^32 of them are safe integers. */
const APART_MS = 2 ** 20;

export class LifeTime {
  readonly #beginning: number;
  #sleptMs = 0;
  #last: Now | null = null;

  /** @param u32 by chance */
  constructor(u32: number) {
    this.#beginning = u32 * APART_MS;
  }

  /** To be called in every step, before anything else. */
  notice(now: Now): void {
    const last = this.#last ?? now;
    const gainedMs = now.wall - last.wall - (now.monotonic - last.monotonic);
    if (gainedMs > SLEPT_MS_MIN) this.#sleptMs += gainedMs;
    this.#last = now;
  }

  /** In whole milliseconds, above 0. */
  get now(): LifeMillis {
    return 1 + this.#beginning + Math.floor(this.#sleptMs + (this.#last?.monotonic ?? 0));
  }
}
