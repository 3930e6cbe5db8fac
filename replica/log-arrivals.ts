/** What arrived lately, from the log's index: a record's number is its entry's position. */
import type { Arrival, HintArrival, HintOrder } from "../core/store.ts";
import { NO_SLOT } from "./key-map.ts";
import { hintKey, type LogIndex } from "./log-index.ts";

/** As `Store.arrivals` says. */
export function arrivalsIn(
  { entries, arrivals }: LogIndex,
  after: number,
  countMax: number,
): readonly Arrival[] {
  const arrivalOf = (slot: number): Arrival => {
    const { list: partition, position } = entries.row(slot);
    return { key: entries.keyOf(slot), partition, position };
  };
  const found = arrivals.between(after, Infinity, countMax).map(arrivalOf);
  const last = found.at(-1)?.position;
  if (last === undefined || found.length < countMax) return found;
  // Two records have the same number where one of them says that a damaged one was lost.
  const before = found.filter(({ position }) => position < last);
  const equals = arrivals.between(last - 1, last, Infinity).map(arrivalOf);
  return [...before, ...equals];
}

/** The order of hints. Their records have numbers of their own: no two are at one position. */
export class LogHintOrder implements HintOrder {
  readonly #index: LogIndex;
  /** Counted by the log as it reads. */
  lostCount = 0;

  constructor(index: LogIndex) {
    this.#index = index;
  }

  get last(): number {
    return this.#index.hintArrivals.last;
  }

  after(position: number, countMax: number): readonly HintArrival[] {
    const { hints, hintArrivals } = this.#index;
    return hintArrivals.between(position, Infinity, countMax).map((slot) => {
      const name = hints.keyOf(slot);
      const end = name.indexOf("\0");
      const at = hintArrivals.positionOf(slot);
      return { target: name.slice(0, end), key: name.slice(end + 1), position: at };
    });
  }

  positionOf(target: string, key: string): number {
    const slot = this.#index.hints.find(hintKey(target, key));
    return slot === NO_SLOT ? 0 : this.#index.hintArrivals.positionOf(slot);
  }
}
