/**
 * `node tests/staleness/far-figures.ts [--seconds 640] [--n 5] [--seed 1] [--times 40,41,43,46,50,55]`:
 * what is predicted of five nodes in three zones (far-fleet.ts) and what their canaries measure in
 * so many seconds of virtual time, over all r + w of at most n. Each time is looked at in a fleet
 * of its own, so that all probes are of that time: those of the last ten minutes count, 11,000 and
 * more.
 */
import { parseArgs } from "node:util";
import { majority } from "../../core/quorum-options.ts";
import { CANARY_TIMES } from "../../src/node/jobs/canaries.ts";
import { forecast } from "../../src/staleness/forecast.ts";
import { FarFleet } from "./far-fleet.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "640" },
    n: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    times: { type: "string", default: "40,41,43,46,50,55" },
  },
});
const n = Number(values.n);

interface Point {
  readonly expected: number;
  readonly p: number;
  readonly count: number;
}

function pointsAt(time: number): readonly Point[] {
  (CANARY_TIMES as number[]).splice(0, CANARY_TIMES.length, time);
  const fleet = new FarFleet({ seed: Number(values.seed), canaryMs: 15, n });
  fleet.pass(Number(values.seconds) * 1000);
  const { ring, ids } = fleet;
  const { choices } = forecast({
    ...{ reports: fleet.told().reports, writers: ids, readers: ids, from: "other", times: [time] },
    partitions: Array.from({ length: ring.partitionCount }, (_, p) => ring.primariesOf(p, n)),
    ...{ dw: majority(n), canaryDw: majority(n) },
  });
  const points: Point[] = [];
  for (const { r, w, predicted, measured } of choices.filter(
    (choice) => choice.r + choice.w <= n,
  )) {
    for (const { t, p, count } of measured) {
      const expected = predicted.find((point) => point.t === t)?.p ?? Number.NaN;
      const [a, b] = [expected, p].map((share) => (100 * share).toFixed(2));
      console.log(`r=${r} w=${w} t=${t} predicted ${a} % measured ${b} % of ${count}`);
      points.push({ expected, p, count });
    }
  }
  return points;
}

const points = values.times.split(",").flatMap((time) => pointsAt(Number(time)));
const inRange = points.filter(({ p }) => p >= 0.01 && p <= 0.99);
const squares = inRange.map(({ expected, p }) => (expected - p) ** 2);
const rmse = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
const least = Math.min(...inRange.map(({ count }) => count));
const of = `${inRange.length} points within 1 … 99 %, ${least} probes or more each`;
console.log(`${of}: RMSE ${(100 * rmse).toFixed(2)} %`);
