/**
 * SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024): which key of a namespace to evict.
 *
 * Keys stand in the order in which they came; a hit only sets a bit, and moves nothing. A hand goes
 * from the oldest towards the newest: it clears the bit where there is one, and evicts where there
 * is none. What a scan reads once is gone when the hand comes by, what is read again and again
 * stays.
 *
 * The order is a chain through typed columns, 9 bytes a key beside the key's own table. At most
 * `countMax` keys are known: beyond that the policy forgets the one that it would evict.
 */
import { assert, present } from "../core/assert.ts";
import { KeyMap, NO_SLOT } from "./key-map.ts";

const SLOTS_COUNT_FIRST = 64;

export class Sieve {
  readonly #keys: KeyMap;
  readonly #countMax: number;
  /** The neighbour towards the newest; of a free slot the next free one. */
  #newer = new Int32Array(SLOTS_COUNT_FIRST);
  /** The neighbour towards the oldest. */
  #older = new Int32Array(SLOTS_COUNT_FIRST);
  #visited = new Uint8Array(SLOTS_COUNT_FIRST);
  #newest = NO_SLOT;
  #oldest = NO_SLOT;
  /** Where it goes on; `NO_SLOT` for the oldest. */
  #hand = NO_SLOT;
  #free = NO_SLOT;
  #slotsCount = 0;
  #count = 0;
  /** Keys that were forgotten for want of room: they may well be there still. */
  forgottenCount = 0;

  /**
   * @param seed 32 random bits
   * @param countMax how many keys it may know; at least 1
   */
  constructor(seed: number, countMax = Number.MAX_SAFE_INTEGER) {
    assert(countMax >= 1, "a policy knows a key at least");
    this.#keys = new KeyMap(seed);
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#count;
  }

  has(key: string): boolean {
    return this.#keys.find(key) !== NO_SLOT;
  }

  /** A hit. Returns whether the key is known: else nothing was noted. */
  touch(key: string): boolean {
    const slot = this.#keys.find(key);
    if (slot === NO_SLOT) return false;
    this.#visited[slot] = 1;
    return true;
  }

  /** Whether there was a hit since this was last asked, or the hand last came by. */
  takeTouch(key: string): boolean {
    const slot = this.#keys.find(key);
    if (slot === NO_SLOT || this.#visited[slot] === 0) return false;
    this.#visited[slot] = 0;
    return true;
  }

  /** A key that came just now: the newest, without a hit. */
  add(key: string): void {
    assert(!this.has(key), "a key comes once");
    if (this.#count >= this.#countMax) this.#forgetOne();
    const slot = this.#take();
    this.#keys.add(slot, key);
    this.#visited[slot] = 0;
    this.#newer[slot] = NO_SLOT;
    this.#older[slot] = this.#newest;
    if (this.#newest === NO_SLOT) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
    this.#count++;
  }

  /** A key that is gone; it need not be known. */
  remove(key: string): void {
    const slot = this.#keys.find(key);
    if (slot === NO_SLOT) return;
    const newer = present(this.#newer[slot]);
    const older = present(this.#older[slot]);
    if (this.#hand === slot) this.#hand = newer;
    if (newer === NO_SLOT) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NO_SLOT) this.#oldest = newer;
    else this.#newer[older] = newer;
    this.#keys.remove(slot);
    this.#newer[slot] = this.#free;
    this.#free = slot;
    this.#count--;
  }

  /**
   * Moves the hand past the next key to evict. The key stays until it is removed; if it is not, it
   * is looked at again in the hand's next round.
   *
   * @param mayGo keys for which this is false are passed over as if they were not there
   * @param stepsMax how far to go at most; two rounds find whatever there is
   * @returns undefined when none was found
   */
  next(mayGo: (key: string) => boolean, stepsMax = 2 * this.#count): string | undefined {
    for (let steps = Math.min(stepsMax, 2 * this.#count); steps > 0; steps--) {
      const slot = this.#hand === NO_SLOT ? this.#oldest : this.#hand;
      const key = this.#keys.keyOf(slot);
      assert(key !== undefined, "the hand stands at a key");
      this.#hand = present(this.#newer[slot]);
      if (!mayGo(key)) continue;
      if (this.#visited[slot] === 0) return key;
      this.#visited[slot] = 0;
    }
    return undefined;
  }

  #forgetOne(): void {
    const key = this.next(() => true);
    assert(key !== undefined, "in two rounds the hand finds a key without a hit");
    this.remove(key);
    this.forgottenCount++;
  }

  #take(): number {
    const slot = this.#free;
    if (slot !== NO_SLOT) {
      this.#free = present(this.#newer[slot]);
      return slot;
    }
    if (this.#slotsCount === this.#newer.length) this.#grow(Math.ceil(this.#slotsCount * 1.5));
    return this.#slotsCount++;
  }

  #grow(length: number): void {
    const newer = new Int32Array(length);
    newer.set(this.#newer);
    this.#newer = newer;
    const older = new Int32Array(length);
    older.set(this.#older);
    this.#older = older;
    const visited = new Uint8Array(length);
    visited.set(this.#visited);
    this.#visited = visited;
  }
}
