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
import { runMix } from "../lib/mix.ts";
import {
  etcdPut,
  etcdRange,
  hasEtcd,
  hasRedis,
  type Other,
  redisRate,
  startEtcd,
  startRedis,
} from "../lib/others.ts";
import {
  cpuMs,
  type RunningCluster,
  type Server,
  startBareNode,
  startCluster,
} from "../lib/processes.ts";

const BODY = "v".repeat(1024);
const base = { keyCount: 10_000, connectionCount: 48, headers: { "Content-Type": "text/plain" } };
const KEY = "/v1/kv/bench/key%d";
/** Arrivals a second. */
const LATE_RATE = 500;

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
  { of: "GET r=2", by: "etcd linearizable read", target: 3.5 },
  { of: "PUT w=2 dw=2", by: "etcd put", target: 3 },
];

type Request = Omit<Load, "url" | "path">;

function ourTargets(at: RunningCluster, { get, put }: Record<"get" | "put", Request>): Target[] {
  const { servers } = at;
  const ours = (name: string, load: Omit<Load, "url">): Target => ({
    name,
    load: { ...load, url: at.urls[0] ?? "" },
    servers,
  });
  return [
    // Of no row: it takes the first reads after the writes of the round before, which decode every
    // record anew. Else they would all fall on whichever row came first.
    ours("reads after writes", { ...get, path: KEY }),
    ours("GET r=1", { ...get, path: `${KEY}?r=1` }),
    ours("GET r=2", { ...get, path: KEY }),
    ours("PUT w=2 dw=2", { ...put, path: KEY }),
    ours("PUT w=1 dw=0", { ...put, path: `${KEY}?w=1&dw=0` }),
  ];
}

function etcdTargets({ url, servers }: Other, request: Request): readonly Target[] {
  const post = { ...request, url, method: "POST" } as const;
  const put = { ...post, path: "/v3/kv/put", body: etcdPut(BODY) };
  const range = { ...post, path: "/v3/kv/range", body: etcdRange };
  return [
    { name: "etcd put", load: put, servers },
    { name: "etcd linearizable read", load: range, servers },
  ];
}

async function compare(
  { quick, root }: BenchOptions,
  stops: (() => Promise<void>)[],
): Promise<readonly Figure[]> {
  const [bare, cluster] = await Promise.all([startBareNode(), startCluster(3, { root })]);
  stops.push(
    () => bare.server.stop(),
    () => cluster.stop(),
  );
  const seconds = quick ? 1 : 2;
  const get = { ...base, method: "GET", body: "", seconds } as const;
  const put = { ...base, method: "PUT", body: BODY, seconds } as const;
  const { url } = bare;
  const targets: Target[] = [
    { name: "bare GET", load: { ...get, url, path: KEY }, servers: [bare.server] },
    { name: "bare PUT", load: { ...put, url, path: KEY }, servers: [bare.server] },
    ...ourTargets(cluster, { get, put }),
  ];
  await fillKeys({ ...put, path: KEY, url });
  await fillKeys({ ...put, path: KEY, url: cluster.urls[0] ?? "" });
  const etcd = hasEtcd ? await startEtcd() : null;
  if (etcd !== null) {
    stops.push(() => etcd.stop());
    const theirs = etcdTargets(etcd, put);
    for (const { name, load } of theirs) if (name === "etcd put") await fillKeys(load);
    targets.push(...theirs);
  }
  const figures = figuresOf(await interleave(targets.map(contenderOf), quick ? 3 : 9));
  return etcd === null ? figures : [...figures, await latePuts(cluster, etcd, quick)];
}

/** What the slowest of a hundred PUTs waits where they come at a fixed rate, beside etcd's. */
async function latePuts(ours: RunningCluster, etcd: Other, quick: boolean): Promise<Figure> {
  const mix = {
    ...{ path: "/v1/kv/bench/key", keyCount: base.keyCount, connectionCount: 48 },
    ...{ valueBytes: BODY.length, rate: LATE_RATE, seconds: quick ? 1 : 4 },
    ...({ readShare: 0, write: "update", isLatest: false } as const),
  };
  const post = { path: "/v3/kv/put", body: etcdPut(BODY) };
  const samples = await interleave(
    [
      { name: "ours", sample: () => runMix({ ...mix, url: ours.urls[0] ?? "" }) },
      { name: "etcd", sample: () => runMix({ ...mix, url: etcd.url, post }) },
    ],
    quick ? 1 : 9,
  );
  const p99 = (name: string): readonly number[] =>
    (samples.get(name) ?? []).map(({ write }) => write.p99);
  const all = [...samples.values()].flat();
  const errorCount = all.reduce((sum, result) => sum + result.errorCount, 0);
  const shown = (name: string): string => median(p99(name)).toFixed(1);
  return {
    name: `PUT w=2 dw=2 at ${LATE_RATE} a second, open loop: p99 by etcd put`,
    ...{ value: medianRatio(p99("ours"), p99("etcd")), unit: "ratio", better: "lower" },
    ...{ target: 0.7, isContext: true },
    note: `${shown("ours")} ms against ${shown("etcd")} ms; ${errorCount} errors`,
  };
}

function figuresOf(samples: ReadonlyMap<string, readonly Sample[]>): readonly Figure[] {
  const rates = (name: string): readonly number[] =>
    (samples.get(name) ?? []).map(({ rate }) => rate);
  const cpu = (name: string): number =>
    median((samples.get(name) ?? []).map(({ cpuMicros }) => cpuMicros));
  const figures: Figure[] = [];
  for (const { of, by, target } of ROWS.filter((row) => samples.has(row.by))) {
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

/** One process, nothing on disk, its own protocol and generator: another league, for context. */
async function redisFigures(quick: boolean): Promise<readonly Figure[]> {
  const redis = await startRedis();
  try {
    const figures: Figure[] = [];
    for (const command of ["get", "set"] as const) {
      const rates: number[] = [];
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        rates.push(await redisRate(redis.url, command));
      }
      const common = { unit: "/s", better: "higher", isContext: true } as const;
      figures.push({ name: `redis ${command}, in memory`, value: median(rates), ...common });
    }
    return figures;
  } finally {
    await redis.stop();
  }
}

async function run(options: BenchOptions): Promise<readonly Figure[]> {
  const { quick, say } = options;
  say(hasWrk ? "load from wrk" : "load from the suite's own generator: wrk is not installed");
  if (!hasEtcd) say("without etcd: it is not installed (see bench/README.md)");
  if (!hasRedis) say("without redis: it is not installed (see bench/README.md)");
  const stops: (() => Promise<void>)[] = [];
  try {
    const figures = await compare(options, stops);
    return hasRedis ? [...figures, ...(await redisFigures(quick))] : figures;
  } finally {
    await Promise.all(stops.map((stop) => stop()));
  }
}

export const nodeSuite: Suite = {
  name: "node",
  about: "GET and PUT of a three-node cluster of processes, closed loop",
  takesRoot: true,
  run,
};
