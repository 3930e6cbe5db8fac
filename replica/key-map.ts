/**
 * From a key to its slot number, and back: a hash table in typed arrays.
 *
 * A JavaScript Map would do, but at a million keys it costs some 45 bytes each, half a second of a
 * restart and a tenth of a second whenever it doubles, and it ends at 2^24 entries. Here a key
 * costs 4 bytes for its hash, 6 to 12 for its cell and 8 for the pointer to its string. The table
 * is split into shards, which grow one by one, so that no write waits long for that.
 *
 * Cells are probed one after another (Knuth's algorithm L); removing moves what follows back (his
 * algorithm R), so there are no tombstones to sweep. The hash is seeded, because keys come from
 * anybody.
 */
import { assert, present } from "../core/assert.ts";

export const NO_SLOT = -1;

const SHARDS_COUNT = 64;
const SHARD_BITS = 6;
const CELLS_COUNT_FIRST = 16;

interface Shard {
  /** Slot numbers plus one; 0 for an empty cell. A power of two of them, at most 2/3 in use. */
  cells: Int32Array;
  count: number;
}

export class KeyMap {
  readonly #shards: Shard[] = Array.from({ length: SHARDS_COUNT }, () => ({
    cells: new Int32Array(CELLS_COUNT_FIRST),
    count: 0,
  }));
  readonly #keys: (string | undefined)[] = [];
  #hashes = new Uint32Array(CELLS_COUNT_FIRST);
  readonly #seed: number;
  #lastKey = "";
  #lastHash: number;

  /** @param seed 32 random bits */
  constructor(seed: number) {
    this.#seed = seed | 0;
    this.#lastHash = this.#hashOf("");
  }

  /** The slot of a key, or `NO_SLOT`. */
  find(key: string): number {
    const hash = this.#hash(key);
    const { cells } = this.#shard(hash);
    const mask = cells.length - 1;
    for (let at = (hash >>> SHARD_BITS) & mask; ; at = (at + 1) & mask) {
      const slot = present(cells[at]) - 1;
      if (slot === NO_SLOT) return NO_SLOT;
      if (this.#hashes[slot] === hash && this.#keys[slot] === key) return slot;
    }
  }

  /** Names a free slot. The key is not there yet. */
  add(slot: number, key: string): void {
    assert(this.#keys[slot] === undefined, "a slot has one key");
    const hash = this.#hash(key);
    // Filled without gaps, so that the array stays one of plain elements.
    if (slot === this.#keys.length) this.#keys.push(key);
    else this.#keys[slot] = key;
    if (slot >= this.#hashes.length) this.reserve(Math.ceil((slot + 1) * 1.25));
    this.#hashes[slot] = hash;
    const shard = this.#shard(hash);
    if (++shard.count * 3 > shard.cells.length * 2) this.#grow(shard, shard.cells.length * 2);
    place(shard.cells, hash, slot);
  }

  remove(slot: number): void {
    const hash = present(this.#hashes[slot]);
    assert(this.#keys[slot] !== undefined, "only a slot in use has a key");
    this.#keys[slot] = undefined;
    const shard = this.#shard(hash);
    shard.count--;
    const { cells } = shard;
    const mask = cells.length - 1;
    let hole = (hash >>> SHARD_BITS) & mask;
    while (cells[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; cells[at] !== 0; at = (at + 1) & mask) {
      const home = (present(this.#hashes[present(cells[at]) - 1]) >>> SHARD_BITS) & mask;
      // It may fill the hole unless its home lies behind that.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      cells[hole] = present(cells[at]);
      hole = at;
    }
    cells[hole] = 0;
  }

  keyOf(slot: number): string | undefined {
    return this.#keys[slot];
  }

  /** Makes room for so many keys at once. */
  reserve(count: number): void {
    if (count <= this.#hashes.length) return;
    const hashes = new Uint32Array(count);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    // The shards are filled about evenly, to 2/3 at most.
    const cellsCount = 2 ** Math.ceil(Math.log2((count / SHARDS_COUNT) * 1.5 + CELLS_COUNT_FIRST));
    const isFirst = this.#keys.length === 0;
    for (const shard of this.#shards) if (isFirst) this.#grow(shard, cellsCount);
  }

  #shard(hash: number): Shard {
    const shard = this.#shards[hash & (SHARDS_COUNT - 1)];
    assert(shard !== undefined, "a shard's number is below the count of shards");
    return shard;
  }

  #grow(shard: Shard, length: number): void {
    const cells = new Int32Array(length);
    for (const cell of shard.cells)
      if (cell !== 0) place(cells, present(this.#hashes[cell - 1]), cell - 1);
    shard.cells = cells;
  }

  /** A request looks for its key several times. */
  #hash(key: string): number {
    if (key !== this.#lastKey) {
      this.#lastHash = this.#hashOf(key);
      this.#lastKey = key;
    }
    return this.#lastHash;
  }

  /** Multiplied and folded at every character, so that the seed reaches all bits. */
  #hashOf(key: string): number {
    let hash = this.#seed;
    for (let i = 0; i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    return (hash ^ (hash >>> 13)) >>> 0;
  }
}

function place(cells: Int32Array, hash: number, slot: number): void {
  const mask = cells.length - 1;
  let at = (hash >>> SHARD_BITS) & mask;
  while (cells[at] !== 0) at = (at + 1) & mask;
  cells[at] = slot + 1;
}
