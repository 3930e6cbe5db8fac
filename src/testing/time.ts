/** Time for a cluster in a test: the host's own, or one that the test sets forward. */
import type { Now } from "../../core/time.ts";
import { hostClock } from "../driver/host-clock.ts";

export interface TestTime {
  now(): Now;
  /** @returns a function that cancels the timer */
  setTimer(callback: () => void, delayMs: number): () => void;
}

export const realTime = (): TestTime => ({
  now: hostClock(
    () => performance.now(),
    () => Date.now(),
  ),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
});

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Two turns of microtasks a message, and some for what a frontend does around it. */
const TURNS = 50;

/** Lets everything happen that waits only for its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await Promise.resolve();
}

/** Stands still until it is told to go on: no test waits, and none depends on the machine. */
export class VirtualTime implements TestTime {
  #at = 0;
  readonly #timers = new Set<Timer>();
  readonly #now: () => Now;

  /** @param startsAt ms since 1970 */
  constructor(startsAt: number) {
    this.#now = hostClock(
      () => this.#at,
      () => startsAt + this.#at,
    );
  }

  now(): Now {
    return this.#now();
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    const timer = { at: this.#at + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets that much time pass, in ms, and everything happen that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const until = this.#at + ms;
    await settle();
    for (let next = this.#next(until); next !== null; next = this.#next(until)) {
      this.#timers.delete(next);
      this.#at = Math.max(this.#at, next.at);
      next.callback();
      await settle();
    }
    this.#at = until;
  }

  #next(until: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.at <= until && (first === null || timer.at < first.at)) first = timer;
    }
    return first;
  }
}
