/**
 * The log engine on real files: it runs the engine's jobs, wakes those that wait for a flush, and
 * gives the background its turns. It decides nothing about the log itself.
 *
 * Group commit: the first flush that is asked for waits for the end of the event loop's turn, so
 * that all requests of that turn share it; those that come while the disk is busy share the next.
 */
import { accessSync, constants } from "node:fs";
import { assert } from "../../../core/assert.ts";
import { Prng } from "../../../core/prng.ts";
import {
  DiskFailure,
  type DiskStep,
  type LogDisk,
  LogFolderError,
} from "../../../replica/log-disk.ts";
import type { LogJob, LogMetrics } from "../../../replica/log-jobs.ts";
import { LogStore } from "../../../replica/log-store.ts";
import { makeFolder } from "../process/make-folder.ts";
import { checksumBy, type Hasher } from "./checksum.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { type DiskMetrics, NodeDisk, type WriteStep } from "./node-disk.ts";

export interface FileLogOptions {
  /** The data folder; made when it is not there. */
  readonly dir: string;
  /** xxhash-wasm, loaded by the host. */
  readonly hasher: Hasher;
  /** Draws salts; by default seeded from the system's randomness. */
  readonly prng?: Prng;
  /** A segment is closed before it would grow longer than this, in bytes (default 64 MiB). */
  readonly segmentByteCountMax?: number;
  /** Rest between two stretches of background work, in ms (default 5); 0 for none. */
  readonly backgroundPauseMs?: number;
  /**
   * How much of what was read or written lately stays in memory, in bytes (default 32 MiB); beside
   * that, the last long record, if it is no longer.
   */
  readonly recentBytesMax?: number;
  /** How often a full disk is tried again, in ms (default 1000). */
  readonly retryMs?: number;
  /** How many of its files it may have open at a time (default 512). */
  readonly openFilesMax?: number;
  /** Where the files are kept; by default the folder itself. */
  readonly disk?: HostDisk;
  /** Told of each failure of the disk, once, in one line. */
  readonly onFailure?: (failure: DiskFailure) => void;
}

/** A disk whose steps can also be carried out without stopping the process. */
export interface HostDisk extends LogDisk {
  readonly metrics: Readonly<DiskMetrics>;
  /** @throws DiskFailure */
  runLater(step: DiskStep): Promise<void>;
  /**
   * A write and the sync of its file, which holds nothing else that is not durable.
   * @throws DiskFailure
   */
  writeDurably(step: WriteStep): Promise<void>;
  close(): Promise<void>;
}

/** All who wait for one flush share a promise. */
type Waiters = PromiseWithResolvers<void>;

/** How often the background looks whether there is anything to do. */
const IDLE_MS = 1000;
const PAUSE_MS = 5;
const RECENT_BYTES_MAX = 32 * 1024 * 1024;

/** @throws LogFolderError that names the folder and the mend */
function makeOwnFolder(dir: string): void {
  try {
    makeFolder(dir, 0o700);
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    const mend = "give --data a folder that this user may write to";
    throw new LogFolderError(`${dir}: the data folder cannot be written to (${code}): ${mend}`);
  }
}

/** Nothing has begun yet: what could not be read this time may be readable the next time. */
const cannotOpen = (dir: string, { message }: DiskFailure): LogFolderError =>
  new LogFolderError(
    `${dir}: the log cannot be opened (${message}): start again, and where that does not help ` +
      "start with an empty folder on another disk, which the other members fill",
  );

export class FileLog {
  readonly store: LogStore;
  readonly #disk: HostDisk;
  readonly #lock: FolderLock;
  readonly #options: FileLogOptions;
  /** Those that wait for the flush that runs, and those for the one after it. */
  #current: Waiters | undefined;
  #next: Waiters | undefined;
  #isFlushArmed = false;
  #flushing: Promise<void> | undefined;
  #flushingSequence = 0;
  #working: Promise<void> | undefined;
  #backgroundTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #isWorking = false;
  #segmentsCount = 0;
  /** The last number that the background saw, and when it first saw it, by performance.now(). */
  #lastWritten = { sequence: -1, seenAt: 0 };
  #isClosing = false;
  #failure: DiskFailure | undefined;

  /** @throws LogFolderError when the folder is in use, or not fit to be used, or not read */
  static open(options: FileLogOptions): FileLog {
    // Values lie there as they came: other users of the machine have no business with them.
    makeOwnFolder(options.dir);
    const lock = lockFolder(options.dir);
    const { openFilesMax } = options;
    const disk =
      options.disk ?? new NodeDisk(options.dir, openFilesMax === undefined ? {} : { openFilesMax });
    try {
      const { segmentByteCountMax, recentBytesMax = RECENT_BYTES_MAX } = options;
      const store = LogStore.open({
        disk,
        checksum: checksumBy(options.hasher),
        prng: options.prng ?? systemPrng(),
        recentBytesMax,
        ...(segmentByteCountMax === undefined ? {} : { segmentByteCountMax }),
      });
      return new FileLog({ store, disk, lock, options });
    } catch (error) {
      void disk.close();
      lock.release();
      throw error instanceof DiskFailure ? cannotOpen(options.dir, error) : error;
    }
  }

  private constructor(parts: {
    store: LogStore;
    disk: HostDisk;
    lock: FolderLock;
    options: FileLogOptions;
  }) {
    this.store = parts.store;
    this.#disk = parts.disk;
    this.#lock = parts.lock;
    this.#options = parts.options;
    this.#armBackground(IDLE_MS);
  }

  /** Names the folder for as long as it is this one; a copy of it has another name. */
  get place(): string {
    return this.#lock.place;
  }

  /** Resolves when everything written so far is durable; rejects when that failed. */
  flush(): Promise<void> {
    const sequence = this.store.writtenSequence;
    if (this.store.durableSequence >= sequence) return Promise.resolve();
    if (this.store.health() !== "writable") return Promise.reject(this.#lastFailure());
    if (this.#flushing !== undefined && sequence <= this.#flushingSequence) {
      this.#current ??= Promise.withResolvers<void>();
      return this.#current.promise;
    }
    this.#next ??= Promise.withResolvers<void>();
    this.#armFlush();
    return this.#next.promise;
  }

  /** Writes what is left, marks the log as cleanly stopped and lets go of the folder. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    clearTimeout(this.#backgroundTimer);
    clearTimeout(this.#retryTimer);
    try {
      await this.#working;
      await this.flush();
      await this.#flushing;
      this.store.beginStop();
      await this.#runBackgroundToEnd();
      const stop = this.store.nextStop();
      if (stop !== undefined) await this.#run(stop);
    } catch (error) {
      // Reported when it happened; the folder then shows an unclean stop, as it should.
      if (!(error instanceof DiskFailure)) throw error;
    } finally {
      await this.#disk.close();
      this.#lock.release();
    }
  }

  metrics(): LogMetrics & Readonly<DiskMetrics> {
    return { ...this.store.metrics(), ...this.#disk.metrics };
  }

  /** Does all background work that there is, now. */
  async settle(): Promise<void> {
    await this.#working;
    for (;;) {
      await this.flush();
      await this.#flushing;
      const job = this.store.nextBackground();
      if (job !== undefined) await this.#run(job);
      else if (!(await this.#flushOnce(false))) return;
    }
  }

  #armFlush(): void {
    if (this.#isFlushArmed || this.#flushing !== undefined) return;
    this.#isFlushArmed = true;
    setImmediate(() => {
      this.#isFlushArmed = false;
      void this.#flushOnce(false);
    });
  }

  /** Runs one flush, if there is one to run; resolves to whether there was. Never rejects. */
  async #flushOnce(retry: boolean): Promise<boolean> {
    if (this.#flushing !== undefined) return false;
    const job = this.store.nextFlush({ retry });
    if (job === undefined) return false;
    this.#flushingSequence = this.store.writtenSequence;
    this.#current = this.#next;
    this.#next = undefined;
    this.#flushing = this.#run(job);
    await this.#flushing;
    this.#flushing = undefined;
    this.#wake();
    // A segment was closed: there may be something to do before the idle background looks again.
    const { segmentsCount } = this.store;
    if (segmentsCount !== this.#segmentsCount) this.#armBackground(this.#pauseMs);
    this.#segmentsCount = segmentsCount;
    return true;
  }

  #wake(): void {
    const done = this.#current;
    this.#current = undefined;
    if (this.store.health() === "writable") {
      done?.resolve();
      if (this.#next !== undefined) this.#armFlush();
      return;
    }
    done?.reject(this.#lastFailure());
    this.#next?.reject(this.#lastFailure());
    this.#next = undefined;
  }

  /** Carries out a job and tells the engine how it ended. Never rejects for the disk's sake. */
  async #run(job: LogJob): Promise<void> {
    let doneCount = 0;
    try {
      for (let step = job.steps[0]; step !== undefined; step = job.steps[doneCount]) {
        if (step.do === "write" && isDurableWrite(job, doneCount)) {
          await this.#disk.writeDurably(step);
          doneCount += 2;
        } else {
          await this.#disk.runLater(step);
          doneCount++;
        }
      }
      this.store.finished(job, { doneCount });
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error;
      this.#failure = error;
      this.store.finished(job, { doneCount, failure: error });
      if (error.kind === "full") this.#armRetry();
      this.#options.onFailure?.(error);
    }
  }

  get #pauseMs(): number {
    return this.#options.backgroundPauseMs ?? PAUSE_MS;
  }

  #lastFailure(): DiskFailure {
    assert(this.#failure !== undefined, "a log that takes no writes has had a failure");
    return this.#failure;
  }

  #armRetry(): void {
    if (this.#isClosing) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.store.retryBackground();
      void this.#flushOnce(true);
    }, this.#options.retryMs ?? 1000);
    this.#retryTimer.unref();
  }

  #armBackground(afterMs: number): void {
    if (this.#isClosing || this.#isWorking) return;
    clearTimeout(this.#backgroundTimer);
    this.#backgroundTimer = setTimeout(() => {
      this.#working = this.#work();
    }, afterMs);
    this.#backgroundTimer.unref();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    const job = this.store.nextBackground({ leavesDying: !this.#isQuiet() });
    if (job !== undefined) await this.#run(job);
    // A compaction that is done copying waits for a flush, and there may be none to come.
    else await this.#flushOnce(false);
    this.#isWorking = false;
    this.#armBackground(job === undefined ? IDLE_MS : this.#pauseMs);
  }

  /** Whether nothing was written for a while. */
  #isQuiet(): boolean {
    const now = performance.now();
    if (this.store.writtenSequence !== this.#lastWritten.sequence) {
      this.#lastWritten = { sequence: this.store.writtenSequence, seenAt: now };
    }
    return now - this.#lastWritten.seenAt >= IDLE_MS;
  }

  async #runBackgroundToEnd(): Promise<void> {
    for (;;) {
      const job = this.store.nextBackground({ outlinesOnly: true });
      if (job === undefined) return;
      await this.#run(job);
    }
  }
}

/**
 * Whether a write and the step behind it can be one: that step syncs its file, and there is nothing
 * else to be synced in it. A flush leaves nothing unsynced behind; the background does, between two
 * of its jobs.
 */
function isDurableWrite({ lane, steps }: LogJob, at: number): boolean {
  const [write, sync] = steps.slice(at, at + 2);
  if (lane !== "flush" || write?.do !== "write" || sync?.do !== "sync") return false;
  const touches = (step: DiskStep): boolean => "file" in step && step.file === write.file;
  const before = steps.slice(0, at).findLast(touches);
  return sync.file === write.file && (before === undefined || before.do === "sync");
}

export async function openLog(options: FileLogOptions): Promise<FileLog> {
  return FileLog.open(options);
}

/** Seeded from the randomness of the system. */
export function systemPrng(): Prng {
  const [a = 0, b = 0, c = 0, d = 0] = crypto.getRandomValues(new Uint32Array(4));
  return new Prng([a, b, c, d]);
}
