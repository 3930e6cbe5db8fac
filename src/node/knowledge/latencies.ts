/**
 * How long peers took lately to answer reads and to store writes: predictions are drawn from that
 * (src/staleness). The last samples are kept as they are: a Monte Carlo draws from what was
 * measured, with its tail, and a sketch of so few would only lose some of it. One frontend's are
 * not joined with another's, because what they measure is where they stand.
 */
import type { Request } from "../../../core/messages.ts";
import type { RoundTrips } from "../../../core/round-trips.ts";
import type { Millis } from "../../../core/time.ts";

/** Of each kind: at 8 bytes twice, 32 KiB a node. */
const SAMPLES_MAX = 1024;
/** What is older says nothing of now, in ms. */
const WINDOW_MS = 600_000;

class Window {
  readonly #ms = new Float64Array(SAMPLES_MAX);
  readonly #at = new Float64Array(SAMPLES_MAX);
  #count = 0;

  add(ms: number, now: Millis): void {
    const place = this.#count++ % SAMPLES_MAX;
    this.#ms[place] = ms;
    this.#at[place] = now;
  }

  /** Those of the last ten minutes, in no order. */
  recent(now: Millis): readonly number[] {
    const kept = Math.min(this.#count, SAMPLES_MAX);
    const recent: number[] = [];
    for (let i = 0; i < kept; i++) {
      if ((this.#at[i] as number) >= now - WINDOW_MS) recent.push(this.#ms[i] as number);
    }
    return recent;
  }
}

export class Latencies {
  readonly #reads = new Window();
  readonly #stores = new Window();

  note(kind: Request["kind"], ms: number, now: Millis): void {
    if (kind === "read") this.#reads.add(ms, now);
    else if (kind === "store") this.#stores.add(ms, now);
  }

  recent(now: Millis): RoundTrips {
    const [reads, stores] = [this.#reads.recent(now), this.#stores.recent(now)];
    return { reads, stores, windowMs: WINDOW_MS };
  }
}
