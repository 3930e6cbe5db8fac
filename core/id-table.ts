/**
 * What is open under numbers that only grow: calls, waiting clients, requests at work.
 *
 * A `Map` would do, but for its garbage. With every few hundred insertions V8 gives a `Map` a new
 * table; the old one points to it and goes on pointing to what it held at that moment. Once one of
 * them is old enough for the old generation, all that come after it are kept from the young
 * collector, each with the state of every request that was open then: under load a third of a
 * node's processor time went into copying that. Here a place is taken and given back.
 */
import { assert } from "./assert.ts";

const SIZE_START = 256;

/** Numbers near each other share no place; the table grows when two that are far apart would. */
export class IdTable<Item> {
  #ids = new Float64Array(SIZE_START).fill(-1);
  #items: (Item | undefined)[] = new Array<undefined>(SIZE_START).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Item | undefined {
    const at = id % this.#ids.length;
    return this.#ids[at] === id ? this.#items[at] : undefined;
  }

  /** @param id a non-negative safe integer that is not in the table */
  add(id: number, item: Item): void {
    assert(Number.isSafeInteger(id) && id >= 0, "an id counts from 0");
    while (this.#ids[id % this.#ids.length] !== -1) this.#grow();
    const at = id % this.#ids.length;
    this.#ids[at] = id;
    this.#items[at] = item;
    this.#size++;
  }

  delete(id: number): boolean {
    const at = id % this.#ids.length;
    if (this.#ids[at] !== id) return false;
    this.#ids[at] = -1;
    this.#items[at] = undefined;
    this.#size--;
    return true;
  }

  /** In no particular order; not to be changed meanwhile. */
  *values(): Iterable<Item> {
    for (let at = 0, left = this.#size; left > 0 && at < this.#ids.length; at++) {
      if (this.#ids[at] === -1) continue;
      left--;
      yield this.#items[at] as Item;
    }
  }

  #grow(): void {
    const [ids, items] = [this.#ids, this.#items];
    const length = ids.length * 2;
    assert(length <= 2 ** 26, "ids are not so far apart that most of the table is empty");
    this.#ids = new Float64Array(length).fill(-1);
    this.#items = new Array<undefined>(length).fill(undefined);
    for (const [at, id] of ids.entries()) {
      if (id === -1) continue;
      this.#ids[id % length] = id;
      this.#items[id % length] = items[at];
    }
  }
}
