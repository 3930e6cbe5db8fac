/**
 * Operations and the version that was stored of each, in arrays of equal length. Tens of thousands
 * are kept and all of them go after a while: as objects in a `Map` they are what the young
 * collector copies twice, for each write in each replica. Here a row is taken, and all rows are
 * given back at once.
 *
 * A row is found by open addressing with linear probing (Knuth, "The Art of Computer Programming",
 * vol. 3, 6.4), in a table at most half full.
 */
import { assert } from "../core/assert.ts";
import type { Dot } from "../core/causal-context.ts";
import type { ActorId, OpId } from "../core/ids.ts";
import type { Hlc } from "../core/time.ts";

const ROWS_START = 256;
export const NO_ROW = -1;

/**
 * A write looks its operation up several times in a row, in both generations. All tables share this
 * memo: it is of a pure function, so no run depends on what was asked before.
 */
let lastText: OpId | null = null;
let lastHash = 0;

/** FNV-1a of its characters. */
function hashOf(text: OpId): number {
  if (text === lastText) return lastHash;
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  lastText = text;
  lastHash = hash ^ (hash >>> 15);
  return lastHash;
}

export class OperationTable {
  #ops: OpId[] = [];
  #actors: ActorId[] = [];
  #counters = new Float64Array(ROWS_START);
  #times = new Float64Array(ROWS_START);
  #flags = new Uint8Array(ROWS_START);
  /**
   * By hash: a row, or `NO_ROW`, and beside it the whole hash. Most operations that are asked for
   * are not there, and a text of another operation lies elsewhere in memory: it is hardly ever
   * looked at.
   */
  #places = new Int32Array(4 * ROWS_START).fill(NO_ROW);

  get size(): number {
    return this.#ops.length;
  }

  /** The row of an operation; `NO_ROW` when there is none. */
  rowOf(op: OpId): number {
    return this.#places[this.#placeOf(op)] as number;
  }

  /** @param op one that is not in the table */
  add(op: OpId, dot: Dot, time: Hlc): void {
    if (this.size === this.#times.length) this.#grow();
    const place = this.#placeOf(op);
    assert(this.#places[place] === NO_ROW, "an operation is there once");
    const row = this.#ops.push(op) - 1;
    this.#actors.push(dot.actor);
    this.#places[place] = row;
    this.#places[place + 1] = hashOf(op);
    this.#counters[row] = dot.counter;
    this.#times[row] = time;
    this.#flags[row] = 0;
  }

  dotAt(row: number): Dot {
    return { actor: this.#actors[row] as ActorId, counter: this.#counters[row] as number };
  }

  timeAt(row: number): Hlc {
    return this.#times[row] as Hlc;
  }

  isFlagged(row: number): boolean {
    return this.#flags[row] === 1;
  }

  setFlag(row: number, isFlagged: boolean): void {
    this.#flags[row] = isFlagged ? 1 : 0;
  }

  clear(): void {
    this.#ops = [];
    this.#actors = [];
    this.#places.fill(NO_ROW);
  }

  /** Where it stands, or would. */
  #placeOf(op: OpId): number {
    const places = this.#places;
    const mask = places.length - 1;
    const hash = hashOf(op);
    for (let place = (2 * hash) & mask; ; place = (place + 2) & mask) {
      const row = places[place] as number;
      if (row === NO_ROW) return place;
      if (places[place + 1] === hash && this.#ops[row] === op) return place;
    }
  }

  #grow(): void {
    const length = 2 * this.#times.length;
    const longer = <Column extends Float64Array | Uint8Array>(to: Column, from: Column): Column => {
      to.set(from);
      return to;
    };
    this.#counters = longer(new Float64Array(length), this.#counters);
    this.#times = longer(new Float64Array(length), this.#times);
    this.#flags = longer(new Uint8Array(length), this.#flags);
    this.#places = new Int32Array(4 * length).fill(NO_ROW);
    for (const [row, op] of this.#ops.entries()) {
      const place = this.#placeOf(op);
      this.#places[place] = row;
      this.#places[place + 1] = hashOf(op);
    }
  }
}
