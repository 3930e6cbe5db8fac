/** The log by itself: appends beside the least that group commit can cost, memory, restarts. */
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { compareAppends, type KindOfRestart, type Restart, restarts } from "../lib/log.ts";

/** At 1,000,000 records: hint files make a restart twice as fast. */
const RESTART_SECONDS = { withOutlines: 1.5, without: 3 };
const INDEX_BYTES = 150;

function figuresOf(
  { hasOutlines, isCacheDropped }: KindOfRestart,
  { seconds, keyCount, rssMiB }: Restart,
  hasTargets: boolean,
): Figure {
  const how = `${hasOutlines ? "with" : "without"} hint files`;
  const cache = isCacheDropped ? "page cache dropped" : "page cache warm";
  const target = hasOutlines ? RESTART_SECONDS.withOutlines : RESTART_SECONDS.without;
  return {
    name: `restart of ${keyCount} records ${how}, ${cache}`,
    ...{ value: seconds, unit: "s", better: "lower", isContext: true },
    ...(hasTargets ? { target } : {}),
    note: `RSS ${rssMiB.toFixed(0)} MiB right after`,
  };
}

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const { ratio, log, bare } = await compareAppends(quick ? 9 : 45);
  const append: Figure = {
    name: "log append, 64 writers, by bare log",
    ...{ value: ratio, unit: "ratio", better: "higher", target: 0.85 },
    note: `${log.toFixed(0)}/s against ${bare.toFixed(0)}/s`,
  };
  const keyCount = quick ? 100_000 : 1_000_000;
  say(`filling a log with ${keyCount} records of 100 bytes`);
  const found = await restarts(keyCount);
  const bytes = Math.max(...found.map(({ restart }) => restart.bytesPerKey));
  const index: Figure = {
    name: `index at ${keyCount} keys, bytes a key beyond its string`,
    ...{ value: bytes, unit: "bytes", better: "lower", target: INDEX_BYTES },
  };
  return [append, index, ...found.map(({ restart, ...kind }) => figuresOf(kind, restart, !quick))];
}

export const logSuite: Suite = {
  name: "log",
  about: "log appends beside a bare loop of writev and fdatasync, memory, restarts",
  run,
};
