/** What arrived lately, from the log's index: a record's number is its entry's position. */
import type { Arrival } from "../core/store.ts";
import type { LogIndex } from "./log-index.ts";

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
  // Two records have one number where one of them says that a damaged one was lost.
  const before = found.filter(({ position }) => position < last);
  const equals = arrivals.between(last - 1, last, Infinity).map(arrivalOf);
  return [...before, ...equals];
}
