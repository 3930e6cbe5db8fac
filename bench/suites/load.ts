/**
 * Bursts of large values at one node of three: what they are answered, how much memory the node
 * takes, and how long another client waits for a small read meanwhile.
 */
import { startBystander } from "../lib/bystander.ts";
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { forgetPeak, peakMb } from "../lib/memory.ts";
import { startCluster } from "../lib/processes.ts";

const MIB = 1024 * 1024;
const SIBLINGS = 26;
const VALUE = new Uint8Array(MIB).fill(118);

interface Case {
  readonly name: string;
  readonly count: number;
  readonly send: (url: string, i: number) => Promise<Response>;
}

const KEY = "/v1/kv/load/siblings";
const accepting = { headers: { Accept: "application/json" } };

const cases = (quick: boolean): readonly Case[] => [
  {
    name: "95 PUTs of 1 MiB at once",
    count: 95,
    send: (url, i) => fetch(`${url}/v1/kv/load/k${i}`, { method: "PUT", body: VALUE }),
  },
  {
    name: `100 GETs of ${SIBLINGS} siblings of 1 MiB at once`,
    count: quick ? 30 : 100,
    send: (url) => fetch(url + KEY),
  },
  {
    name: `10 GETs of all ${SIBLINGS} as JSON at once`,
    count: 10,
    send: (url) => fetch(`${url}${KEY}?siblings=all`, accepting),
  },
];

async function measure(
  url: string,
  pid: number,
  { name, count, send }: Case,
): Promise<readonly Figure[]> {
  forgetPeak(pid);
  const before = peakMb(pid);
  const bystander = startBystander(`${url}/v1/kv/load/small`);
  const statuses = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const answer = await send(url, i);
      await answer.arrayBuffer();
      return answer.status;
    }),
  );
  const latencies = await bystander.stop();
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  const counts = Map.groupBy(statuses, (status) => status);
  const told = [...counts].map(([status, all]) => `${all.length} × ${status}`).join(", ");
  const context = { better: "lower", isContext: true } as const;
  return [
    { name: `${name}: others' p99`, value: p99, unit: "ms", target: 100, ...context, note: told },
    {
      ...{ name: `${name}: memory at most`, value: peakMb(pid), unit: "MB", ...context },
      note: `${before.toFixed(0)} MB before`,
    },
  ];
}

/** Each by a client that had read nothing. */
async function writeSiblings(url: string): Promise<void> {
  const nothing = (await fetch(url + KEY)).headers.get("Starling-Context") ?? "";
  for (let i = 0; i < SIBLINGS; i++) {
    const headers = { "Starling-Context": nothing };
    await fetch(`${url}${KEY}?w=all`, { method: "PUT", body: VALUE, headers });
  }
}

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const cluster = await startCluster(3);
  const url = cluster.urls[0] ?? "";
  const pid = cluster.servers[0]?.pid ?? 0;
  const figures: Figure[] = [];
  try {
    await fetch(`${url}/v1/kv/load/small`, { method: "PUT", body: "v" });
    const [puts, ...gets] = cases(quick);
    if (puts !== undefined) figures.push(...(await measure(url, pid, puts)));
    await writeSiblings(url);
    for (const one of gets) {
      say(one.name);
      figures.push(...(await measure(url, pid, one)));
    }
    return figures;
  } finally {
    await cluster.stop();
  }
}

export const loadSuite: Suite = { name: "load", about: "bursts of large values", run };
