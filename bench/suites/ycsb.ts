/**
 * YCSB's workloads A, B, C, D and F (Zipf 0.99) on a three-node cluster: how many operations a
 * second beside the bare server under the same mix, and latencies at fixed rates of arrival.
 */
import { closedLoop, fillKeys, hasWrk } from "../lib/closed-loop.ts";
import {
  type BenchOptions,
  type Figure,
  interleave,
  median,
  medianRatio,
  type Suite,
} from "../lib/figures.ts";
import { type MixResult, runMix, YCSB } from "../lib/mix.ts";
import { startBareNode, startCluster } from "../lib/processes.ts";

const base = { path: "/v1/kv/bench/key", keyCount: 10_000, valueBytes: 1024, connectionCount: 48 };
/** Arrivals a second at which latencies of the mix B are taken. */
const RATES = [200, 500, 1000];

type Kind = (typeof YCSB)[string];
const put = {
  method: "PUT",
  body: "v".repeat(base.valueBytes),
  path: `${base.path}%d`,
  headers: { "Content-Type": "text/plain" },
} as const;

/**
 * Operations a second. Of inserts and read-modify-writes wrk knows nothing, and the generator that
 * does is the slower one of the two.
 */
async function rateOf(kind: Kind, url: string): Promise<number> {
  const { readShare, write } = kind;
  if (!hasWrk || write !== "update") {
    return (await runMix({ ...base, ...kind, url, seconds: 1, rate: 0 })).rate;
  }
  return (await closedLoop({ ...base, ...put, url, seconds: 1, readShare })).rate;
}

function throughput(name: string, samples: ReadonlyMap<string, readonly number[]>): Figure {
  const rates = (of: string): readonly number[] => samples.get(of) ?? [];
  const [ours, bare] = [rates(`${name} ours`), rates(`${name} bare`)];
  return {
    name: `YCSB-${name}, closed loop, by bare`,
    ...{ value: medianRatio(ours, bare), unit: "ratio", better: "higher" },
    note: `${median(ours).toFixed(0)}/s against ${median(bare).toFixed(0)}/s`,
  };
}

function latencies(rate: number, results: readonly MixResult[]): readonly Figure[] {
  const errors = results.reduce((sum, { errorCount }) => sum + errorCount, 0);
  return (["read", "write"] as const).map((kind) => {
    const of = (name: "p50" | "p99" | "p999"): number =>
      median(results.map((result) => result[kind][name]));
    return {
      name: `YCSB-B at ${rate}/s: ${kind} p99`,
      ...{ value: of("p99"), unit: "ms", better: "lower", isContext: true },
      note: `p50 ${of("p50").toFixed(2)} ms, p99.9 ${of("p999").toFixed(1)} ms, ${errors} errors`,
    };
  });
}

async function run({ quick, say, root }: BenchOptions): Promise<readonly Figure[]> {
  const [bare, cluster] = await Promise.all([startBareNode(), startCluster(3, { root })]);
  const urls = { ours: cluster.urls[0] ?? "", bare: bare.url };
  const roundCount = quick ? 1 : 5;
  try {
    for (const url of Object.values(urls)) await fillKeys({ ...base, ...put, url, seconds: 0 });
    const contenders = Object.entries(YCSB).flatMap(([name, kind]) =>
      (["bare", "ours"] as const).map((who) => ({
        name: `${name} ${who}`,
        sample: () => rateOf(kind, urls[who]),
      })),
    );
    const samples = await interleave(contenders, roundCount);
    const figures = Object.keys(YCSB).map((name) => throughput(name, samples));
    const open = RATES.map((rate) => ({
      name: String(rate),
      sample: () =>
        runMix({
          ...base,
          ...(YCSB["B"] as Kind),
          url: urls.ours,
          seconds: 4,
          rate,
        }),
    }));
    say("latencies at fixed rates of arrival");
    const timed = await interleave(open, quick ? 1 : 3);
    const late = RATES.flatMap((rate) => latencies(rate, timed.get(String(rate)) ?? []));
    return [...figures, ...late];
  } finally {
    await Promise.all([bare.server.stop(), cluster.stop()]);
  }
}

export const ycsbSuite: Suite = {
  name: "ycsb",
  about: "skewed mixes: throughput, and latency under constant arrival",
  takesRoot: true,
  run,
};
