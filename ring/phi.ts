/**
 * The phi accrual failure detector (Hayashibara et al., 2004): how improbable it is, by the times
 * between the heartbeats so far, that the next one is merely late. Phi is minus the decimal
 * logarithm of that probability: at 8, one suspicion in 10^8 heartbeats would be wrong.
 *
 * The intervals are taken as normally distributed; the tail is the logistic approximation that
 * Akka and Cassandra use, within 0.7 % of the integral. Where the network is steady, silence is
 * noticed early; where it is not, it takes longer, without anybody setting a threshold.
 */
import { assert } from "../core/assert.ts";
import type { Millis } from "../core/time.ts";

export const PHI_SUSPECT = 8;
/** How many of the latest intervals are kept. */
const WINDOW = 100;
/** Below this many intervals nothing is known. */
const SAMPLES_MIN = 3;
/** No host is steadier than this share of the mean: a timer alone is off by as much. */
const DEVIATION_SHARE_MIN = 0.1;

export class Phi {
  readonly #intervals: number[] = [];
  #sum = 0;
  #sumOfSquares = 0;
  #next = 0;
  #lastAt: Millis | null = null;

  /** When it was last heard of, in ms; null for never. */
  get lastAt(): Millis | null {
    return this.#lastAt;
  }

  /** A heartbeat came. One after a silence of more than `pauseMs` begins anew: it was away. */
  beat(now: Millis, pauseMs: number): void {
    const since = this.#lastAt === null ? null : now - this.#lastAt;
    this.#lastAt = now;
    if (since === null || since > pauseMs) return;
    assert(since >= 0, "heartbeats come in their order");
    const old = this.#intervals[this.#next];
    if (old !== undefined) this.#add(old, -1);
    this.#intervals[this.#next] = since;
    this.#next = (this.#next + 1) % WINDOW;
    this.#add(since, 1);
  }

  /** 0 while too little is known; Infinity where a double cannot tell the probability from 0. */
  at(now: Millis): number {
    const count = this.#intervals.length;
    if (this.#lastAt === null || count < SAMPLES_MIN) return 0;
    const mean = this.#sum / count;
    const variance = Math.max(0, this.#sumOfSquares / count - mean * mean);
    const deviation = Math.max(Math.sqrt(variance), mean * DEVIATION_SHARE_MIN, 1);
    const y = (now - this.#lastAt - mean) / deviation;
    const e = Math.exp(-y * (1.5976 + 0.070566 * y * y));
    return y > 0 ? -Math.log10(e / (1 + e)) : -Math.log10(1 - 1 / (1 + e));
  }

  #add(interval: number, sign: 1 | -1): void {
    this.#sum += sign * interval;
    this.#sumOfSquares += sign * interval * interval;
  }
}
