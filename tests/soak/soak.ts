/**
 * A cache's day in minutes: three real processes under a mixed load of which a fifth has a short TTL.
 * What they take up (memory, disk, keys) must stop growing once the first values have ended.
 */
import { readdirSync, statSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Prng } from "../../core/prng.ts";
import { parseExposition } from "../support/exposition.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

export interface SoakOptions {
  readonly seconds: number;
  /** Operations a second, of all clients together. */
  readonly rate: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

/** Of all nodes together, at one moment. */
export interface Sample {
  /** Since the start, in ms. */
  readonly atMs: number;
  readonly rss: number;
  readonly disk: number;
  readonly keys: number;
  readonly deadKeys: number;
}

export interface SoakReport {
  readonly samples: readonly Sample[];
  readonly operationCount: number;
  /** By what they were answered, or how their connection broke. */
  readonly failures: ReadonlyMap<string, number>;
}

const TTL_S = 5;
const GRACE_MS = 10_000;
const SAMPLE_MS = 5000;
/** Requests under way at once: beyond that the load waits, and the report says how much there was. */
const OPEN_MAX = 512;
const VALUE = Buffer.alloc(1024, "v");
const LASTING_KEYS = 20_000;
const TICK_MS = 10;

interface Planned {
  readonly method: "GET" | "PUT";
  readonly path: string;
}

/**
 * Half are reads, three of ten write one of the keys that last, one of ten a new key with a TTL, and
 * one of ten gives one of the keys that last a TTL: what is left of that key covers something.
 */
function planned(prng: Prng, count: number): Planned {
  const lasting = `/v1/kv/soak/lasting-${prng.below(LASTING_KEYS)}`;
  const kind = prng.below(10);
  if (kind < 5) return { method: "GET", path: lasting };
  if (kind < 8) return { method: "PUT", path: lasting };
  if (kind < 9) return { method: "PUT", path: `/v1/kv/soak/once-${count}?ttl=${TTL_S}` };
  return { method: "PUT", path: `${lasting}?ttl=${TTL_S}` };
}

class Load {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: OPEN_MAX });
  readonly #prng: Prng;
  readonly #urls: readonly string[];
  openCount = 0;
  operationCount = 0;
  readonly failures = new Map<string, number>();

  constructor(seed: number, urls: readonly string[]) {
    this.#prng = Prng.fromSeed(seed);
    this.#urls = urls;
  }

  begin(): void {
    const url = this.#urls[this.operationCount % this.#urls.length] ?? "";
    const { method, path } = planned(this.#prng, this.operationCount++);
    this.openCount++;
    let isOver = false;
    const over = (failure: string | null): void => {
      if (isOver) return;
      isOver = true;
      this.openCount--;
      if (failure === null) return;
      const kind = `${method} ${failure}`;
      this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
    };
    const asked = request(`${url}${path}`, { method, agent: this.#agent }, (response) => {
      const { statusCode = 500 } = response;
      const failure = statusCode < 500 ? null : String(statusCode);
      response.on("close", () => over(failure)).resume();
    });
    asked.on("error", (error: NodeJS.ErrnoException) => {
      over(`${error.code ?? error.message}${asked.reusedSocket ? " on a kept connection" : ""}`);
    });
    asked.end(method === "PUT" ? VALUE : undefined);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function folderBytes(dir: string): number {
  let sum = 0;
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // Compaction removes files while they are counted.
    sum += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

async function sampleOf(cluster: ProcessCluster, atMs: number): Promise<Sample> {
  const sum = { rss: 0, disk: 0, keys: 0, deadKeys: 0 };
  for (const id of cluster.ids) {
    const families = parseExposition(await (await fetch(`${cluster.urlOf(id)}/metrics`)).text());
    const gaugeOf = (name: string): number => families.get(name)?.samples[0]?.value ?? 0;
    sum.rss += gaugeOf("process_resident_memory_bytes");
    sum.keys += gaugeOf("starling_keys");
    sum.deadKeys += gaugeOf("starling_dead_keys");
    sum.disk += folderBytes(join(cluster.dir, id));
  }
  return { atMs, ...sum };
}

/** Sends what is due by now, in small bursts. */
async function drive(load: Load, { rate, seconds }: SoakOptions): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const passedMs = performance.now() - startedAt;
    if (passedMs >= 1000 * seconds) return;
    const due = Math.floor((passedMs * rate) / 1000);
    while (load.operationCount < due && load.openCount < OPEN_MAX) load.begin();
    await pause(TICK_MS);
  }
}

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const timing = { tombstoneGraceMs: GRACE_MS, expiryGraceMs: GRACE_MS };
  const cluster = await startProcesses(3, { timing });
  const load = new Load(
    options.seed,
    cluster.ids.map((id) => cluster.urlOf(id)),
  );
  const samples: Sample[] = [];
  try {
    const startedAt = performance.now();
    const driving = drive(load, options);
    for (let atMs = 0; atMs < 1000 * options.seconds; atMs += SAMPLE_MS) {
      await pause(Math.max(0, startedAt + atMs - performance.now()));
      const sample = await sampleOf(cluster, performance.now() - startedAt);
      samples.push(sample);
      options.say(lineOf(sample, load.operationCount));
    }
    await driving;
  } finally {
    load.close();
    await cluster.close();
  }
  const { operationCount, failures } = load;
  return { samples, operationCount, failures };
}

const megabytes = (bytes: number): string => (bytes / 1_000_000).toFixed(0).padStart(5);

function lineOf({ atMs, rss, disk, keys, deadKeys }: Sample, operationCount: number): string {
  const time = (atMs / 1000).toFixed(0).padStart(4);
  const sizes = `rss ${megabytes(rss)} MB, disk ${megabytes(disk)} MB`;
  return `${time} s  ${operationCount} operations, ${sizes}, ${keys} keys, ${deadKeys} dead`;
}
