/** What subscribers of a change feed cost those who write, and the node that they read from. */
import { connect, type Socket } from "node:net";
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

/** What is read goes here, over what was read before. */
const READ_BYTES = 256 * 1024;

/**
 * Streams of lines that are read as fast as they come, and not looked at: on sockets, as a client
 * of `node:http` takes four times as long for that, on the cores that the nodes have.
 */
class Subscribers {
  readonly #sockets: Socket[] = [];
  byteCount = 0;

  /** Resolves when each has had its first bytes. */
  async open(urls: readonly string[], count: number): Promise<void> {
    const opened = Array.from({ length: count }, (_, i) => this.#open(urls[i % urls.length] ?? ""));
    await Promise.all(opened);
  }

  #open(url: string): Promise<void> {
    const { hostname, port, host } = new URL(url);
    return new Promise<void>((resolve, reject) => {
      const take = (byteCount: number): boolean => {
        this.byteCount += byteCount;
        resolve();
        return true;
      };
      const onread = { buffer: Buffer.alloc(READ_BYTES), callback: take };
      const socket = connect({ host: hostname, port: Number(port), onread });
      socket.on("error", reject);
      const lines = [`Host: ${host}`, "Accept: application/x-ndjson", "", ""];
      socket.write([`GET /v1/changes/${NAMESPACE} HTTP/1.1`, ...lines].join("\r\n"));
      this.#sockets.push(socket);
    });
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
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
    seconds: quick ? 1 : 4,
  };
  await fillKeys(load);
  const contenders = [0, SUBSCRIBERS].map((count) => ({
    name: String(count),
    sample: () => sampleOf(cluster, load, count),
  }));
  // V8 goes on compiling what tells changes after it is done with the writes, and compiles some of
  // it for each stream anew. Two rounds differ by a tenth, so that few of them say little.
  const samples = await (quick ? interleave(contenders, 3) : interleave(contenders, 15, 2));
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
