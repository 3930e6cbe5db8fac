/** What the canaries of the last minutes have found, by reader, w and t. */
import { type CanaryCount, DELAYS_WINDOW_MS } from "../../../core/delay-report.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";

const MINUTE_MS = 60_000;

/** What one probe is of. */
export interface ProbeOf {
  readonly reader: ReplicaId;
  readonly w: number;
  readonly t: number;
}

interface Cell extends ProbeOf {
  readonly counts: number[];
  readonly seen: number[];
}

/**
 * One tally for each minute: the oldest goes as a whole, so no rate of canaries needs more room.
 */
export class CanaryTally {
  readonly #minutes = new Map<number, Map<string, Cell>>();
  /** Since the start. */
  probeCount = 0;

  /** @param results for r = 1, 2, …, whether the write was seen */
  add(of: ProbeOf, results: readonly boolean[], now: Millis): void {
    this.#forget(now);
    this.probeCount++;
    const minute = Math.floor(now / MINUTE_MS);
    const cells = this.#minutes.get(minute) ?? new Map<string, Cell>();
    this.#minutes.set(minute, cells);
    addTo(cells, of, { counts: results.map(() => 1), seen: results.map(Number) });
  }

  /** Of the last ten minutes. */
  recent(now: Millis): readonly CanaryCount[] {
    this.#forget(now);
    const all = new Map<string, Cell>();
    for (const cells of this.#minutes.values()) {
      for (const cell of cells.values()) addTo(all, cell, cell);
    }
    return [...all.values()];
  }

  #forget(now: Millis): void {
    const first = Math.floor((now - DELAYS_WINDOW_MS) / MINUTE_MS) + 1;
    for (const minute of this.#minutes.keys()) if (minute < first) this.#minutes.delete(minute);
  }
}

function addTo(
  cells: Map<string, Cell>,
  { reader, w, t }: ProbeOf,
  more: Pick<CanaryCount, "counts" | "seen">,
): void {
  const name = `${reader} ${w} ${t}`;
  const cell = cells.get(name) ?? { reader, w, t, counts: [], seen: [] };
  cells.set(name, cell);
  for (const [i, count] of more.counts.entries()) {
    cell.counts[i] = (cell.counts[i] ?? 0) + count;
    cell.seen[i] = (cell.seen[i] ?? 0) + (more.seen[i] ?? 0);
  }
}
