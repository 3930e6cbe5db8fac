/** What a deployment's delays come to for each choice of r and w, and what canaries have found. */
import { assert } from "../../core/assert.ts";
import type { CanaryCount } from "../../core/delay-report.ts";
import { Prng } from "../../core/prng.ts";
import { Fleet, type FleetPlan } from "./fleet.ts";
import { type Prediction, quantile, simulate, visibility } from "./wars.ts";

export interface ForecastPlan extends Omit<FleetPlan, "trials"> {
  /** After which times, in ms. */
  readonly times: readonly number[];
  /** The dw that canaries are written with; null where they have another n. */
  readonly canaryDw: number | null;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface Point {
  readonly t: number;
  readonly p: number;
}

export interface MeasuredPoint extends Point {
  readonly count: number;
}

export interface Choice {
  readonly r: number;
  readonly w: number;
  readonly predicted: readonly Point[];
  readonly measured: readonly MeasuredPoint[];
  /** null where nothing was measured; `predicted` is empty then. */
  readonly latency: { readonly read: Percentiles | null; readonly write: Percentiles | null };
}

export interface Forecast {
  /** How many round trips the delays are drawn from. */
  readonly samples: { readonly reads: number; readonly stores: number };
  /** All pairs of r and w from 1 to n. */
  readonly choices: readonly Choice[];
  /** null: nothing was measured. */
  readonly delays: Readonly<Record<"W" | "A" | "R" | "S", Percentiles | null>>;
  /** What is taken for granted, in words for a reader. */
  readonly assumed: readonly string[];
}

const ASSUMED: readonly string[] = [
  "a read's shortest round trip is halved; what one takes longer falls to either way by chance",
  "what a store takes longer than a read is spent on the disk, after the write can be read",
  "delays do not depend on each other, and keys and frontends are used alike",
  "no replica is away: no fallbacks, and no read repair",
];
const ELSEWHERE =
  "frontends elsewhere are as far from the replicas as this one, and ask them in any order";

const TRIALS = 10_000;
const DELAY_TRIALS = 4000;
/** Of so few, a tail is not known. */
export const SAMPLES_MIN = 50;

const NO_DELAYS: Forecast["delays"] = { W: null, A: null, R: null, S: null };

function percentilesOf(sorted: Float64Array): Percentiles {
  const at = (share: number): number => Math.round(quantile(sorted, share) * 1000) / 1000;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

function samplesOf({ reports }: Pick<ForecastPlan, "reports">): Forecast["samples"] {
  let [reads, stores] = [0, 0];
  for (const { peers } of reports.values()) {
    for (const trips of peers.values()) {
      reads += trips.reads.length;
      stores += trips.stores.length;
    }
  }
  return { reads, stores };
}

/** Pairs of a frontend or coordinator and a replica whose round trip nobody measured. */
function unmeasured({ writers, partitions, delays }: Fleet): string[] {
  const ids = [...new Set([...writers, ...partitions.flat()])];
  const pairs = ids.flatMap((from, i) => ids.slice(i + 1).map((to) => [from, to] as const));
  const unknown = pairs.filter(([from, to]) => !delays.knows(from, to)).length;
  if (unknown === 0) return [];
  return [`${unknown} of ${pairs.length} pairs were not measured: they are as the others`];
}

/** One way, and what comes to it on an acknowledgement's way back: over all that is drawn. */
function delaysOf({ writers, partitions, delays, dw }: Fleet): Forecast["delays"] {
  const prng = Prng.fromSeed(2);
  const ways = new Float64Array(DELAY_TRIALS);
  const back = new Float64Array(DELAY_TRIALS);
  for (let i = 0; i < DELAY_TRIALS; i++) {
    const from = writers[prng.below(writers.length)] as number;
    const primaries = partitions[prng.below(partitions.length)] as readonly number[];
    const others = primaries.filter((id) => id !== from);
    const to = others.length === 0 ? from : (others[prng.below(others.length)] as number);
    ways[i] = delays.way(from, to, prng);
    back[i] = (ways[i] as number) + (dw > 0 ? delays.sync(to, prng) : 0);
  }
  const way = percentilesOf(ways.sort());
  return { W: way, A: percentilesOf(back.sort()), R: way, S: way };
}

/** What canaries of one w have found for one r: each pair of frontends counts alike. */
function measuredOf(
  cells: readonly CanaryCount[],
  { r, w }: Pick<Prediction, "r" | "w">,
): readonly MeasuredPoint[] {
  const points = new Map<number, { shares: number; pairs: number; count: number }>();
  for (const cell of cells) {
    const count = cell.counts[r - 1] ?? 0;
    if (cell.w !== w || count === 0) continue;
    const point = points.get(cell.t) ?? { shares: 0, pairs: 0, count: 0 };
    points.set(cell.t, point);
    point.shares += (cell.seen[r - 1] ?? 0) / count;
    point.pairs++;
    point.count += count;
  }
  return [...points]
    .sort(([a], [b]) => a - b)
    .map(([t, { shares, pairs, count }]) => ({ t, p: shares / pairs, count }));
}

/**
 * A time within which not every frontend can be told of a write would tell only of the near ones,
 * and does not count.
 */
function cellsOf(
  { reports, writers, readers, from, dw, canaryDw }: ForecastPlan,
  { delays }: Fleet,
): readonly CanaryCount[] {
  if (canaryDw === null) return [];
  const isOther = from === "other";
  const reaches = remembered((t: number): boolean =>
    writers.every((a) =>
      readers.every((b) => delays.reaches(delays.number(a), delays.number(b), t)),
    ),
  );
  return writers.flatMap((writer) => {
    const cells = reports.get(writer)?.canaries ?? [];
    return cells.filter(
      ({ reader, t, w }) =>
        // Of w acknowledgements no more than w are durable, whatever dw says.
        Math.min(dw, w) === Math.min(canaryDw, w) &&
        (reader !== writer) === isOther &&
        (!isOther || reaches(t)),
    );
  });
}

function remembered(answer: (t: number) => boolean): (t: number) => boolean {
  const known = new Map<number, boolean>();
  return (t) => {
    const is = known.get(t) ?? answer(t);
    known.set(t, is);
    return is;
  };
}

/** Root mean square of predicted less measured, over the points that have both; null: none. */
export function rmseOf(choices: readonly Choice[]): number | null {
  const errors = choices.flatMap(({ predicted, measured }) =>
    predicted.flatMap(({ t, p }) =>
      measured.filter((point) => point.t === t).map((point) => (point.p - p) ** 2),
    ),
  );
  if (errors.length === 0) return null;
  return Math.sqrt(errors.reduce((sum, error) => sum + error, 0) / errors.length);
}

/** How likely a read with r sees a write with w that was answered t ms before. */
export type Chances = (r: number, w: number, t: number) => number;

/** Whether rare delays are not known yet. */
export function areFew(plan: Pick<ForecastPlan, "reports">): boolean {
  const { reads, stores } = samplesOf(plan);
  return Math.min(reads, stores) < SAMPLES_MIN;
}

/** @returns null where nothing was measured */
export function chancesOf(plan: Omit<ForecastPlan, "times" | "canaryDw">): Chances | null {
  if (samplesOf(plan).reads === 0 && !isOneMember(plan)) return null;
  const fleet = new Fleet({ ...plan, trials: TRIALS });
  const predictions = simulate(fleet, Prng.fromSeed(1));
  return (r, w, t) => {
    const found = predictions.find((prediction) => prediction.r === r && prediction.w === w);
    assert(found !== undefined, "r and w are within n");
    return visibility(found, t);
  };
}

/** In words, where tails are drawn from few round trips. */
function fewOf({ reads, stores }: Forecast["samples"]): string[] {
  if (Math.min(reads, stores) >= SAMPLES_MIN) return [];
  return [
    `${reads} reads and ${stores} stores of the last ten minutes are few: rare delays are unknown`,
  ];
}

/** Every pair of r and w, of which nothing is known. */
function unknownChoices({ partitions }: ForecastPlan): readonly Choice[] {
  const counts = (partitions[0] ?? []).map((_, i) => i + 1);
  const latency = { read: null, write: null };
  return counts.flatMap((r) => counts.map((w) => ({ r, w, predicted: [], measured: [], latency })));
}

/** Whether everybody who writes, holds and reads is one member, to which there is no way. */
function isOneMember({
  writers,
  readers,
  partitions,
}: Pick<ForecastPlan, "writers" | "readers" | "partitions">): boolean {
  return new Set([...writers, ...readers, ...partitions.flat()]).size === 1;
}

/** @returns a forecast whose choices predict nothing where no round trip was measured */
export function forecast(plan: ForecastPlan): Forecast {
  const samples = samplesOf(plan);
  const isElsewhere = plan.from === "other" && plan.readers.length < 2;
  const isAlone = isOneMember(plan);
  const assumed = [...ASSUMED, ...(isElsewhere && !isAlone ? [ELSEWHERE] : [])];
  if (samples.reads === 0 && !isAlone) {
    return { samples, choices: unknownChoices(plan), delays: NO_DELAYS, assumed };
  }
  const fleet = new Fleet({ ...plan, trials: TRIALS });
  const cells = cellsOf(plan, fleet);
  // Of one seed: the same question about the same measurements has the same answer.
  const choices = simulate(fleet, Prng.fromSeed(1)).map((prediction): Choice => {
    const { r, w, readMs, writeMs } = prediction;
    return {
      r,
      w,
      predicted: plan.times.map((t) => ({ t, p: visibility(prediction, t) })),
      measured: measuredOf(cells, prediction),
      latency: { read: percentilesOf(readMs), write: percentilesOf(writeMs) },
    };
  });
  return {
    samples,
    choices,
    delays: delaysOf(fleet),
    assumed: [...assumed, ...unmeasured(fleet), ...(isAlone ? [] : fewOf(samples))],
  };
}
