/**
 * The operations that were seen lately. They are kept in the order in which they came beside the
 * Map: each time a Map is asked for its first entry it walks over the holes that deleted ones left,
 * and under load there are tens of thousands.
 */
import { assert, present } from "../../../core/assert.ts";
import type { OpId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";

/** The queue is made shorter once so many of its first places, and half of all, are empty. */
const EMPTY_COUNT_MIN = 1024;
/** The time until which an operation counts as seen if nothing came of it. */
const UNSEEN = Number.NEGATIVE_INFINITY;

export class RecentOps {
  readonly #until = new Map<OpId, Millis>();
  #queue: OpId[] = [];
  #head = 0;

  get size(): number {
    return this.#until.size;
  }

  /**
   * Remembers the operation; false when it was seen already. Operations are forgotten in the order
   * in which they came.
   */
  see(op: OpId, until: Millis, now: Millis): boolean {
    this.#forget(now);
    const before = this.#until.get(op);
    if (before !== undefined && before !== UNSEEN) return false;
    this.#until.set(op, until);
    if (before === undefined) this.#queue.push(op);
    assert(this.#queue.length - this.#head === this.#until.size, "each waits in line once");
    return true;
  }

  /** Nothing came of it: when it comes again it counts as not seen. */
  unsee(op: OpId): void {
    if (this.#until.has(op)) this.#until.set(op, UNSEEN);
  }

  #forget(now: Millis): void {
    for (;;) {
      const oldest = this.#queue[this.#head];
      if (oldest === undefined || present(this.#until.get(oldest)) > now) break;
      this.#until.delete(oldest);
      this.#head++;
    }
    if (this.#head < EMPTY_COUNT_MIN || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
