/**
 * The cache door beside the data plane and other caches, and what it costs an origin's visitors:
 * hits of 1 KiB at a node that owns the key, misses, memory under a body of 1 GiB, 200 clients on
 * one cold key, and the hit ratio of a bounded site.
 */
import { readFileSync } from "node:fs";
import { closedLoop, fillKeys, type Load } from "../lib/closed-loop.ts";
import {
  type DoorCluster,
  hasNginx,
  hasVarnish,
  type Started,
  startDoors,
  startNginx,
  startOrigin,
  startVarnish,
  timedGet,
} from "../lib/door.ts";
import type { BenchOptions, Contender, Figure, Suite } from "../lib/figures.ts";
import { interleave, median, medianRatio } from "../lib/figures.ts";
import { cpuMs, type Server } from "../lib/processes.ts";
import { collapseFigures } from "./door-collapse.ts";
import { zipfFigures } from "./door-zipf.ts";

const OBJECT = "/object/%d";
const KEY = "/v1/kv/bench/key%d";
const base = { keyCount: 2000, body: "", connectionCount: 48 } as const;
const MIB = 1024 * 1024;
const BIG_BYTES = 1024 * MIB;

interface Round {
  readonly rate: number;
  /** Of the process that was asked, a request. */
  readonly cpuMicros: number;
}

async function roundOf(load: Load, { pid }: Server): Promise<Round> {
  const before = cpuMs([{ pid }]);
  const { rate, requestCount } = await closedLoop(load);
  return { rate, cpuMicros: ((cpuMs([{ pid }]) - before) * 1000) / requestCount };
}

/** Every object once, so that all that follow are hits. */
async function warm(url: string): Promise<void> {
  for (let i = 1; i <= base.keyCount; i++) {
    await timedGet(`${url}/object/${String(i).padStart(6, "0")}`);
  }
}

async function hitFigures(
  cluster: DoorCluster,
  origin: string,
  { quick, say }: BenchOptions,
): Promise<readonly Figure[]> {
  const seconds = quick ? 1 : 3;
  const headers = { "Content-Type": "text/plain" };
  const [url = ""] = cluster.urls;
  const [door = ""] = cluster.doors;
  const put = { ...base, method: "PUT", headers, path: KEY, body: "v".repeat(1024) } as const;
  await fillKeys({ ...put, url, seconds });
  const load = (at: string, path: string): Load => ({
    ...{ ...base, url: at, path, method: "GET", seconds },
  });
  const rivals: Started[] = [];
  const contenders: Contender<Round>[] = [];
  const add = (name: string, of: Load, asked: Server): void => {
    contenders.push({ name, sample: () => roundOf(of, asked) });
  };
  const [node] = cluster.servers;
  if (node === undefined) throw new Error("there is a node");
  add("door", load(door, OBJECT), node);
  add("data", load(url, `${KEY}?r=1`), node);
  try {
    if (hasNginx) rivals.push(await startNginx(origin));
    else say("nginx is not installed (apt install nginx-light)");
    const [nginx] = rivals;
    if (nginx !== undefined) add("nginx", load(nginx.url, OBJECT), nginx.server);
    if (hasVarnish) {
      const varnish = await startVarnish(origin);
      rivals.push(varnish);
      add("varnish", load(varnish.url, OBJECT), varnish.server);
    } else say("varnish is not installed (apt install varnish)");
    for (const at of [door, ...rivals.map((rival) => rival.url)]) await warm(at);
    const samples = await interleave(contenders, quick ? 2 : 5);
    const rounds = (name: string): readonly Round[] => samples.get(name) ?? [];
    const of = (name: string): readonly number[] => rounds(name).map(({ rate }) => rate);
    const cpuOf = (name: string): readonly number[] => rounds(name).map((r) => r.cpuMicros);
    const micros = (name: string): string => `${median(cpuOf(name)).toFixed(1)} µs`;
    const rates = (name: string): string => `${median(of(name)).toFixed(0)}/s`;
    const ratio = (name: string, words: string, target: number): Figure => ({
      name: `door: hit of 1 KiB by ${words}`,
      ...{ value: medianRatio(of("door"), of(name)), unit: "ratio", better: "higher", target },
      note: `${rates("door")} against ${rates(name)}`,
    });
    return [
      ratio("data", "GET r=1 of the data plane", 0.85),
      {
        name: "door: GET r=1 of the data plane by a hit of 1 KiB, processor time",
        ...{ value: medianRatio(cpuOf("data"), cpuOf("door")), unit: "ratio", better: "higher" },
        ...{ target: 0.85, note: `${micros("data")} against ${micros("door")}` },
      },
      ...(hasNginx ? [{ ...ratio("nginx", "nginx, one worker", 0.5), isContext: true }] : []),
      ...(hasVarnish ? [{ ...ratio("varnish", "varnish, one pool", 0.5), isContext: true }] : []),
    ];
  } finally {
    await Promise.all(rivals.map((rival) => rival.stop()));
  }
}

/** What the door adds to the origin's own first byte: misses and the origin in turn. */
async function missFigures(
  { doors }: DoorCluster,
  origin: string,
  { quick }: BenchOptions,
): Promise<readonly Figure[]> {
  const [door = ""] = doors;
  const through: number[] = [];
  const direct: number[] = [];
  const count = quick ? 100 : 500;
  for (let i = 0; i < count + 50; i++) {
    const direction = (await timedGet(`${origin}/object/miss${i}`)).firstByteMs;
    const { firstByteMs, cacheStatus } = await timedGet(`${door}/object/miss${i}`);
    if (!cacheStatus.includes("uri-miss")) throw new Error(`no miss: ${cacheStatus}`);
    // The first ones warm up what runs.
    if (i < 50) continue;
    direct.push(direction);
    through.push(firstByteMs);
  }
  const [a, b] = [median(through), median(direct)];
  return [
    {
      name: "door: first byte of a miss, added to the origin's, median",
      ...{ value: a - b, unit: "ms", better: "lower", target: 2 },
      note: `${a.toFixed(2)} ms against ${b.toFixed(2)} ms`,
    },
  ];
}

/** In MiB; NaN where /proc is missing. */
function rssOf({ pid }: Server): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

async function raiseOf(server: Server, url: string): Promise<number> {
  const before = rssOf(server);
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, rssOf(server));
  }, 20);
  const { status } = await timedGet(url);
  clearInterval(timer);
  if (status !== 200) throw new Error(`a long body came with ${status}`);
  return peak - before;
}

/** A node that has had one long body before: what the second one adds. */
async function memoryFigures(origin: string, { quick }: BenchOptions): Promise<readonly Figure[]> {
  const bytes = quick ? BIG_BYTES / 8 : BIG_BYTES;
  const figures: Figure[] = [];
  for (const [how, maxObjectBytes] of [
    ["passed on", MIB],
    ["stored", 4 * BIG_BYTES],
  ] as const) {
    const cluster = await startDoors(1, { origin, maxObjectBytes });
    try {
      const [server] = cluster.servers;
      const [door = ""] = cluster.doors;
      if (server === undefined) throw new Error("there is a node");
      await timedGet(`${door}/big/${256 * MIB}/first`);
      figures.push({
        name: `door: memory under a body of ${bytes / MIB} MiB, ${how}, in MiB`,
        value: await raiseOf(server, `${door}/big/${bytes}/second`),
        ...{ unit: "MB", better: "lower", target: 32 },
      });
    } finally {
      await cluster.stop();
    }
  }
  return figures;
}

async function run(options: BenchOptions): Promise<readonly Figure[]> {
  const origin = await startOrigin();
  try {
    const cluster = await startDoors(3, { origin: origin.url });
    const figures: Figure[] = [];
    // Each part takes a minute or more: what it found is not to be lost with the next.
    const add = (found: readonly Figure[]): void => {
      for (const { name, value, note = "" } of found) options.say(`${name}: ${value} ${note}`);
      figures.push(...found);
    };
    try {
      add(await hitFigures(cluster, origin.url, options));
      add(await missFigures(cluster, origin.url, options));
    } finally {
      await cluster.stop();
    }
    add(await collapseFigures());
    add(await memoryFigures(origin.url, options));
    add(await zipfFigures(origin.url, options));
    return figures;
  } finally {
    await origin.stop();
  }
}

export const doorSuite: Suite = {
  name: "door",
  about: "the cache door beside the data plane and other caches; misses, memory, hit ratio",
  run,
};
