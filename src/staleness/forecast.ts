/**
 * What Starling itself would do, in the terms of the model (see wars.ts): delays from what was
 * measured, and the differences between a textbook Dynamo and this one that matter.
 *
 * - The coordinator is one of the replicas and holds the write at once: its W is 0.
 * - A replica shows a write as soon as it has it in memory, while its acknowledgement may wait for
 *   the disk: what a store takes longer than a read is the disk's, and part of A.
 * - A read asks r replicas and waits for these: the nearest ones where the reader uses the writer's
 *   frontend, any of them where it uses another one, which has its own neighbours.
 *
 * Hedges, fallbacks and read repair are left out. Each of them lets a read see more, never less.
 */
import { Prng } from "../../core/prng.ts";
import { constant, measured } from "./delays.ts";
import {
  type Delay,
  type ModelPlan,
  type Prediction,
  predict,
  quantile,
  visibility,
  type Wars,
} from "./wars.ts";

/** Round trips to peers, in ms. */
export interface Measured {
  readonly reads: readonly number[];
  readonly stores: readonly number[];
}

export interface ForecastPlan {
  readonly n: number;
  /** How many of the acknowledgements are durable; 0: no write waits for a disk. */
  readonly dw: number;
  /** Whether the reader uses the frontend that the write went through. */
  readonly from: "same" | "other";
  /** After which times, in ms. */
  readonly times: readonly number[];
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface Choice {
  readonly r: number;
  readonly w: number;
  readonly predicted: readonly { readonly t: number; readonly p: number }[];
  readonly latency: { readonly read: Percentiles; readonly write: Percentiles };
}

export interface Forecast {
  /** All pairs of r and w from 1 to n; empty where nothing was measured. */
  readonly choices: readonly Choice[];
  readonly delays: Readonly<Record<"W" | "A" | "R" | "S", Percentiles>> | null;
}

/** What the forecast takes for granted, in words for whoever reads it. */
export const ASSUMED: readonly string[] = [
  "a read's round trip is halved: W, R and S are one of its two ways",
  "what a store takes longer than a read is spent on the disk, after the write can be read",
  "every peer is as far away as the others",
  "no hedges, fallbacks or read repair: they only let a read see more",
];

const TRIALS = 10_000;
/** Of so few, a tail is not known. */
export const SAMPLES_MIN = 50;

const byValue = (a: number, b: number): number => a - b;

function percentilesOf(sorted: Float64Array): Percentiles {
  const at = (share: number): number => Math.round(quantile(sorted, share) * 1000) / 1000;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** The part of a store's time that is the disk's, as samples: ranks are compared with ranks. */
function diskTimes({ reads, stores }: Measured): readonly number[] {
  const fast = Float64Array.from(reads).sort();
  const slow = Float64Array.from(stores).sort();
  return Array.from(slow, (ms, i) => {
    const share = (i + 1) / slow.length;
    return Math.max(0, ms - quantile(fast, share));
  });
}

function delaysOf(measuredTimes: Measured, dw: number) {
  const ways = measuredTimes.reads.map((ms) => ms / 2);
  const way = measured(ways);
  const disk = dw > 0 ? diskTimes(measuredTimes) : [0];
  const sync = measured(disk);
  const A: Delay = (prng) => way(prng) + sync(prng);
  const back = ways.map((ms, i) => ms + (disk[i % disk.length] as number));
  return { W: way, A, R: way, S: way, sync, samples: { ways, back } };
}

/**
 * @returns a forecast without choices where fewer than `SAMPLES_MIN` round trips of a kind were
 *   measured
 */
export function forecast(known: Measured, { n, dw, from, times }: ForecastPlan): Forecast {
  if (Math.min(known.reads.length, known.stores.length) < SAMPLES_MIN) {
    return { choices: [], delays: null };
  }
  const { W, A, R, S, sync, samples } = delaysOf(known, dw);
  const peer: Wars = { W, A, R, S };
  const coordinator: Wars = { W: constant(0), A: sync, R, S };
  const replicas = [coordinator, ...Array.from({ length: n - 1 }, () => peer)];
  const readOrder = from === "same" ? "nearest" : "any";
  const plan: ModelPlan = { replicas, readOrder, trials: TRIALS };
  // Of one seed: the same question about the same measurements has the same answer.
  const predictions = predict(plan, Prng.fromSeed(1));
  const ofWays = percentilesOf(Float64Array.from(samples.ways).sort(byValue));
  const ofBack = percentilesOf(Float64Array.from(samples.back).sort(byValue));
  return {
    choices: predictions.map((prediction) => choiceOf(prediction, times)),
    delays: { W: ofWays, A: ofBack, R: ofWays, S: ofWays },
  };
}

function choiceOf(prediction: Prediction, times: readonly number[]): Choice {
  const { r, w, readMs, writeMs } = prediction;
  return {
    r,
    w,
    predicted: times.map((t) => ({ t, p: visibility(prediction, t) })),
    latency: { read: percentilesOf(readMs), write: percentilesOf(writeMs) },
  };
}
