import { assert } from "../../../core/assert.ts";
import type { Millis } from "../../../core/time.ts";

interface Alarm<Item> {
  readonly at: Millis;
  readonly item: Item;
}

/**
 * A binary heap of alarms. Nothing is ever removed before its time: most requests are over long
 * before they would be woken, and looking at a dead alarm once is cheaper than finding it earlier.
 */
export class Alarms<Item> {
  readonly #heap: Alarm<Item>[] = [];

  get nextAt(): Millis {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** What the earliest alarm is for. */
  get next(): Item | undefined {
    return this.#heap[0]?.item;
  }

  set(at: Millis, item: Item): void {
    if (at === Infinity) return;
    const heap = this.#heap;
    let index = heap.length;
    heap.push({ at, item });
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= at) break;
      this.#swap(index, parent);
      index = parent;
    }
    assert(this.nextAt <= at, "the earliest alarm is on top");
  }

  /** Takes the earliest alarm that is due, if there is one. */
  take(now: Millis): Item | undefined {
    const heap = this.#heap;
    const top = heap[0];
    if (top === undefined || top.at > now) return undefined;
    const last = heap.pop() as Alarm<Item>;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return top.item;
  }

  #sink(): void {
    const { length } = this.#heap;
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      if (left >= length) return;
      const right = left + 1;
      const child = right < length && this.#at(right) < this.#at(left) ? right : left;
      if (this.#at(index) <= this.#at(child)) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #at(index: number): Millis {
    return (this.#heap[index] as Alarm<Item>).at;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const held = heap[a] as Alarm<Item>;
    heap[a] = heap[b] as Alarm<Item>;
    heap[b] = held;
  }
}
