/**
 * The log by itself:
 *
 * - appends a second by 64 writers of 1 KiB, next to a bare loop of writev and fdatasync that
 *   groups the same way, in short interleaved rounds, because a disk is never twice the same;
 * - bytes of memory a key, beyond the key, for many keys;
 * - the time of a restart with outlines (the hint files) and without, the page cache warm, or
 *   dropped where the system allows it.
 */
import { execFileSync } from "node:child_process";
import { closeSync, fdatasync, mkdtempSync, openSync, readdirSync, rmSync, writev } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import xxhash from "xxhash-wasm";
import { openLog } from "../../src/local/log/file-log.ts";
import { median } from "./figures.ts";

const hasher = await xxhash();
const WRITERS_COUNT = 64;
const VALUE = new Uint8Array(1024).fill(7);
const ROUND_MS = 200;

const makeDir = (): string => mkdtempSync(join(tmpdir(), "starling-bench-"));

async function writeFor(write: (number: number) => Promise<void>): Promise<number> {
  const start = performance.now();
  let count = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() - start < ROUND_MS) await write(count++);
  };
  await Promise.all(Array.from({ length: WRITERS_COUNT }, writer));
  return count / ((performance.now() - start) / 1000);
}

/** The least that group commit can cost: no index, no checksum, one write and one sync a group. */
class BareLog {
  readonly #fd: number;
  #queue: Uint8Array[] = [];
  #next = Promise.withResolvers<void>();
  #isBusy = false;

  constructor(path: string) {
    this.#fd = openSync(path, "a");
  }

  append(bytes: Uint8Array): Promise<void> {
    this.#queue.push(bytes);
    if (!this.#isBusy) {
      this.#isBusy = true;
      setImmediate(() => void this.#flush());
    }
    return this.#next.promise;
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      const chunks = this.#queue;
      const done = this.#next;
      this.#queue = [];
      this.#next = Promise.withResolvers<void>();
      await promisify(writev)(this.#fd, chunks);
      await promisify(fdatasync)(this.#fd);
      done.resolve();
      await new Promise(setImmediate);
    }
    this.#isBusy = false;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Our rate by the bare log's in each round, and the medians of both, in records a second. */
export async function compareAppends(
  roundCount: number,
): Promise<{ ratio: number; log: number; bare: number }> {
  const dir = makeDir();
  const log = await openLog({ dir: join(dir, "log"), hasher });
  const bare = new BareLog(join(dir, "bare"));
  const rates = { bare: [] as number[], log: [] as number[], ratio: [] as number[] };
  for (let round = 0; round <= roundCount; round++) {
    const bareRate = await writeFor(() => bare.append(VALUE));
    const logRate = await writeFor((number) => {
      const key = `bench\0key${number % 10_000}`;
      log.store.writeEntry(key, { bytes: VALUE, partition: number % 256, digest: 1, dueAt: 0 });
      return log.flush();
    });
    if (round === 0) continue;
    rates.bare.push(bareRate);
    rates.log.push(logRate);
    rates.ratio.push(logRate / bareRate);
  }
  bare.close();
  await log.close();
  rmSync(dir, { recursive: true });
  return { ratio: median(rates.ratio), log: median(rates.log), bare: median(rates.bare) };
}

const keyOf = (i: number): string => `bench\0user:${String(i).padStart(12, "0")}`;

/** Buffers that a collection finds dead are given back behind it, by another thread. */
const SWEEP_MS = 200;

async function usedBytes(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, SWEEP_MS));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function fill(dir: string, keysCount: number): Promise<void> {
  const log = await openLog({ dir, hasher });
  const bytes = new Uint8Array(100).fill(1);
  for (let i = 0; i < keysCount; i++) {
    log.store.writeEntry(keyOf(i), { bytes, partition: i % 256, digest: i + 1, dueAt: 0 });
    if (i % 10_000 === 0) await log.flush();
  }
  await log.close();
}

/** A key of 24 bytes is a string of 40 in V8, header and padding included. */
const KEY_STRING_BYTES = 40;

export interface Restart {
  readonly seconds: number;
  readonly keyCount: number;
  readonly bytesPerKey: number;
  readonly rssMiB: number;
}

export interface KindOfRestart {
  readonly hasOutlines: boolean;
  readonly isCacheDropped: boolean;
}

/** Opens the log in this process, in which nothing else has happened, and prints what that took. */
async function measureRestart(dir: string): Promise<void> {
  const before = await usedBytes();
  const start = performance.now();
  const log = await openLog({ dir, hasher });
  const seconds = (performance.now() - start) / 1000;
  const rssMiB = process.memoryUsage().rss / 2 ** 20;
  const { keyCount } = log.store.stats();
  const bytesPerKey = ((await usedBytes()) - before) / keyCount - KEY_STRING_BYTES;
  await log.close();
  const restart: Restart = { seconds, keyCount, bytesPerKey, rssMiB };
  console.log(JSON.stringify(restart));
}

function removeOutlines(dir: string): void {
  for (const file of readdirSync(dir)) if (file.endsWith(".outline")) rmSync(join(dir, file));
}

/** Forgets the page cache, so that a start reads the disk. Needs to be root. */
function dropCaches(): boolean {
  try {
    execFileSync("sh", ["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** null where the page cache cannot be dropped. */
function restart(dir: string, { hasOutlines, isCacheDropped }: KindOfRestart): Restart | null {
  // A clean stop makes them again.
  if (!hasOutlines) removeOutlines(dir);
  if (isCacheDropped && !dropCaches()) return null;
  const args = ["--expose-gc", import.meta.filename, dir];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Restart;
}

/** Of a log of so many records of 100 bytes. */
export async function restarts(
  keyCount: number,
): Promise<readonly (KindOfRestart & { readonly restart: Restart })[]> {
  const dir = makeDir();
  await fill(dir, keyCount);
  const measured: (KindOfRestart & { readonly restart: Restart })[] = [];
  for (const hasOutlines of [true, false]) {
    for (const isCacheDropped of [false, true]) {
      const kind = { hasOutlines, isCacheDropped };
      const found = restart(dir, kind);
      if (found !== null && found.keyCount !== keyCount) throw new Error("keys are missing");
      if (found !== null) measured.push({ ...kind, restart: found });
    }
  }
  rmSync(dir, { recursive: true });
  return measured;
}

if (import.meta.main) await measureRestart(process.argv[2] ?? "");
