/**
 * The data plane of a three-node Node cluster beside a bare server, and beside etcd where it is
 * installed: values of 1 KiB, 10,000 keys, 48 connections to one node.
 */
import { closedLoop, fillKeys, hasWrk, type Load } from "../lib/closed-loop.ts";
import {
  type BenchOptions,
  type Contender,
  type Figure,
  interleave,
  median,
  medianRatio,
  type Suite,
} from "../lib/figures.ts";
import { cpuMs, type Server, startBareNode, startCluster } from "../lib/processes.ts";

const BODY = "v".repeat(1024);
const base = { keyCount: 10_000, connectionCount: 48, headers: { "Content-Type": "text/plain" } };
const KEY = "/v1/kv/bench/key%d";

interface Sample {
  readonly rate: number;
  readonly cpuMicros: number;
}

interface Target {
  readonly name: string;
  readonly load: Load;
  readonly servers: readonly Server[];
}

function contenderOf({ name, load, servers }: Target): Contender<Sample> {
  const sample = async (): Promise<Sample> => {
    const before = cpuMs(servers);
    const { rate, requestCount } = await closedLoop(load);
    return { rate, cpuMicros: ((cpuMs(servers) - before) * 1000) / requestCount };
  };
  return { name, sample };
}

interface Row {
  readonly of: string;
  readonly by: string;
  readonly target: number;
}

const ROWS: readonly Row[] = [
  { of: "GET r=1", by: "bare GET", target: 0.85 },
  { of: "GET r=2", by: "bare GET", target: 0.55 },
  { of: "PUT w=2 dw=2", by: "bare PUT", target: 0.33 },
  { of: "PUT w=1 dw=0", by: "bare PUT", target: 0.6 },
];

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const [bare, cluster] = await Promise.all([startBareNode(), startCluster(3)]);
  const url = cluster.urls[0] ?? "";
  const seconds = quick ? 1 : 2;
  const get = { ...base, method: "GET", body: "", seconds } as const;
  const put = { ...base, method: "PUT", body: BODY, seconds } as const;
  const fill = { ...put, path: KEY };
  try {
    say(hasWrk ? "load from wrk" : "load from the suite's own generator: wrk is not installed");
    await Promise.all([fillKeys({ ...fill, url }), fillKeys({ ...fill, url: bare.url })]);
    const { servers } = cluster;
    const ours = (name: string, load: Omit<Load, "url">): Target => ({
      name,
      load: { ...load, url },
      servers,
    });
    const targets: readonly Target[] = [
      { name: "bare GET", load: { ...get, url: bare.url, path: KEY }, servers: [bare.server] },
      ours("GET r=1", { ...get, path: `${KEY}?r=1` }),
      ours("GET r=2", { ...get, path: KEY }),
      { name: "bare PUT", load: { ...put, url: bare.url, path: KEY }, servers: [bare.server] },
      ours("PUT w=2 dw=2", { ...put, path: KEY }),
      ours("PUT w=1 dw=0", { ...put, path: `${KEY}?w=1&dw=0` }),
    ];
    const samples = await interleave(targets.map(contenderOf), quick ? 3 : 9);
    return figuresOf(samples);
  } finally {
    await Promise.all([bare.server.stop(), cluster.stop()]);
  }
}

function figuresOf(samples: ReadonlyMap<string, readonly Sample[]>): readonly Figure[] {
  const rates = (name: string): readonly number[] =>
    (samples.get(name) ?? []).map(({ rate }) => rate);
  const cpu = (name: string): number =>
    median((samples.get(name) ?? []).map(({ cpuMicros }) => cpuMicros));
  const figures: Figure[] = [];
  for (const { of, by, target } of ROWS) {
    const value = medianRatio(rates(of), rates(by));
    const note = `${median(rates(of)).toFixed(0)}/s against ${median(rates(by)).toFixed(0)}/s`;
    figures.push({ name: `${of} by ${by}`, value, unit: "ratio", better: "higher", target, note });
    figures.push({
      name: `${of}: processor time by ${by}`,
      value: cpu(of) / cpu(by),
      unit: "ratio",
      better: "lower",
      note: `all processes: ${cpu(of).toFixed(0)} µs a request against ${cpu(by).toFixed(0)} µs`,
    });
  }
  return figures;
}

export const nodeSuite: Suite = {
  name: "node",
  about: "GET and PUT of a three-node cluster of processes, closed loop",
  run,
};
