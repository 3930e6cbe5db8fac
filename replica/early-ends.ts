/**
 * Keys with a value whose body was given up by a clock that was ahead, and when its time is over by
 * any clock. Until then the body is wanted back, and the key counts as lost. When every owner has
 * given it up nobody brings it; then the key is whole again when that time has come.
 */
import type { StoreKey } from "../core/store.ts";
import type { Millis, Now, WallMillis } from "../core/time.ts";

/** Between two looks for those that are over, in ms: there may be many. */
const LOOK_MS = 500;

export class EarlyEnds {
  readonly #ends = new Map<StoreKey, WallMillis>();
  #lookedAt: Millis = -Infinity;

  add(key: StoreKey, endsAt: WallMillis): void {
    this.#ends.set(key, endsAt);
  }

  drop(key: StoreKey): void {
    this.#ends.delete(key);
  }

  /** Takes out those that are over by this clock. */
  over({ monotonic, wall }: Now): readonly StoreKey[] {
    if (this.#ends.size === 0 || monotonic < this.#lookedAt + LOOK_MS) return [];
    this.#lookedAt = monotonic;
    const over = [...this.#ends].filter(([, endsAt]) => endsAt <= wall).map(([key]) => key);
    for (const key of over) this.#ends.delete(key);
    return over;
  }
}
