/**
 * How long a message has waited on its way, by two clocks that do not agree.
 *
 * Sender and receiver each read a clock that only runs forward. The smallest difference ever seen
 * between the two stands for a message that did not wait (as LEDBAT's base delay does, RFC 6817);
 * what another one took beyond that, it spent in a queue: of a process that was stopped, of a
 * machine that is overloaded. The estimate is never too high: nothing is given up too early.
 */
const WINDOW_MS = 60_000;

export class Waited {
  #base = Infinity;
  /** Of the window before this one: clocks drift apart, so old differences are forgotten. */
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
