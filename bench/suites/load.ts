/**
 * Bursts of large values at one node of three: what they are answered, how much memory the node
 * takes, and how long another client waits for a small read meanwhile. The same small reads with
 * nothing beside say what of that is the machine's.
 */
import { startBystander } from "../lib/bystander.ts";
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { forgetPeak, peakMb } from "../lib/memory.ts";
import { startCluster } from "../lib/processes.ts";

const MIB = 1024 * 1024;
const SIBLINGS = 26;
/** A write that was too late may have been stored, or not: more than so many are not tried. */
const SIBLING_WRITES_MAX = 2 * SIBLINGS;
const VALUE = new Uint8Array(MIB).fill(118);
const OTHERS_MS_MAX = 100;
const SETTLE_MS_MAX = 30_000;

interface Case {
  readonly name: string;
  /** Resolves to the statuses that it was answered with. */
  readonly run: (url: string) => Promise<readonly number[]>;
  /** What is to be said beside the statuses. */
  readonly note?: (url: string) => Promise<string>;
}

const KEY = "/v1/kv/load/siblings";
const accepting = { headers: { Accept: "application/json" } };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function statusOf(answering: Promise<Response>): Promise<number> {
  const answer = await answering;
  await answer.arrayBuffer();
  return answer.status;
}

const atOnce = (count: number, send: (i: number) => Promise<Response>): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => statusOf(send(i))));

async function siblingsAt(url: string): Promise<number> {
  const answer = await fetch(`${url}${KEY}?r=1`);
  await answer.arrayBuffer();
  return Number(answer.headers.get("Starling-Siblings") ?? (answer.ok ? 1 : 0));
}

/** Each by a client that had read nothing, one after the other, until there are enough. */
async function writeSiblings(url: string): Promise<readonly number[]> {
  const nothing = (await fetch(url + KEY)).headers.get("Starling-Context") ?? "";
  const headers = { "Starling-Context": nothing };
  const statuses: number[] = [];
  while (statuses.length < SIBLING_WRITES_MAX) {
    if (statuses.length >= SIBLINGS && (await siblingsAt(url)) >= SIBLINGS) break;
    const status = await statusOf(
      fetch(`${url}${KEY}?w=all`, { method: "PUT", body: VALUE, headers }),
    );
    statuses.push(status);
    if (status >= 400) await pause(1000);
  }
  return statuses;
}

const cases = (quick: boolean): readonly Case[] => [
  {
    name: "nothing else",
    run: async () => {
      await pause(quick ? 1000 : 5000);
      return [];
    },
  },
  {
    name: "95 PUTs of 1 MiB at once",
    run: (url) =>
      atOnce(95, (i) => fetch(`${url}/v1/kv/load/k${i}`, { method: "PUT", body: VALUE })),
  },
  {
    name: `PUTs of ${SIBLINGS} siblings of 1 MiB, w=all, one by one`,
    run: writeSiblings,
    note: async (url) => `${await siblingsAt(url)} siblings then`,
  },
  {
    name: `100 GETs of ${SIBLINGS} siblings of 1 MiB at once`,
    run: (url) => atOnce(quick ? 30 : 100, () => fetch(url + KEY)),
  },
  {
    name: `10 GETs of all ${SIBLINGS} as JSON at once`,
    run: (url) => atOnce(10, () => fetch(`${url}${KEY}?siblings=all`, accepting)),
  },
];

/** What the case before has left to do is not this one's: hints go home, the disk catches up. */
async function settle(urls: readonly string[]): Promise<void> {
  const isIdle = async (url: string): Promise<boolean> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const lines = text.match(/^starling_(hints|log_staged_bytes)(\{.*\})? [0-9.e+]+$/gm) ?? [];
    return lines.every((line) => line.endsWith(" 0"));
  };
  const giveUpAt = performance.now() + SETTLE_MS_MAX;
  for (const url of urls) {
    while (performance.now() < giveUpAt && !(await isIdle(url))) await pause(200);
  }
}

async function measure(
  url: string,
  pid: number,
  { name, run: runCase, note }: Case,
): Promise<readonly Figure[]> {
  forgetPeak(pid);
  const before = peakMb(pid);
  const bystander = await startBystander(`${url}/v1/kv/load/small`);
  const statuses = await runCase(url);
  const latencies = await bystander.stop();
  const most = peakMb(pid);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  const p50 = latencies[latencies.length >> 1] ?? Number.NaN;
  const counts = Map.groupBy(statuses, (status) => status);
  const told = [...counts].map(([status, all]) => `${all.length} × ${status}`);
  const reads = `${latencies.length} reads, half of them below ${p50.toFixed(1)} ms`;
  const context = { better: "lower", isContext: true } as const;
  const said = [...told, ...(note === undefined ? [] : [await note(url)]), reads].join(", ");
  return [
    {
      ...{ name: `${name}: others' p99`, value: p99, unit: "ms", target: OTHERS_MS_MAX },
      ...{ ...context, note: said },
    },
    {
      ...{ name: `${name}: memory at most`, value: most, unit: "MB", ...context },
      note: `${before.toFixed(0)} MB before`,
    },
  ];
}

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const cluster = await startCluster(3);
  const url = cluster.urls[0] ?? "";
  const pid = cluster.servers[0]?.pid ?? 0;
  const figures: Figure[] = [];
  try {
    await fetch(`${url}/v1/kv/load/small`, { method: "PUT", body: "v" });
    for (const one of cases(quick)) {
      await settle(cluster.urls);
      say(one.name);
      figures.push(...(await measure(url, pid, one)));
    }
    return figures;
  } finally {
    await cluster.stop();
  }
}

export const loadSuite: Suite = { name: "load", about: "bursts of large values", run };
