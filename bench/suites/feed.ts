/** What subscribers of a change feed cost those who write, and the node that they read from. */
import { Agent, type ClientRequest, get } from "node:http";
import { closedLoop, fillKeys, type Load } from "../lib/closed-loop.ts";
import {
  type BenchOptions,
  type Figure,
  interleave,
  medianRatio,
  type Suite,
} from "../lib/figures.ts";
import { forgetPeak, peakMb } from "../lib/memory.ts";
import { runMix } from "../lib/mix.ts";
import { cpuMs, type RunningCluster, startCluster } from "../lib/processes.ts";

const NAMESPACE = "bench";
const KEYS = 5000;
const VALUE_BYTES = 100;
const SUBSCRIBERS = 10;
const MANY_SUBSCRIBERS = 100;
const MANY_WRITES = 2000;
/** After a sample: what was written is told. */
const SETTLE_MS = 200;

/** Streams of lines that are read as fast as they come, and not looked at. */
class Subscribers {
  readonly #requests: ClientRequest[] = [];
  byteCount = 0;

  /** Resolves when each has had its first line. */
  async open(urls: readonly string[], count: number): Promise<void> {
    const agent = new Agent({ keepAlive: false });
    const headers = { Accept: "application/x-ndjson" };
    const opened = Array.from({ length: count }, (_, i) => {
      const url = `${urls[i % urls.length]}/v1/changes/${NAMESPACE}`;
      return new Promise<void>((resolve, reject) => {
        const request = get(url, { agent, headers }, (response) => {
          response.on("data", (chunk: Buffer) => {
            this.byteCount += chunk.length;
            resolve();
          });
          response.on("error", () => {});
        });
        request.on("error", reject);
        this.#requests.push(request);
      });
    });
    await Promise.all(opened);
  }

  close(): void {
    for (const request of this.#requests.splice(0)) request.destroy();
  }
}

interface Sample {
  readonly rate: number;
  /** Of all nodes, in ms a write. */
  readonly cpu: number;
}

async function sampleOf(
  { urls, servers }: RunningCluster,
  load: Load,
  subscriberCount: number,
): Promise<Sample & { readonly toldBytes: number }> {
  const subscribers = new Subscribers();
  await subscribers.open(urls, subscriberCount);
  const before = cpuMs(servers);
  const { rate, requestCount } = await closedLoop(load);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const cpu = (cpuMs(servers) - before) / requestCount;
  subscribers.close();
  return { rate, cpu, toldBytes: subscribers.byteCount / requestCount };
}

async function writers(
  cluster: RunningCluster,
  { quick }: BenchOptions,
): Promise<readonly Figure[]> {
  const load: Load = {
    ...{ url: cluster.urls[0] ?? "", method: "PUT", path: `/v1/kv/${NAMESPACE}/k%d?w=2` },
    ...{ keyCount: KEYS, body: "v".repeat(VALUE_BYTES), connectionCount: 32 },
    seconds: quick ? 1 : 2,
  };
  await fillKeys(load);
  const contenders = [0, SUBSCRIBERS].map((count) => ({
    name: String(count),
    sample: () => sampleOf(cluster, load, count),
  }));
  // V8 goes on compiling what tells changes for some rounds after it is done with the writes.
  const samples = await (quick ? interleave(contenders, 3) : interleave(contenders, 9, 4));
  const of = (count: number) => samples.get(String(count)) ?? [];
  const ratio = (figure: (sample: Sample) => number): number =>
    medianRatio(of(SUBSCRIBERS).map(figure), of(0).map(figure));
  const told = of(SUBSCRIBERS).map(({ toldBytes }) => toldBytes.toFixed(0));
  const name = `PUT w=2 with ${SUBSCRIBERS} subscribers by PUT without`;
  return [
    {
      ...{ name, value: ratio(({ rate }) => rate), unit: "ratio", better: "higher", target: 0.9 },
      note: `${told.join(", ")} bytes told a write, to all together`,
    },
    {
      name: `${name}: nodes' processor time`,
      value: ratio(({ cpu }) => cpu),
      unit: "ratio",
      better: "lower",
    },
  ];
}

async function memory(
  cluster: RunningCluster,
  { quick, say }: BenchOptions,
): Promise<readonly Figure[]> {
  const [url = ""] = cluster.urls;
  const pid = cluster.servers[0]?.pid ?? 0;
  const mix = {
    ...{ url, path: `/v1/kv/${NAMESPACE}/k`, keyCount: KEYS, valueBytes: VALUE_BYTES },
    ...{ connectionCount: 32, seconds: quick ? 3 : 10, rate: MANY_WRITES, readShare: 0 },
    ...({ write: "update", isLatest: false } as const),
  };
  const peaks: number[] = [];
  const rates: string[] = [];
  for (const count of [0, 0, MANY_SUBSCRIBERS]) {
    const subscribers = new Subscribers();
    await subscribers.open([url], count);
    forgetPeak(pid);
    const { rate } = await runMix(mix);
    peaks.push(peakMb(pid));
    rates.push(rate.toFixed(0));
    say(`${count} subscribers: ${rate.toFixed(0)} writes a second, ${peaks.at(-1)?.toFixed(0)} MB`);
    subscribers.close();
  }
  // The first run warms up.
  const [, without = 0, withMany = 0] = peaks;
  return [
    {
      name: `${MANY_SUBSCRIBERS} subscribers at ${MANY_WRITES} writes a second: memory beyond none`,
      ...{ value: withMany - without, unit: "MB", better: "lower", target: 64 },
      note: `${without.toFixed(0)} to ${withMany.toFixed(0)} MB at ${rates.slice(1).join(", ")}/s`,
    },
  ];
}

async function run(options: BenchOptions): Promise<readonly Figure[]> {
  const cluster = await startCluster(3);
  try {
    return [...(await writers(cluster, options)), ...(await memory(cluster, options))];
  } finally {
    await cluster.stop();
  }
}

export const feedSuite: Suite = { name: "feed", about: "subscribers of a change feed", run };
