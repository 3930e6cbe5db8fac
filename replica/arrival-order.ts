/**
 * The slots of an index in the order in which their keys last changed, by position: a number that
 * only rises. One position a key, the latest, so that what is kept is bounded by the keys.
 *
 * Positions stand in blocks, oldest first. A key that changes leaves a hole in its block and goes
 * to the end. A block of which a third is holes is laid out anew, together with the one before it
 * where both fit into one. So a slot costs 12 to 16 bytes: four for its place, four for its
 * position as an offset from its block's first, four for the slot, at most half of those eight for
 * holes. No step touches more than two blocks; a reader finds its place by two binary searches.
 */
import { assert, present } from "../core/assert.ts";
import { NO_SLOT } from "./key-map.ts";

const BLOCK_BITS = 12;
const BLOCK_COUNT_MAX = 1 << BLOCK_BITS;
const OFFSET_MAX = 2 ** 32 - 1;
const NOWHERE = -1;

interface Block {
  readonly id: number;
  /** The position that offsets are counted from. */
  readonly base: number;
  /** Slots, or `NO_SLOT` where one has gone. */
  slots: Int32Array;
  offsets: Uint32Array;
  /** How much of the arrays is used, holes included. */
  count: number;
  liveCount: number;
}

export class ArrivalOrder {
  /** Oldest first. The last one is being filled. */
  readonly #order: Block[] = [];
  readonly #byId: (Block | undefined)[] = [];
  readonly #freeIds: number[] = [];
  /** By slot: its block's id and its place in it, or `NOWHERE`. */
  #places = new Int32Array(0);
  #last = 0;

  /** What it all takes, in bytes. */
  get byteCount(): number {
    const blocks = this.#order.reduce((sum, { slots }) => sum + 8 * slots.length, 0);
    return blocks + this.#places.byteLength;
  }

  /** The highest position that was ever set; 0 for none. */
  get last(): number {
    return this.#last;
  }

  /** 0 for a slot without a position. */
  positionOf(slot: number): number {
    const place = this.#places[slot] ?? NOWHERE;
    if (place === NOWHERE) return 0;
    const block = this.#blockAt(place);
    return block.base + present(block.offsets[place & (BLOCK_COUNT_MAX - 1)]);
  }

  /**
   * Moves a slot to the end. A position below the highest so far is taken for the highest: the key
   * is then shown once more to readers that have seen it, and left out for none.
   *
   * @param position above 0
   */
  set(slot: number, position: number): void {
    assert(slot >= 0 && position > 0, "a position is a positive number");
    if (this.positionOf(slot) === position) return;
    this.remove(slot);
    this.#last = Math.max(this.#last, position);
    const block = this.#open();
    this.#put(block, slot, this.#last);
  }

  remove(slot: number): void {
    const place = this.#places[slot] ?? NOWHERE;
    if (place === NOWHERE) return;
    const block = this.#blockAt(place);
    block.slots[place & (BLOCK_COUNT_MAX - 1)] = NO_SLOT;
    this.#places[slot] = NOWHERE;
    block.liveCount--;
    const isOpen = block === this.#order.at(-1);
    if (!isOpen && 3 * block.liveCount < 2 * block.slots.length) this.#layOut(block);
  }

  /** Up to `countMax` slots with positions above `after` and up to `through`, in order. */
  between(after: number, through: number, countMax: number): number[] {
    const found: number[] = [];
    for (let i = this.#firstBlock(after); i < this.#order.length; i++) {
      const block = present(this.#order[i]);
      for (let at = firstOffset(block, after); at < block.count; at++) {
        if (block.base + present(block.offsets[at]) > through) return found;
        const slot = present(block.slots[at]);
        if (slot === NO_SLOT) continue;
        if (found.length === countMax) return found;
        found.push(slot);
      }
    }
    return found;
  }

  /** The last block whose first position lies at or before this one, or the first of all. */
  #firstBlock(position: number): number {
    let [low, high] = [0, this.#order.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      // Equal positions may reach from one block into the next.
      if (present(this.#order[middle]).base < position) low = middle;
      else high = middle;
    }
    return low;
  }

  #blockAt(place: number): Block {
    const block = this.#byId[place >> BLOCK_BITS];
    assert(block !== undefined, "a place is in a block");
    return block;
  }

  #open(): Block {
    const last = this.#order.at(-1);
    const isOpen = last !== undefined && last.count < BLOCK_COUNT_MAX;
    if (isOpen && this.#last - last.base <= OFFSET_MAX) return last;
    const block = this.#newBlock(this.#last, 16);
    this.#order.push(block);
    if (last !== undefined) this.#close(last);
    return block;
  }

  /** Nothing is added to the block any more: it is cut to the room that it needs. */
  #close(block: Block): void {
    if (block.count < block.slots.length || 3 * block.liveCount < 2 * block.count) {
      this.#layOut(block);
    }
  }

  #newBlock(base: number, room: number): Block {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const arrays = { slots: new Int32Array(room), offsets: new Uint32Array(room) };
    const block: Block = { id, base, ...arrays, count: 0, liveCount: 0 };
    this.#byId[id] = block;
    return block;
  }

  #put(block: Block, slot: number, position: number): void {
    if (block.count === block.slots.length) {
      const room = Math.min(BLOCK_COUNT_MAX, 2 * block.slots.length);
      const { slots, offsets } = block;
      block.slots = new Int32Array(room);
      block.offsets = new Uint32Array(room);
      block.slots.set(slots);
      block.offsets.set(offsets);
    }
    block.slots[block.count] = slot;
    block.offsets[block.count] = position - block.base;
    if (slot >= this.#places.length) {
      const places = new Int32Array(Math.max(64, Math.ceil(slot * 1.1))).fill(NOWHERE);
      places.set(this.#places);
      this.#places = places;
    }
    this.#places[slot] = (block.id << BLOCK_BITS) | block.count;
    block.count++;
    block.liveCount++;
  }

  /** Lays a block out without its holes, in one with the block before it where that has room. */
  #layOut(block: Block): void {
    const at = this.#order.indexOf(block);
    const before = this.#order[at - 1];
    const last = block.base + present(block.offsets[block.count - 1]);
    const isJoined =
      before !== undefined &&
      before.liveCount + block.liveCount <= BLOCK_COUNT_MAX &&
      last - before.base <= OFFSET_MAX;
    const old = isJoined ? [before, block] : [block];
    const liveCount = old.reduce((sum, one) => sum + one.liveCount, 0);
    const { base } = isJoined ? before : block;
    const next = liveCount === 0 ? [] : [this.#newBlock(base, liveCount)];
    for (const one of old) for (const joined of next) this.#move(one, joined);
    this.#order.splice(isJoined ? at - 1 : at, old.length, ...next);
    for (const { id } of old) {
      this.#byId[id] = undefined;
      this.#freeIds.push(id);
    }
  }

  #move(from: Block, to: Block): void {
    for (let i = 0; i < from.count; i++) {
      const slot = present(from.slots[i]);
      if (slot !== NO_SLOT) this.#put(to, slot, from.base + present(from.offsets[i]));
    }
  }
}

/** The first place in a block with a position above this one. */
function firstOffset({ base, offsets, count }: Block, after: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (base + present(offsets[middle]) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
