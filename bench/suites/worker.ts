/**
 * The data plane on Miniflare beside a Worker that makes the same calls and the same SQL: values of
 * 1 KiB, three replicas, 16 connections.
 */
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build, stop } from "esbuild";
import { Miniflare } from "miniflare";
import { COMPATIBILITY_DATE, startDev } from "../../src/local/dev.ts";
import { closedLoop, fillKeys, type Load } from "../lib/closed-loop.ts";
import {
  type BenchOptions,
  type Contender,
  type Figure,
  interleave,
  median,
  medianRatio,
  type Suite,
} from "../lib/figures.ts";
import { childPids, cpuMs, makeDir } from "../lib/processes.ts";

const BARE = fileURLToPath(new URL("../worker/bare-worker.ts", import.meta.url));
const PATH = "/v1/kv/bench/key%d";
const headers = { "Content-Type": "text/plain" };
const base = { keyCount: 1000, connectionCount: 16, headers };
const TARGET = 0.9;

interface Running {
  readonly url: string;
  close(): Promise<void>;
}

async function startBareWorker(dataDir: string): Promise<Running> {
  const format = "esm";
  const common = { bundle: true, write: false, target: "es2024", logLevel: "silent" } as const;
  const entryPoints = [BARE];
  const made = await build({ ...common, entryPoints, format, external: ["cloudflare:*"] });
  await stop();
  const [output] = made.outputFiles;
  if (output === undefined) throw new Error("the bare Worker came out of its bundling empty");
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    workers: [
      {
        config: {
          name: "bare",
          compatibilityDate: COMPATIBILITY_DATE,
          manifest: {
            mainModule: "bare-worker.js",
            modulesRoot: "/",
            modules: { "bare-worker.js": { type: "esm", contents: output.text } },
          },
          env: { REPLICAS: { type: "durable-object", worker: "bare", exportName: "BareReplica" } },
          exports: { BareReplica: { type: "durable-object", storage: "sqlite" } },
        },
      },
    ],
    resourcePersistencePath: dataDir,
    enableDevRegistry: false,
    cf: false,
  });
  const { origin } = await miniflare.ready;
  return { url: origin, close: () => miniflare.dispose() };
}

interface Deployment {
  readonly url: string;
  /** Of workerd, which Miniflare starts. */
  readonly pid: number;
}

/** What a start leaves running is workerd. */
async function started(start: () => Promise<Running>): Promise<Running & Deployment> {
  const before = new Set(childPids());
  const running = await start();
  const [pid = 0] = childPids().filter((child) => !before.has(child));
  return { url: running.url, close: () => running.close(), pid };
}

interface Sample {
  readonly rate: number;
  readonly cpuMicros: number;
}

async function sampleOf(load: Omit<Load, "url">, at: Deployment): Promise<Sample> {
  const before = cpuMs([at]);
  const { rate, requestCount } = await closedLoop({ ...load, url: at.url });
  return { rate, cpuMicros: ((cpuMs([at]) - before) * 1000) / requestCount };
}

type Requests = Readonly<Record<string, Omit<Load, "url">>>;

function requestsOf(seconds: number): Requests {
  const get = { ...base, method: "GET", body: "", seconds } as const;
  const put = { ...base, method: "PUT", body: "v".repeat(1024), seconds, path: PATH } as const;
  return {
    "GET r=1": { ...get, path: `${PATH}?r=1` },
    "GET r=2": { ...get, path: PATH },
    "PUT w=2": put,
  };
}

async function compare(
  deployments: Readonly<Record<"bare" | "ours", Deployment>>,
  quick: boolean,
): Promise<Figure[]> {
  const requests = requestsOf(quick ? 1 : 2);
  const put = requests["PUT w=2"];
  if (put === undefined) throw new Error("keys are put before they are read");
  for (const { url } of Object.values(deployments)) await fillKeys({ ...put, url });
  const contenders: Contender<Sample>[] = Object.entries(requests).flatMap(([name, load]) =>
    Object.entries(deployments).map(([who, at]) => ({
      name: `${name} ${who}`,
      sample: () => sampleOf(load, at),
    })),
  );
  const samples = await interleave(contenders, quick ? 3 : 9);
  return Object.keys(requests).flatMap((name) =>
    figuresOf(name, samples.get(`${name} ours`) ?? [], samples.get(`${name} bare`) ?? []),
  );
}

function figuresOf(
  name: string,
  ours: readonly Sample[],
  bare: readonly Sample[],
): readonly Figure[] {
  const rates = (samples: readonly Sample[]): readonly number[] => samples.map(({ rate }) => rate);
  const micros = (samples: readonly Sample[]): readonly number[] =>
    samples.map(({ cpuMicros }) => cpuMicros);
  const both = (of: (samples: readonly Sample[]) => readonly number[], unit: string): string =>
    `${median(of(ours)).toFixed(0)}${unit} against ${median(of(bare)).toFixed(0)}${unit}`;
  return [
    {
      name: `on Miniflare: ${name} by bare Worker`,
      value: medianRatio(rates(ours), rates(bare)),
      ...{ unit: "ratio", better: "higher", target: TARGET },
      note: both(rates, "/s"),
    },
    {
      name: `on Miniflare: ${name}: processor time by bare Worker`,
      value: median(micros(ours)) / median(micros(bare)),
      ...{ unit: "ratio", better: "lower" },
      note: `workerd alone: ${both(micros, " µs")}`,
    },
  ];
}

async function run({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const dirs = [makeDir(), makeDir()] as const;
  const log = (): void => {};
  const ours = await started(() => startDev({ port: 0, replicas: 3, dataDir: dirs[0], log }));
  const bare = await started(() => startBareWorker(dirs[1]));
  try {
    return await compare({ bare, ours }, quick);
  } finally {
    await Promise.all([ours.close(), bare.close()]);
    for (const dir of dirs) rmSync(dir, { recursive: true });
  }
}

export const workerSuite: Suite = {
  name: "worker",
  about: "GET and PUT on Miniflare beside a Worker without logic",
  run,
};
