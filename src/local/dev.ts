/**
 * `starling dev`: the Worker as it would be deployed, in Miniflare on loopback, with its Durable
 * Objects' storage kept in a folder. The Worker is bundled at every start; that takes a moment.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { MiniflareOptions } from "miniflare";
import { DEFAULT_SITE } from "../../core/site.ts";
import { refuseTakenPort } from "./http/listening.ts";
import { lockFolder } from "./log/lock.ts";
import type { Log } from "./process/logger.ts";
import { makeDataFolder } from "./process/make-folder.ts";
import { WORKERD_GUARD } from "./process/program-files.ts";
import { evenZones, threeZones } from "./process/zones.ts";
import { ownWorker } from "./worker-bundle.ts";

export interface DevOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Of the cache door, on which every request belongs to a site; 0 takes a free one. */
  readonly cachePort?: number | undefined;
  /** Makes the site `default` for all hosts. */
  readonly origin?: string | undefined;
  readonly replicas: number;
  readonly dataDir: string;
  /** Origins whose pages may read answers, with commas between them; `*` for any. */
  readonly corsOrigins?: string | undefined;
  /** For drills: replicas may be told to be down, silent, slow or lossy. */
  readonly takesFaults?: boolean;
  readonly log: Log;
}

export interface RunningDev {
  readonly url: string;
  /** Of the cache door; null: there is none. */
  readonly cacheUrl: string | null;
  close(): Promise<void>;
}

/** The same as in wrangler.toml. */
export const COMPATIBILITY_DATE = "2026-07-30";
/** The same as in package.json. */
const MINIFLARE = "miniflare@5.20261102.0-beta";
const WORKER_NAME = "starling";
const OBJECT_CLASS = "ReplicaObject";
const DOOR_CLASS = "CacheDoor";
/** Where Miniflare keeps the objects of a class, below the folder of the data. */
const OBJECTS_FOLDER = `${WORKER_NAME}-${OBJECT_CLASS}`;
/** Not a secret: a program that can reach this deployment is on this machine already. */
const LOCAL_SECRET = "starling dev, reachable on loopback only";

/**
 * The replicas are part of the first ring, and the data lies where that ring put it. Members come
 * and go by a commit; a different number at the start would only seem to do that.
 *
 * @returns the zone of each
 * @throws Error with one line when the folder was made with another number
 */
function zonesOf(dataDir: string, replicas: number): readonly string[] {
  const file = join(dataDir, "dev.json");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  // A process that was killed while it wrote this had begun nothing else yet.
  if (text === "") {
    const zones = evenZones(replicas);
    writeFileSync(file, `${JSON.stringify({ replicas, zones })}\n`);
    return zones;
  }
  const found = readBeginning(text);
  if (found?.replicas === replicas) return found.zones;
  if (found === null) {
    const mend = "put back what it said, or use another --data";
    throw new Error(`${file} does not say what this folder began with: ${mend}`);
  }
  const mend = `use --replicas ${found.replicas} and "starling commit", or another --data`;
  throw new Error(`${file}: this folder began with another number of replicas: ${mend}`);
}

interface Beginning {
  readonly replicas: number;
  readonly zones: readonly string[];
}

const ZONE_TEXT = /^[a-z][0-9]*$/;

/** What a folder says that it began with; null where it says nothing that can be understood. */
function readBeginning(text: string): Beginning | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { replicas, zones } = (value ?? {}) as { replicas?: unknown; zones?: unknown };
  if (typeof replicas !== "number" || !Number.isSafeInteger(replicas) || replicas < 1) return null;
  if (zones === undefined) return { replicas, zones: threeZones(replicas) };
  if (!Array.isArray(zones) || zones.length !== replicas) return null;
  const names = zones.map(String);
  return names.every((name) => ZONE_TEXT.test(name)) ? { replicas, zones: names } : null;
}

/**
 * Miniflare 4 kept the objects in the folder itself, Miniflare 5 looks for them under `do/` and
 * begins with empty ones where there are none.
 *
 * @throws Error with one line when both are there: one of them would stay hidden
 */
function moveObjects(dataDir: string): void {
  const old = join(dataDir, OBJECTS_FOLDER);
  if (!existsSync(old)) return;
  const moved = join(dataDir, "do", OBJECTS_FOLDER);
  if (existsSync(moved)) {
    throw new Error(`${old} and ${moved} both hold replicas: move away the one that is not wanted`);
  }
  mkdirSync(join(dataDir, "do"), { recursive: true });
  renameSync(old, moved);
}

function bindingsFor(
  { replicas, takesFaults, corsOrigins }: DevOptions,
  zones: readonly string[],
): Record<string, string> {
  const members = zones.map((zone, i) => `r${i + 1}:${zone}`);
  return {
    STARLING_NAME: "dev",
    STARLING_REPLICAS: members.join(","),
    STARLING_N: String(Math.min(3, replicas)),
    STARLING_PARTITIONS: "256",
    STARLING_ZONE: zones[0] ?? "",
    STARLING_SECRET: LOCAL_SECRET,
    STARLING_OPEN_ON_LOOPBACK: "true",
    ...(corsOrigins === undefined ? {} : { STARLING_CORS_ORIGINS: corsOrigins }),
    ...(takesFaults === true ? { STARLING_FAULTS: "true" } : {}),
  };
}

/**
 * Miniflare ends the process as soon as it is told to stop. The command that started the deployment
 * ends it in order; what Miniflare does when the process exits is left as it is.
 */
function withOwnSignals<T>(make: () => T): T {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const before = signals.map((signal) => new Set(process.listeners(signal)));
  const made = make();
  for (const [i, signal] of signals.entries()) {
    for (const listener of process.listeners(signal)) {
      if (before[i]?.has(listener) === false) process.removeListener(signal, listener);
    }
  }
  return made;
}

/** workerd may show the target of a request that fails; a key may be in it. */
const withoutUrls = (text: string): string => text.replaceAll(/\burl = \S+/g, "url = …");

/** Has Miniflare start workerd by a script that ends it with this process, however that ends. */
function guardWorkerd(): void {
  // There is no shell to rely on.
  if (process.platform === "win32") return;
  const require = createRequire(createRequire(import.meta.url).resolve("miniflare"));
  const { default: own } = require("workerd") as { readonly default: string };
  const { env } = process;
  env["STARLING_WORKERD"] ??= env["MINIFLARE_WORKERD_PATH"] ?? own;
  env["MINIFLARE_WORKERD_PATH"] = WORKERD_GUARD;
}

/**
 * The package accepts any version beside it: a range with prereleases fits only one number, and a
 * project with a later wrangler would get a second Miniflare and a second workerd.
 *
 * @throws Error with one line where its options are different
 */
export function checkMiniflare(version: string): void {
  if (version.startsWith("5.")) return;
  throw new Error(`starling dev needs miniflare 5, not ${version}: npm install ${MINIFLARE}`);
}

/** It is large, and `dev` alone needs it. @throws Error with one line that says how to get it */
async function importMiniflare(): Promise<typeof import("miniflare")> {
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve("miniflare");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    throw new Error(`starling dev needs miniflare: npm install ${MINIFLARE}`);
  }
  const manifest = readFileSync(join(dirname(main), "..", "..", "package.json"), "utf8");
  checkMiniflare((JSON.parse(manifest) as { readonly version: string }).version);
  return await import("miniflare");
}

/** The Worker of this program as Miniflare takes it: its modules, bindings and classes. */
async function workerSettings(options: DevOptions, zones: readonly string[]) {
  const { port, cachePort, dataDir } = options;
  const bindings = Object.entries(bindingsFor(options, zones)).map(
    ([name, value]) => [name, { type: "text", value }] as const,
  );
  // Listeners of workerd's own, past Miniflare, whose front codes and decodes what it passes on:
  // values go out byte for byte, and the door sees every Host as it came.
  const api = { host: "127.0.0.1", port };
  const door = { host: "127.0.0.1", port: cachePort ?? 0, entrypoint: DOOR_CLASS };
  return {
    config: {
      name: WORKER_NAME,
      compatibilityDate: COMPATIBILITY_DATE,
      manifest: { ...(await ownWorker()), modulesRoot: "/" },
      env: {
        ...Object.fromEntries(bindings),
        REPLICAS: { type: "durable-object", worker: WORKER_NAME, exportName: OBJECT_CLASS },
      },
      exports: {
        [OBJECT_CLASS]: { type: "durable-object", storage: "sqlite" },
        [DOOR_CLASS]: { type: "worker" },
      },
    },
    dev: {
      ...{ rootPath: dataDir, cacheAPI: false },
      unsafeDirectSockets: cachePort === undefined ? [api] : [api, door],
    },
  } satisfies NonNullable<MiniflareOptions["workers"]>[number];
}

async function startMiniflare(options: DevOptions, zones: readonly string[]): Promise<RunningDev> {
  const { cachePort, dataDir, log } = options;
  const { LogLevel, Miniflare, Log: MiniflareLog } = await importMiniflare();
  const settings = {
    // Of Miniflare's own front, which nobody is told of.
    host: "127.0.0.1",
    port: 0,
    workers: [await workerSettings(options, zones)],
    resourcePersistencePath: dataDir,
    // It would open a port for debuggers and write it down in the user's home.
    enableDevRegistry: false,
    // Nothing here may depend on the network: no request of a client is described by it.
    cf: false,
    log: new MiniflareLog(LogLevel.ERROR),
    handleStructuredLogs: ({ level, message }) => {
      log("workerd", { level, text: withoutUrls(message) });
    },
  } satisfies MiniflareOptions;
  guardWorkerd();
  const miniflare = withOwnSignals(() => new Miniflare(settings));
  try {
    const originOf = async (entrypoint: string): Promise<string> =>
      (await miniflare.unsafeGetDirectURL(WORKER_NAME, entrypoint)).origin;
    const url = await originOf("default");
    const cacheUrl = cachePort === undefined ? null : await originOf(DOOR_CLASS);
    return { url, cacheUrl, close: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/**
 * Every start says anew what `--origin` says; what else was set of the site stays.
 *
 * @throws Error with one line for what no site's origin can be; the deployment has ended then
 */
async function makeDefaultSite({ url, close }: RunningDev, origin: string): Promise<void> {
  const site = `${url}/v1/sites/${DEFAULT_SITE}`;
  try {
    const shown = await fetch(site);
    const known: unknown = await shown.json();
    const body = JSON.stringify({ ...(shown.ok ? (known as object) : {}), origin });
    const answer = await fetch(site, { method: "PUT", body });
    if (answer.ok) return;
    const { detail } = (await answer.json()) as { readonly detail?: string };
    throw new Error(`--origin ${origin}: ${detail ?? `status ${answer.status}`}`);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Starts the deployment; resolves when it answers. @throws Error with one line */
export async function startDev(options: DevOptions): Promise<RunningDev> {
  const { port, replicas, dataDir, cachePort, origin } = options;
  if (cachePort !== undefined && cachePort !== 0 && cachePort === port) {
    throw new Error(`--cache-port and --port are both ${port}: give the cache door another`);
  }
  makeDataFolder(dataDir);
  const lock = lockFolder(dataDir);
  try {
    const zones = zonesOf(dataDir, replicas);
    moveObjects(dataDir);
    // Miniflare would take another port in silence where this one is taken.
    await refuseTakenPort(port, "--port");
    if (cachePort !== undefined) await refuseTakenPort(cachePort, "--cache-port");
    const dev = await startMiniflare(options, zones);
    if (origin !== undefined) await makeDefaultSite(dev, origin);
    const close = (): Promise<void> => dev.close().finally(() => lock.release());
    return { ...dev, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}
