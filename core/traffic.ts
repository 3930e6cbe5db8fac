/**
 * What a process answered to its clients, counted: plain numbers, which its replica tells with its
 * status, so that any member can say what all of them do together.
 */
import { present } from "./assert.ts";

/** Upper bounds in seconds: from a read out of memory to a request that ran out of time. */
export const SECONDS_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Since the process began: requests about keys, in whatever API. */
export interface TrafficTotals {
  readonly reads: number;
  readonly writes: number;
  /** Of both, those that ended with a 5xx. */
  readonly failed: number;
  /** Read repairs, see `Counters`. */
  readonly repairs: number;
  /** How many took that long and no longer: one class more than there are bounds. */
  readonly counts: readonly number[];
}

export interface AnsweredRequest {
  readonly isWrite: boolean;
  readonly isFailed: boolean;
  readonly seconds: number;
}

const NUMBERS_COUNT = 4 + SECONDS_BOUNDS.length + 1;

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** What `Traffic.toList` gave, read again; null for anything else. */
export function trafficFromList(list: unknown): TrafficTotals | null {
  if (!Array.isArray(list) || list.length !== NUMBERS_COUNT || !list.every(isCount)) return null;
  return totalsOf(list as number[]);
}

function totalsOf(list: readonly number[]): TrafficTotals {
  const [reads = 0, writes = 0, failed = 0, repairs = 0, ...counts] = list;
  return { reads, writes, failed, repairs, counts };
}

/** As `Traffic.toList` gives it. */
export const trafficToList = (totals: TrafficTotals): readonly number[] => [
  ...[totals.reads, totals.writes, totals.failed, totals.repairs],
  ...totals.counts,
];

export class Traffic {
  /** As `toList` has them, without the repairs that the process itself counts elsewhere. */
  readonly #numbers = new Array<number>(NUMBERS_COUNT).fill(0);
  #said: readonly number[] = this.#numbers.slice();

  /** One request about keys is over. */
  observe({ isWrite, isFailed, seconds }: AnsweredRequest): void {
    let place = 4;
    while (seconds > (SECONDS_BOUNDS[place - 4] ?? Infinity)) place++;
    this.#count(isWrite ? 1 : 0);
    if (isFailed) this.#count(2);
    this.#count(place);
  }

  /** Adds what another process counted, one that nobody asks for its totals. */
  add(list: unknown): void {
    if (trafficFromList(list) === null) return;
    for (const [i, value] of (list as number[]).entries()) this.#count(i, value);
  }

  /**
   * `[reads, writes, failed, repairs, ...counts]`.
   *
   * @param repairs of this process
   */
  toList(repairs: number): readonly number[] {
    return this.#numbers.map((value, i) => (i === 3 ? value + repairs : value));
  }

  /** @param repairs of this process */
  totals(repairs: number): TrafficTotals {
    return totalsOf(this.toList(repairs));
  }

  /** What was counted since it was last taken, in the same form; null when nothing was. */
  takeUnsaid(repairs: number): number[] | null {
    const [reads = 0, writes = 0, , told = 0] = this.#numbers;
    const [saidReads, saidWrites, , saidRepairs] = this.#said;
    const isSaid = reads === saidReads && writes === saidWrites;
    if (isSaid && told + repairs === saidRepairs) return null;
    const all = this.toList(repairs);
    const unsaid = all.map((value, i) => value - present(this.#said[i]));
    this.#said = all;
    return unsaid;
  }

  /** What was taken did not arrive: it is taken again. */
  giveBack(unsaid: readonly number[]): void {
    this.#said = this.#said.map((value, i) => value - present(unsaid[i]));
  }

  #count(place: number, by = 1): void {
    this.#numbers[place] = present(this.#numbers[place]) + by;
  }
}
