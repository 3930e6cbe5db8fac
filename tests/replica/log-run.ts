/** Runs the log engine by hand, and remembers what a reader of it may see. */
import xxhash from "xxhash-wasm";
import { wholeOf } from "../../core/pieces.ts";
import { Prng } from "../../core/prng.ts";
import { StoreCorruption } from "../../core/store.ts";
import { DiskFailure } from "../../replica/log-disk.ts";
import type { Checksum } from "../../replica/log-format.ts";
import type { LogJob } from "../../replica/log-jobs.ts";
import { LogStore } from "../../replica/log-store.ts";
import type { MemoryDisk } from "./log-memory-disk.ts";

const { h32Raw } = await xxhash();
export const checksum: Checksum = (bytes, seed) => h32Raw(wholeOf(bytes), seed);

export const openStore = (
  disk: MemoryDisk,
  { seed = 1, segmentByteCountMax = 2000 }: { seed?: number; segmentByteCountMax?: number } = {},
): LogStore => LogStore.open({ disk, checksum, prng: Prng.fromSeed(seed), segmentByteCountMax });

/** Carries out a job, as a host does. */
export function run(store: LogStore, disk: MemoryDisk, job: LogJob): void {
  let doneCount = 0;
  try {
    for (const step of job.steps) {
      disk.run(step);
      doneCount++;
    }
  } catch (error) {
    if (!(error instanceof DiskFailure)) throw error;
    store.finished(job, { doneCount, failure: error });
    return;
  }
  store.finished(job, { doneCount });
}

/** Returns whether there was anything to flush. */
export function flush(
  store: LogStore,
  disk: MemoryDisk,
  options: { retry?: boolean } = {},
): boolean {
  const job = store.nextFlush(options);
  if (job !== undefined) run(store, disk, job);
  return job !== undefined;
}

/** Does all background work. */
export function settle(store: LogStore, disk: MemoryDisk): void {
  for (;;) {
    flush(store, disk);
    const job = store.nextBackground();
    if (job !== undefined) run(store, disk, job);
    else if (!flush(store, disk)) return;
  }
}

/** A clean stop. */
export function stop(store: LogStore, disk: MemoryDisk): void {
  while (flush(store, disk));
  store.beginStop();
  const outlinesOnly = true;
  for (let job = store.nextBackground({ outlinesOnly }); job !== undefined; ) {
    run(store, disk, job);
    job = store.nextBackground({ outlinesOnly });
  }
  const job = store.nextStop();
  if (job !== undefined) run(store, disk, job);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Carries out a flush in which one stretch never reaches the disk, although later bytes do: power
 * fails before the sync.
 */
export function flushTorn(store: LogStore, disk: MemoryDisk, hole: string): void {
  for (const step of store.nextFlush()?.steps ?? []) disk.run(step);
  const file =
    disk
      .list()
      .filter((name) => name.endsWith(".wal"))
      .sort()
      .at(-1) ?? "";
  const bytes = disk.bytesOf(file).slice();
  const at = new TextDecoder("latin1").decode(bytes).indexOf(hole);
  disk.put(file, bytes.fill(0, at, at + hole.length));
}

export function write(store: LogStore, key: string, text: string): void {
  const partition = key.length % 4;
  store.writeEntry(key, {
    bytes: encoder.encode(text),
    partition,
    digest: text.length + 1,
    dueAt: 0,
  });
}

/** The text of an entry; "corrupt" when the store says so. */
export function readText(store: LogStore, key: string): string | undefined {
  try {
    const bytes = store.readEntry(key);
    return bytes === undefined ? undefined : decoder.decode(wholeOf(bytes));
  } catch (error) {
    if (error instanceof StoreCorruption) return "corrupt";
    throw error;
  }
}

/** Every state of every key with the number of the write that made it so. */
export class History {
  readonly #states = new Map<string, { sequence: number; text: string | undefined }[]>();

  put(store: LogStore, key: string, text: string): void {
    write(store, key, text);
    this.#add(key, store.writtenSequence, text);
  }

  drop(store: LogStore, key: string): void {
    const before = store.writtenSequence;
    store.dropEntry(key);
    if (store.writtenSequence > before) this.#add(key, store.writtenSequence, undefined);
  }

  keys(): string[] {
    return [...this.#states.keys()];
  }

  newest(key: string): string | undefined {
    return this.#states.get(key)?.at(-1)?.text;
  }

  /** What a restart may show when everything up to a number was durable: that state or a later. */
  allowed(key: string, durableSequence: number): readonly (string | undefined)[] {
    const states = this.#states.get(key) ?? [];
    const base = states.findLast(({ sequence }) => sequence <= durableSequence);
    const later = states.filter(({ sequence }) => sequence > durableSequence);
    return [base?.text, ...later.map(({ text }) => text)];
  }

  /** Every value that the key ever had. */
  ever(key: string): readonly (string | undefined)[] {
    return [undefined, ...(this.#states.get(key) ?? []).map(({ text }) => text)];
  }

  /** After a restart: what it shows is the past now. */
  rebase(store: LogStore): void {
    for (const key of this.keys()) {
      this.#states.set(key, [{ sequence: 0, text: readText(store, key) }]);
    }
  }

  #add(key: string, sequence: number, text: string | undefined): void {
    const states = this.#states.get(key) ?? [];
    states.push({ sequence, text });
    this.#states.set(key, states);
  }
}
