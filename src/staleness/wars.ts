/**
 * How likely a read sees a write, by the WARS model (Bailis et al., "Probabilistically Bounded
 * Staleness for Practical Partial Quorums", VLDB 2012, section 4; PBS for short).
 *
 * A write goes to n replicas and reaches replica i after W[i]; its acknowledgement is back after
 * A[i] more. The write is answered when w of these are in. A read that begins t later reaches
 * replica i after R[i], and its reply is back after S[i] more. It sees the write when one of the r
 * replies that it waits for left after the write had come.
 *
 * A trial draws the four delays of each replica, and says from which t on its read would have seen
 * the write; the share of trials at or below t is the probability. So one trial serves every t, r
 * and w, and what is kept of it is one number a pair.
 *
 * Deterministic: chance is the generator that is handed in.
 */
import { assert } from "../../core/assert.ts";
import type { Prng } from "../../core/prng.ts";

/** Draws one delay, in ms. */
export type Delay = (prng: Prng) => number;

/** The delays of one replica: the write's way there and back, the read's way there and back. */
export interface Wars {
  readonly W: Delay;
  readonly A: Delay;
  readonly R: Delay;
  readonly S: Delay;
}

/**
 * Whose replies a read takes. `fastest`: it asks all n and waits for the first r, as the paper has
 * it. `nearest`: it asks r of them and waits for these, in the order of replicas; `any`: likewise,
 * but r random ones.
 */
export type ReadOrder = "fastest" | "nearest" | "any";

export interface ModelPlan {
  /** One for each of the n replicas. */
  readonly replicas: readonly Wars[];
  readonly readOrder: ReadOrder;
  readonly trials: number;
}

/**
 * What draws trials. `dw`: how many of the acknowledgements are durable; `draw` fills all of a
 * trial's lists.
 */
export interface Scenario {
  readonly replicaCount: number;
  readonly trials: number;
  readonly dw: number;
  draw(trial: Trial, prng: Prng): void;
}

/** What came out for one pair of r and w, sorted, in ms. */
export interface Prediction {
  readonly r: number;
  readonly w: number;
  /** Of each trial, how long after its write a read has to begin to see it; at most 0: any read. */
  readonly visibleFrom: Float64Array;
  /** How long reads and writes took. */
  readonly readMs: Float64Array;
  readonly writeMs: Float64Array;
}

const TRIALS_MAX = 1_000_000;

/** The share of reads that begin `t` ms after their write was answered, and see it: 0 to 1. */
export function visibility({ visibleFrom }: Pick<Prediction, "visibleFrom">, t: number): number {
  return countUpTo(visibleFrom, t) / visibleFrom.length;
}

/** @param share 0 to 1 @returns the smallest value that this share of them is not above */
export function quantile(sorted: Float64Array, share: number): number {
  assert(sorted.length > 0 && share >= 0 && share <= 1, "a quantile is of something");
  const index = Math.max(0, Math.ceil(share * sorted.length) - 1);
  return sorted[index] as number;
}

function countUpTo(sorted: Float64Array, limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One write and one read: when what happened at each replica, in ms from the start of either. */
export class Trial {
  /** Of the write: when it came to the replica, and when its acknowledgement was back. */
  readonly arrival: Float64Array;
  readonly acknowledged: Float64Array;
  /** When the acknowledgement was back that it is on stable storage. */
  readonly durable: Float64Array;
  /** Of the read: when it came to the replica, and when the reply was back. */
  readonly asked: Float64Array;
  readonly replied: Float64Array;
  /** Replicas in the order in which the reader asks them. */
  readonly order: number[];
  /** How long the reader waits before it asks one more than r; Infinity: it never does. */
  hedgeMs = Infinity;

  constructor(n: number) {
    this.arrival = new Float64Array(n);
    this.acknowledged = new Float64Array(n);
    this.durable = new Float64Array(n);
    this.asked = new Float64Array(n);
    this.replied = new Float64Array(n);
    this.order = Array.from({ length: n }, (_, i) => i);
  }
}

function plainScenario({ replicas, readOrder, trials }: ModelPlan): Scenario {
  const draw = (trial: Trial, prng: Prng): void => {
    for (const [i, { W, A, R, S }] of replicas.entries()) {
      const arrival = W(prng);
      const asked = R(prng);
      trial.arrival[i] = arrival;
      trial.acknowledged[i] = arrival + A(prng);
      trial.asked[i] = asked;
      trial.replied[i] = asked + S(prng);
      trial.order[i] = i;
    }
    const { order, replied } = trial;
    if (readOrder === "fastest") {
      order.sort((a, b) => (replied[a] as number) - (replied[b] as number));
    } else if (readOrder === "any") shuffle(order, prng);
  };
  return { replicaCount: replicas.length, trials, dw: 0, draw };
}

/** Fisher and Yates. */
export function shuffle(order: number[], prng: Prng): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
}

/** What a read with some r makes of a trial. */
class Reading {
  /**
   * The latest time, from the read's start on, for a write to come and be seen; below 0: before it.
   */
  leadMs = 0;
  /** When the last of the r replies is there. */
  endMs = 0;
  readonly #at: Float64Array;
  readonly #places: number[];

  constructor(n: number) {
    this.#at = new Float64Array(n);
    this.#places = Array.from({ length: n }, (_, i) => i);
  }

  /** The first r replies count; replicas beyond the first r in order are asked as hedges. */
  take(trial: Trial, r: number): void {
    const { order, replied, asked, arrival, hedgeMs } = trial;
    const at = this.#at;
    const askedAt = (place: number): number => (place < r ? 0 : (place - r + 1) * hedgeMs);
    for (let place = 0; place < order.length; place++) {
      at[place] = askedAt(place) + (replied[order[place] as number] as number);
    }
    this.#sortPlaces();
    this.leadMs = Infinity;
    for (let i = 0; i < r; i++) {
      const place = this.#places[i] as number;
      const replica = order[place] as number;
      const lead = (arrival[replica] as number) - (asked[replica] as number) - askedAt(place);
      if (lead < this.leadMs) this.leadMs = lead;
    }
    this.endMs = at[this.#places[r - 1] as number] as number;
  }

  /** By insertion: they are few. */
  #sortPlaces(): void {
    const [at, places] = [this.#at, this.#places];
    for (let i = 0; i < places.length; i++) places[i] = i;
    for (let i = 1; i < places.length; i++) {
      const moving = places[i] as number;
      let to = i;
      while (to > 0 && (at[places[to - 1] as number] as number) > (at[moving] as number)) {
        places[to] = places[to - 1] as number;
        to--;
      }
      places[to] = moving;
    }
  }
}

/** Runs the trials of a textbook Dynamo. @returns see `simulate` */
export function predict(plan: ModelPlan, prng: Prng): readonly Prediction[] {
  return simulate(plainScenario(plan), prng);
}

/**
 * Runs the trials for all pairs of r and w from 1 to n.
 *
 * @returns n times n predictions, those of r = 1 first
 */
export function simulate(scenario: Scenario, prng: Prng): readonly Prediction[] {
  const { replicaCount: n, trials, dw } = scenario;
  assert(n > 0 && trials > 0 && trials <= TRIALS_MAX, "a model has replicas and trials");
  assert(dw >= 0 && dw <= n, "of n acknowledgements some are durable");
  const trial = new Trial(n);
  const reading = new Reading(n);
  const writeMs = Array.from({ length: n }, () => new Float64Array(trials));
  const readMs = Array.from({ length: n }, () => new Float64Array(trials));
  const visibleFrom = Array.from({ length: n * n }, () => new Float64Array(trials));
  for (let k = 0; k < trials; k++) {
    scenario.draw(trial, prng);
    trial.acknowledged.sort();
    trial.durable.sort();
    for (let w = 1; w <= n; w++) {
      const durables = Math.min(dw, w);
      const syncedAt = durables === 0 ? 0 : (trial.durable[durables - 1] as number);
      const answeredAt = Math.max(trial.acknowledged[w - 1] as number, syncedAt);
      (writeMs[w - 1] as Float64Array)[k] = answeredAt;
    }
    for (let r = 1; r <= n; r++) {
      reading.take(trial, r);
      (readMs[r - 1] as Float64Array)[k] = reading.endMs;
      for (let w = 1; w <= n; w++) {
        const answeredAt = (writeMs[w - 1] as Float64Array)[k] as number;
        (visibleFrom[(r - 1) * n + w - 1] as Float64Array)[k] = reading.leadMs - answeredAt;
      }
    }
  }
  for (const samples of [...writeMs, ...readMs, ...visibleFrom]) samples.sort();
  return visibleFrom.map((samples, i) => {
    const [r, w] = [Math.floor(i / n), i % n];
    const times = { readMs: readMs[r] as Float64Array, writeMs: writeMs[w] as Float64Array };
    return { r: r + 1, w: w + 1, visibleFrom: samples, ...times };
  });
}
