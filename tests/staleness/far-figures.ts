/**
 * `node tests/staleness/far-figures.ts [--seconds 600] [--n 3] [--seed 1] [--times 40,46,54]`: what
 * is predicted of five nodes in three zones (far-fleet.ts) and what their canaries measure in so
 * many seconds of virtual time, over all r + w of at most n.
 */
import { parseArgs } from "node:util";
import { majority } from "../../core/quorum-options.ts";
import { CANARY_TIMES } from "../../src/node/jobs/canaries.ts";
import { forecast } from "../../src/staleness/forecast.ts";
import { FarFleet } from "./far-fleet.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    n: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    times: { type: "string", default: "40,46,54" },
  },
});
const n = Number(values.n);
const times = values.times.split(",").map(Number);
// Few times, so that each has many probes.
(CANARY_TIMES as number[]).splice(0, CANARY_TIMES.length, ...times);
const fleet = new FarFleet({ seed: Number(values.seed), canaryMs: 15, n });
fleet.pass(Number(values.seconds) * 1000);
const { ring, ids } = fleet;
const { choices } = forecast({
  ...{ reports: fleet.told().reports, writers: ids, readers: ids, from: "other", times },
  partitions: Array.from({ length: ring.partitionCount }, (_, p) => ring.primariesOf(p, n)),
  ...{ dw: majority(n), canaryDw: majority(n) },
});
const points = choices
  .filter(({ r, w }) => r + w <= n)
  .flatMap(({ r, w, predicted, measured }) =>
    measured.map(({ t, p, count }) => {
      const expected = predicted.find((point) => point.t === t)?.p ?? Number.NaN;
      return { r, w, t, expected, p, count };
    }),
  );
for (const { r, w, t, expected, p, count } of points) {
  const [a, b] = [expected, p].map((share) => (100 * share).toFixed(2));
  console.log(`r=${r} w=${w} t=${t} predicted ${a} % measured ${b} % of ${count}`);
}
const inRange = points.filter(({ p }) => p >= 0.01 && p <= 0.99);
const squares = inRange.map(({ expected, p }) => (expected - p) ** 2);
const rmse = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
const least = Math.min(...inRange.map(({ count }) => count));
const of = `${inRange.length} points within 1 … 99 %, ${least} probes or more each`;
console.log(`${of}: RMSE ${(100 * rmse).toFixed(2)} %`);
