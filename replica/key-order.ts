/**
 * The keys of one namespace in the order of their UTF-8 bytes, for listings.
 *
 * Built at the first listing from the store's index and kept up to date from then on: new keys wait
 * in a set and are merged in when somebody lists. A store that keeps its keys in order (SQLite)
 * does not need it.
 */
import { assert } from "../core/assert.ts";
import { compareUtf8 } from "../core/keys.ts";
import type { StoreKey } from "../core/store.ts";

export class KeyOrder {
  #sorted: StoreKey[];
  readonly #added = new Set<StoreKey>();
  readonly #dropped = new Set<StoreKey>();

  constructor(keys: Iterable<StoreKey>) {
    this.#sorted = [...new Set(keys)].sort(compareUtf8);
  }

  add(key: StoreKey): void {
    this.#dropped.delete(key);
    this.#added.add(key);
  }

  drop(key: StoreKey): void {
    this.#added.delete(key);
    this.#dropped.add(key);
  }

  /** Up to `countMax` keys that start with the prefix and come after the given one. */
  page(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    assert(countMax > 0, "a page has room");
    this.#settle();
    const from = compareUtf8(after, prefix) < 0 ? prefix : after;
    const page: StoreKey[] = [];
    for (let i = this.#firstFrom(from); i < this.#sorted.length && page.length < countMax; i++) {
      const key = this.#sorted[i] as StoreKey;
      if (!key.startsWith(prefix)) break;
      if (key !== after) page.push(key);
    }
    return page;
  }

  #firstFrom(key: StoreKey): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareUtf8(this.#sorted[middle] as StoreKey, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #settle(): void {
    if (this.#added.size === 0 && this.#dropped.size === 0) return;
    const known = this.#sorted.filter((key) => !this.#dropped.has(key) && !this.#added.has(key));
    const added = [...this.#added].sort(compareUtf8);
    this.#sorted = mergeSorted(known, added);
    this.#added.clear();
    this.#dropped.clear();
  }
}

function mergeSorted(a: readonly StoreKey[], b: readonly StoreKey[]): StoreKey[] {
  const out: StoreKey[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const x = a[i];
    const y = b[j];
    if (y === undefined || (x !== undefined && compareUtf8(x, y) <= 0)) {
      out.push(x as StoreKey);
      i++;
    } else {
      out.push(y);
      j++;
    }
  }
  return out;
}
