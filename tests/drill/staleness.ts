/**
 * `node tests/drill/staleness.ts [--seconds 180] [--canary-ms 5] [--from other]`: five processes in
 * three zones with injected delays (far-node.ts), and what is predicted beside what canaries
 * measure, over all r + w of at most n. Exit 0 when the root mean square is at most `--most`.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { reportText, type StalenessReport } from "../../src/cli/staleness.ts";
import { startProcesses } from "../support/process-cluster.ts";
import { sleep } from "./arena.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "180" },
    "canary-ms": { type: "string", default: "5" },
    from: { type: "string", default: "other" },
    times: { type: "string", default: "20,40,60" },
    most: { type: "string", default: "0.01" },
  },
});
const seconds = Number(values.seconds);
const programOf = (): string => fileURLToPath(new URL("far-node.ts", import.meta.url));
const timing = { canaryMs: Number(values["canary-ms"]), heartbeatMs: 1000 };
const cluster = await startProcesses(5, { timing, programOf, partitions: 256 });
let isGood = false;
try {
  await sleep(seconds * 1000);
  const query = new URLSearchParams({ from: values.from, t: values.times });
  const url = `${cluster.urlOf("r1")}/v1/cluster/staleness?${query}`;
  const report = (await (await fetch(url)).json()) as StalenessReport;
  const { choices } = report;
  console.log(reportText(report, {}));
  const points = choices
    .filter(({ n, r, w }) => r + w <= n)
    .flatMap(({ r, w, predicted, measured }) =>
      measured.map(({ t, p, count }) => {
        const expected = predicted.find((point) => point.t === t)?.p ?? Number.NaN;
        return { r, w, t, expected, p, count };
      }),
    );
  const inRange = points.filter(({ p }) => p >= 0.01 && p <= 0.99);
  for (const { r, w, t, expected, p, count } of points) {
    const off = (100 * (expected - p)).toFixed(2).padStart(6);
    const [a, b] = [expected, p].map((share) => (100 * share).toFixed(2).padStart(6));
    console.log(`r=${r} w=${w} t=${t} predicted ${a} % measured ${b} % of ${count}, off ${off}`);
  }
  const squares = inRange.map(({ expected, p }) => (expected - p) ** 2);
  const rmse = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
  const counts = inRange.map(({ count }) => count);
  const least = Math.min(...counts);
  isGood = rmse <= Number(values.most);
  console.log(
    `${inRange.length} points within 1 … 99 %, ${least} probes or more each: ` +
      `RMSE ${(100 * rmse).toFixed(2)} %`,
  );
} finally {
  await cluster.close();
}
process.exit(isGood ? 0 : 1);
