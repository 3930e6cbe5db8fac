/**
 * How long a message has waited on its way, by two clocks that do not agree.
 *
 * Sender and receiver each read a clock that only runs forward. The smallest difference ever seen
 * between the two stands for a message that did not wait (as LEDBAT's base delay does, RFC 6817);
 * whatever another one took beyond that, it spent in a queue, as of a stopped process or an
 * overloaded machine. The estimate is never too high, so nothing is given up too early.
 */
const WINDOW_MS = 60_000;

export class Waited {
  #base = Infinity;
  /** The smallest one of the window before this: clocks drift apart, so old ones are forgotten. */
  #baseBefore = Infinity;
  #windowEndsAt = -Infinity;

  /** @returns ms that this message waited; both instants in ms of their own clock */
  of(sentAt: number, now: number): number {
    const difference = now - sentAt;
    if (now >= this.#windowEndsAt) {
      this.#baseBefore = this.#base;
      this.#base = Infinity;
      this.#windowEndsAt = now + WINDOW_MS;
    }
    this.#base = Math.min(this.#base, difference);
    return difference - Math.min(this.#base, this.#baseBefore);
  }
}
