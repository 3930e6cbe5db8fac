/** Virtual time: a queue of things to happen, by time and, at one time, in the order of arrival. */
import { assert } from "../../core/assert.ts";
import { Alarms } from "../../src/node/alarms.ts";

export class Events {
  now = 1_700_000_000_000;
  /** One heap a purpose would break ties by chance; the sequence number keeps them in order. */
  readonly #queue = new Alarms<{ readonly sequence: number; readonly run: () => void }>();
  #sequence = 0;
  count = 0;

  after(delayMs: number, run: () => void): void {
    assert(delayMs >= 0, "nothing happens in the past");
    // A millionth of a millisecond an event keeps the order of those that were set for one time.
    this.#sequence++;
    this.#queue.set(this.now + delayMs + (this.#sequence % 1000) * 1e-4, {
      sequence: this.#sequence,
      run,
    });
  }

  /** Runs the next event; false when there is none before the instant. */
  next(until: number): boolean {
    const { nextAt } = this.#queue;
    if (nextAt > until) {
      this.now = Math.max(this.now, until);
      return false;
    }
    const event = this.#queue.take(nextAt);
    assert(event !== undefined, "an event that is due is there");
    this.now = Math.max(this.now, nextAt);
    this.count++;
    event.run();
    return true;
  }
}
