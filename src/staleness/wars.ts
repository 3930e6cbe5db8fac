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
 * but r of them by chance.
 */
export type ReadOrder = "fastest" | "nearest" | "any";

export interface ModelPlan {
  /** One for each of the n replicas. */
  readonly replicas: readonly Wars[];
  readonly readOrder: ReadOrder;
  readonly trials: number;
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

/** Four delays a replica, of one trial. */
class Trial {
  readonly arrival: Float64Array;
  readonly acknowledged: Float64Array;
  readonly asked: Float64Array;
  readonly replied: Float64Array;
  /** Replicas in the order in which their replies count. */
  readonly order: number[];

  constructor(n: number) {
    this.arrival = new Float64Array(n);
    this.acknowledged = new Float64Array(n);
    this.asked = new Float64Array(n);
    this.replied = new Float64Array(n);
    this.order = Array.from({ length: n }, (_, i) => i);
  }

  draw({ replicas, readOrder }: ModelPlan, prng: Prng): void {
    for (const [i, { W, A, R, S }] of replicas.entries()) {
      const arrival = W(prng);
      const asked = R(prng);
      this.arrival[i] = arrival;
      this.acknowledged[i] = arrival + A(prng);
      this.asked[i] = asked;
      this.replied[i] = asked + S(prng);
      this.order[i] = i;
    }
    this.acknowledged.sort();
    const { order, replied } = this;
    if (readOrder === "fastest") {
      order.sort((a, b) => (replied[a] as number) - (replied[b] as number));
    } else if (readOrder === "any") shuffle(order, prng);
  }
}

/** Fisher and Yates. */
function shuffle(order: number[], prng: Prng): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
}

/**
 * Runs the trials for all pairs of r and w from 1 to n.
 *
 * @returns n times n predictions, those of r = 1 first
 */
export function predict(plan: ModelPlan, prng: Prng): readonly Prediction[] {
  const { replicas, trials } = plan;
  const n = replicas.length;
  assert(n > 0 && trials > 0 && trials <= TRIALS_MAX, "a model has replicas and trials");
  const trial = new Trial(n);
  const writeMs = Array.from({ length: n }, () => new Float64Array(trials));
  const readMs = Array.from({ length: n }, () => new Float64Array(trials));
  const visibleFrom = Array.from({ length: n * n }, () => new Float64Array(trials));
  for (let k = 0; k < trials; k++) {
    trial.draw(plan, prng);
    let needed = Infinity;
    let slowest = 0;
    for (let r = 0; r < n; r++) {
      const replica = trial.order[r] as number;
      const lead = (trial.arrival[replica] as number) - (trial.asked[replica] as number);
      needed = Math.min(needed, lead);
      slowest = Math.max(slowest, trial.replied[replica] as number);
      (readMs[r] as Float64Array)[k] = slowest;
      for (let w = 0; w < n; w++) {
        const answeredAt = trial.acknowledged[w] as number;
        (visibleFrom[r * n + w] as Float64Array)[k] = needed - answeredAt;
        if (r === 0) (writeMs[w] as Float64Array)[k] = answeredAt;
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
