/** The log by itself: appends of 64 writers beside the least that group commit can cost. */
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { compareAppends } from "../log.ts";

async function run({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const { ratio, log, bare } = await compareAppends(quick ? 3 : 9);
  return [
    {
      name: "log append, 64 writers, by bare log",
      ...{ value: ratio, unit: "ratio", better: "higher", target: 0.85 },
      note: `${log.toFixed(0)}/s against ${bare.toFixed(0)}/s`,
    },
  ];
}

export const logSuite: Suite = {
  name: "log",
  about: "log appends beside a bare loop of writev and fdatasync",
  run,
};
