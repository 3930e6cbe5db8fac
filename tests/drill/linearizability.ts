/**
 * Whether what clients saw of a register can be put into one order: every operation takes effect at
 * one instant between its beginning and its end, and a read shows what the write before it wrote
 * (Herlihy and Wing, 1990). A search over the orders as by Wing and Gong (1993), with Lowe's memory
 * of states already visited (2017), kept small by three facts about registers:
 *
 * - a read that fits the present value may go next, since it changes nothing: only writes branch;
 * - a write that nobody saw, and of which nobody knows whether it was done, may be left out;
 * - each key is a history of its own (linearizability is local).
 */
import { assert } from "../../core/assert.ts";

export interface RegisterOp {
  readonly client: string;
  readonly kind: "write" | "read";
  /** What was written or shown; null for nothing: a delete, or a 404. */
  readonly value: string | null;
  /** In ms, of one clock for all clients. */
  readonly begin: number;
  /** Infinity for a write whose outcome nobody knows. */
  readonly end: number;
}

/** Whether there is such an order, from a register that holds nothing. */
export function isLinearizable(history: readonly RegisterOp[]): boolean {
  return new Search(history).find(0n, null);
}

/**
 * A minimal part of a history that still has no order: with any one operation left out, it has one.
 * A write goes together with the reads that showed it.
 */
export function minimalViolation(history: readonly RegisterOp[]): readonly RegisterOp[] {
  assert(!isLinearizable(history), "only what fails is made smaller");
  let left = history;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const op of left) {
      if (!left.includes(op)) continue;
      const isPart = (other: RegisterOp): boolean =>
        other === op ||
        (op.kind === "write" &&
          op.value !== null &&
          other.kind === "read" &&
          other.value === op.value);
      const rest = left.filter((other) => !isPart(other));
      if (isLinearizable(rest)) continue;
      left = rest;
      isSmaller = true;
    }
  }
  return left;
}

/** One line an operation, by when they began. */
export function describeHistory(history: readonly RegisterOp[]): readonly string[] {
  const start = Math.min(...history.map(({ begin }) => begin));
  const at = (ms: number): string => (ms === Infinity ? "?" : (ms - start).toFixed(1)).padStart(9);
  return [...history]
    .sort((a, b) => a.begin - b.begin)
    .map(({ client, kind, value, begin, end }) => {
      const what = value ?? "nothing";
      return `${at(begin)} … ${at(end)} ms  ${client} ${kind === "read" ? "reads" : "writes"} ${what}`;
    });
}

class Search {
  readonly #ops: readonly RegisterOp[];
  readonly #seen = new Set<string>();

  constructor(history: readonly RegisterOp[]) {
    const shown = new Set(history.flatMap(({ kind, value }) => (kind === "read" ? [value] : [])));
    this.#ops = history
      .filter(({ kind, value, end }) => end !== Infinity || (kind === "write" && shown.has(value)))
      .sort((a, b) => a.begin - b.begin);
  }

  /** @param done which operations have had their turn, a bit each */
  find(done: bigint, value: string | null): boolean {
    let taken = done;
    for (;;) {
      const next = this.#candidates(taken);
      if (next === null) return true;
      const fitting = next.filter(
        (i) => this.#at(i).kind === "read" && this.#at(i).value === value,
      );
      if (fitting.length === 0) return this.#branch(taken, value, next);
      for (const i of fitting) taken |= 1n << BigInt(i);
    }
  }

  #branch(taken: bigint, value: string | null, next: readonly number[]): boolean {
    const place = `${taken.toString(36)} ${value}`;
    if (this.#seen.has(place)) return false;
    this.#seen.add(place);
    const writes = next.filter((i) => this.#at(i).kind === "write");
    return writes.some((i) => this.find(taken | (1n << BigInt(i)), this.#at(i).value));
  }

  /**
   * The operations that may be next: no other one ended before they began. null when all that ended
   * is done.
   */
  #candidates(taken: bigint): readonly number[] | null {
    const left = this.#ops.map((_, i) => i).filter((i) => ((taken >> BigInt(i)) & 1n) === 0n);
    const firstEnd = Math.min(...left.map((i) => this.#at(i).end));
    if (firstEnd === Infinity) return null;
    return left.filter((i) => this.#at(i).begin <= firstEnd);
  }

  #at(i: number): RegisterOp {
    const op = this.#ops[i];
    assert(op !== undefined, "an operation of the history");
    return op;
  }
}
