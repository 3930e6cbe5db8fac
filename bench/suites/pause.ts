/**
 * One of five nodes stops (SIGSTOP) under a constant arrival of reads and writes at another: what
 * that does to the 99th percentile, against three times the healthy one plus the hedge delay.
 */
import { livenessDefaults } from "../../ring/liveness.ts";
import { fillKeys } from "../lib/closed-loop.ts";
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { median } from "../lib/figures.ts";
import { type MixResult, runMix } from "../lib/mix.ts";
import { startCluster } from "../lib/processes.ts";

const NODE_COUNT = 5;
const base = { path: "/v1/kv/bench/key", keyCount: 2000, valueBytes: 1024, connectionCount: 64 };
const mix = { ...base, readShare: 0.5, write: "update", isLatest: false, rate: 200 } as const;
/** The least delay after which a read is hedged: a cluster at this rate is far from any other. */
const HEDGE_MS = livenessDefaults.hedgeMsMin;

function figureOf(
  kind: "read" | "write",
  healthy: readonly MixResult[],
  paused: readonly MixResult[],
): Figure {
  const p99 = (of: readonly MixResult[]): number => median(of.map((result) => result[kind].p99));
  const bound = 3 * p99(healthy) + HEDGE_MS;
  const errors = paused.reduce((sum, { errorCount }) => sum + errorCount, 0);
  return {
    name: `one of five paused: ${kind} p99 by 3 × healthy + hedge`,
    ...{ value: p99(paused) / bound, unit: "ratio", better: "lower", target: 1, isContext: true },
    note: `${p99(healthy).toFixed(1)} ms, then ${p99(paused).toFixed(1)} ms; ${errors} errors`,
  };
}

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const cluster = await startCluster(NODE_COUNT);
  const url = cluster.urls[0] ?? "";
  const headers = { "Content-Type": "text/plain" };
  const fill = { url, path: `${base.path}%d`, keyCount: base.keyCount, headers };
  const load = { ...mix, url, seconds: quick ? 3 : 6 };
  const healthy: MixResult[] = [];
  const paused: MixResult[] = [];
  try {
    const put = { method: "PUT", body: "v".repeat(base.valueBytes) } as const;
    await fillKeys({ ...fill, ...put, connectionCount: 32, seconds: 0 });
    await runMix(load);
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      healthy.push(await runMix(load));
      const victim = cluster.servers[1 + (round % (NODE_COUNT - 1))];
      say(`round ${round + 1}: node ${2 + (round % (NODE_COUNT - 1))} stops`);
      const stopping = setTimeout(() => victim?.signal("SIGSTOP"), 1000);
      paused.push(await runMix(load));
      clearTimeout(stopping);
      victim?.signal("SIGCONT");
      // Until its hints are home.
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
    return [figureOf("read", healthy, paused), figureOf("write", healthy, paused)];
  } finally {
    await cluster.stop();
  }
}

export const pauseSuite: Suite = {
  name: "pause",
  about: "one of five nodes stopped under constant arrival",
  run,
};
