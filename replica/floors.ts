/**
 * Up to where deletes may be missing in a replica's order of arrival, because they were collected:
 * a reader that has come less far begins anew. A floor is of a namespace, so that what is collected
 * in one is no news to readers of another. There may be any number of them: they share 256 places,
 * by a hash of their names.
 *
 * A floor is durable before the key is dropped, or a crash in between would leave neither the
 * delete nor the word that one is missing. So that this is not written for every key, it is written
 * ahead, and put right at the end of the step: a crash then at worst leaves too high a floor.
 */
import { decode, encode } from "../core/codec.ts";
import type { Store } from "../core/store.ts";

/** How many positions ahead it is written. */
const STEP = 1024;

interface Place {
  floor: number;
  /** As it is stored. */
  kept: number;
}

/** From 0 to 255. */
const placeOf = (namespace: string): number => {
  let hash = 0;
  for (let i = 0; i < namespace.length; i++) {
    hash = Math.imul(hash ^ namespace.charCodeAt(i), 0x9e3779b1);
  }
  return hash >>> 24;
};

const nameOf = (place: number): string => `floor-${place}`;

export class Floors {
  readonly #store: Store;
  /** The name of the order: floors of another one say nothing. */
  readonly #run: () => number;
  /** Those that were asked for. */
  readonly #places = new Map<number, Place>();
  /** Those that are stored too high. */
  readonly #ahead = new Set<number>();

  constructor(store: Store, run: () => number) {
    this.#store = store;
    this.#run = run;
  }

  /** 0: nothing is missing. */
  of(namespace: string): number {
    return this.#at(placeOf(namespace)).floor;
  }

  /** To be called before what stands there is dropped. */
  raise(namespace: string, position: number): void {
    const index = placeOf(namespace);
    const place = this.#at(index);
    if (position <= place.floor) return;
    place.floor = position;
    if (position <= place.kept) return;
    this.#keep(index, Math.min(position + STEP, this.#store.arrivedThrough));
    this.#ahead.add(index);
  }

  /** To be called at the end of a step. */
  settle(): void {
    for (const index of this.#ahead) {
      const { floor, kept } = this.#at(index);
      if (kept > floor) this.#keep(index, floor);
    }
    this.#ahead.clear();
  }

  /** The order has another name. */
  forget(): void {
    this.#places.clear();
    this.#ahead.clear();
  }

  #at(index: number): Place {
    const known = this.#places.get(index);
    if (known !== undefined) return known;
    const floor = this.#read(index);
    const place = { floor, kept: floor };
    this.#places.set(index, place);
    return place;
  }

  #read(index: number): number {
    const bytes = this.#store.readMeta(nameOf(index));
    const list = bytes === undefined ? null : decode(bytes);
    if (!Array.isArray(list)) return 0;
    const [run, floor] = list as unknown[];
    return run === this.#run() && Number.isSafeInteger(floor) ? Number(floor) : 0;
  }

  #keep(index: number, floor: number): void {
    this.#at(index).kept = floor;
    this.#store.writeMeta(nameOf(index), encode([this.#run(), floor]));
  }
}
