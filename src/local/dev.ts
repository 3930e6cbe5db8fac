/**
 * `starling dev`: the Worker as it would be deployed, in Miniflare on loopback, with its Durable
 * Objects' storage kept in a folder. The Worker is bundled at every start; that takes a moment.
 */
import { createServer } from "node:net";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { LogLevel, Miniflare, Log as MiniflareLog } from "miniflare";
import type { Log } from "./logger.ts";

export interface DevOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly replicas: number;
  readonly dataDir: string;
  readonly log: Log;
}

export interface RunningDev {
  readonly url: string;
  close(): Promise<void>;
}

const ENTRY = fileURLToPath(new URL("../../worker/index.ts", import.meta.url));
const COMPATIBILITY_DATE = "2026-07-30";
const ZONES = ["a", "b", "c"];
/** Not a secret: whoever can reach this deployment is on this machine already. */
const LOCAL_SECRET = "starling dev, reachable on loopback only";

interface Module {
  readonly type: "ESModule" | "CompiledWasm";
  readonly path: string;
  readonly contents: Uint8Array<ArrayBuffer>;
}

async function bundle(): Promise<[Module, ...Module[]]> {
  const { outputFiles } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    write: false,
    outdir: "out",
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    logLevel: "silent",
  });
  const modules = outputFiles.map(({ path, contents }): Module => {
    const isWasm = path.endsWith(".wasm");
    const type = isWasm ? "CompiledWasm" : "ESModule";
    return { type, path: basename(path), contents: new Uint8Array(contents) };
  });
  const [entry, ...others] = modules.sort((a) => (a.type === "ESModule" ? -1 : 1));
  if (entry === undefined) throw new Error("the Worker came out of its bundling empty");
  return [entry, ...others];
}

/** Miniflare would take another port in silence where this one is taken. */
function refuseTakenPort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "is taken" : `cannot be used (${error.code})`;
      reject(new Error(`port ${port} ${reason}; choose another with --port`));
    });
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}

/** Starts the deployment; resolves when it answers. @throws Error with one line */
export async function startDev(options: DevOptions): Promise<RunningDev> {
  await refuseTakenPort(options.port);
  const replicas = Array.from(
    { length: options.replicas },
    (_, i) => `r${i + 1}:${ZONES[i % ZONES.length]}`,
  );
  const miniflare = new Miniflare({
    name: "starling",
    host: "127.0.0.1",
    port: options.port,
    modules: await bundle(),
    compatibilityDate: COMPATIBILITY_DATE,
    durableObjects: { REPLICAS: { className: "ReplicaObject", useSQLite: true } },
    durableObjectsPersist: options.dataDir,
    bindings: {
      STARLING_NAME: "dev",
      STARLING_REPLICAS: replicas.join(","),
      STARLING_N: String(Math.min(3, options.replicas)),
      STARLING_PARTITIONS: "256",
      STARLING_SECRET: LOCAL_SECRET,
      STARLING_OPEN_ON_LOOPBACK: "true",
    },
    log: new MiniflareLog(LogLevel.ERROR),
    handleRuntimeStdio: (stdout, stderr) => {
      stdout.resume();
      stderr.on("data", (text: Buffer) => options.log("workerd", { text: text.toString() }));
    },
  });
  try {
    const url = await miniflare.ready;
    return { url: url.origin, close: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}
