/**
 * Gives back the space of values that ended in hints. An index of their ends would be kept only for
 * members that are away; instead all hints are gone through now and then, some at a time.
 */
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Keeper } from "../../../replica/keeper.ts";

/** Hints that are looked at in one run. */
const HINTS_PER_RUN = 64;
/** Between the beginnings of two walks over all hints, in ms. */
const WALK_MS = 5000;

export class HintSweep {
  readonly #keeper: Keeper;
  #walk: Iterator<readonly [target: string, key: StoreKey]> | null = null;
  #notBefore: WallMillis = 0;

  constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** Whether a walk has not come to its end. */
  get isUnderWay(): boolean {
    return this.#walk !== null;
  }

  /** One bounded unit; returns how many hints were rewritten, or forgotten. */
  run(now: WallMillis): number {
    if (this.#walk === null) {
      if (now < this.#notBefore || this.#keeper.store.hintCounts().size === 0) return 0;
      this.#notBefore = now + WALK_MS;
      this.#walk = this.#hints();
    }
    let sweptCount = 0;
    for (let i = 0; i < HINTS_PER_RUN; i++) {
      const next = this.#walk.next();
      if (next.done === true) {
        this.#walk = null;
        break;
      }
      const [target, key] = next.value;
      if (this.#keeper.sweep(key, target, now)) sweptCount++;
    }
    return sweptCount;
  }

  *#hints(): Generator<readonly [target: string, key: StoreKey], undefined> {
    const { store } = this.#keeper;
    for (const [target, count] of store.hintCounts()) {
      for (const key of store.hintedKeys(target, count)) yield [target, key];
    }
    return undefined;
  }
}
