/** Virtual time, in ms from the start of a run: events to come, by time and then by order. */
import { assert } from "../../core/assert.ts";

interface Event {
  readonly at: number;
  readonly sequence: number;
  readonly run: () => void;
}

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.sequence < b.sequence);

/** A binary heap; events of one instant happen in the order in which they were set. */
export class Events {
  now = 0;
  count = 0;
  readonly #heap: Event[] = [];
  #sequence = 0;

  /** @param delayMs at least 0 */
  after(delayMs: number, run: () => void): void {
    assert(delayMs >= 0 && Number.isFinite(delayMs), "nothing happens in the past, or never");
    const event = { at: this.now + delayMs, sequence: this.#sequence++, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  /** Runs everything up to an instant, which it is then. */
  runUntil(until: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#dropFirst();
      this.now = next.at;
      this.count++;
      next.run();
    }
    this.now = Math.max(this.now, until);
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    const { length } = heap;
    if (length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= length) break;
      const right = left + 1;
      const isRight = right < length && isBefore(heap[right] as Event, heap[left] as Event);
      const child = isRight ? right : left;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}
