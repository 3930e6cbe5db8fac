/**
 * Which slots are due first: a binary heap whose members know their place, so that a rewritten
 * deadline moves one member instead of leaving a stale one behind. A slot without a deadline is
 * not in it and costs at most four bytes.
 */
import { assert, present } from "../core/assert.ts";

const ABSENT = -1;

export class DueHeap {
  #slots = new Int32Array(64);
  #dues = new Float64Array(64);
  /** By slot: where in the heap it stands, or `ABSENT`. Grown only as far as it is needed. */
  #places = new Int32Array(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The instant at which the first of all is due; Infinity for never. */
  get earliest(): number {
    return this.#size === 0 ? Infinity : this.#due(0);
  }

  /** The instant at which a slot is due, 0 for never. */
  dueAt(slot: number): number {
    const place = this.#places[slot] ?? ABSENT;
    return place === ABSENT ? 0 : this.#due(place);
  }

  /** @param dueAt above 0 */
  set(slot: number, dueAt: number): void {
    assert(dueAt > 0 && Number.isFinite(dueAt), "a deadline is a positive number");
    this.#makeRoom(slot);
    const place = present(this.#places[slot]);
    if (place === ABSENT) {
      this.#put(this.#size++, slot, dueAt);
      this.#up(this.#size - 1);
      return;
    }
    this.#dues[place] = dueAt;
    this.#up(place);
    this.#down(present(this.#places[slot]));
  }

  remove(slot: number): void {
    const place = this.#places[slot] ?? ABSENT;
    if (place === ABSENT) return;
    this.#places[slot] = ABSENT;
    this.#size--;
    if (place === this.#size) return;
    const moved = this.#slot(this.#size);
    this.#put(place, moved, this.#due(this.#size));
    this.#up(place);
    this.#down(present(this.#places[moved]));
  }

  /** Up to `countMax` slots due at or before an instant, earliest first. Changes nothing. */
  first(before: number, countMax: number): number[] {
    const found: { slot: number; dueAt: number }[] = [];
    while (found.length < countMax && this.#size > 0 && this.#due(0) <= before) {
      found.push({ slot: this.#slot(0), dueAt: this.#due(0) });
      this.remove(this.#slot(0));
    }
    for (const { slot, dueAt } of found) this.set(slot, dueAt);
    return found.map(({ slot }) => slot);
  }

  #slot(place: number): number {
    return present(this.#slots[place]);
  }

  #due(place: number): number {
    return present(this.#dues[place]);
  }

  #put(place: number, slot: number, dueAt: number): void {
    this.#slots[place] = slot;
    this.#dues[place] = dueAt;
    this.#places[slot] = place;
  }

  #swap(a: number, b: number): void {
    const slot = this.#slot(a);
    const dueAt = this.#due(a);
    this.#put(a, this.#slot(b), this.#due(b));
    this.#put(b, slot, dueAt);
  }

  #up(from: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#due(parent) <= this.#due(place)) return;
      this.#swap(parent, place);
      place = parent;
    }
  }

  #down(from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= this.#size) return;
      const right = left + 1;
      const child = right < this.#size && this.#due(right) < this.#due(left) ? right : left;
      if (this.#due(place) <= this.#due(child)) return;
      this.#swap(place, child);
      place = child;
    }
  }

  #makeRoom(slot: number): void {
    if (this.#size === this.#slots.length) {
      const slots = new Int32Array(this.#size * 2);
      slots.set(this.#slots);
      this.#slots = slots;
      const dues = new Float64Array(this.#size * 2);
      dues.set(this.#dues);
      this.#dues = dues;
    }
    if (slot < this.#places.length) return;
    const places = new Int32Array(Math.ceil((slot + 64) * 1.25)).fill(ABSENT);
    places.set(this.#places);
    this.#places = places;
  }
}
