/**
 * A folder of the file system as the log's disk. Questions are answered at once, by positioned
 * reads, mostly from the page cache; the changes of a job run one after another in Node's thread
 * pool, so that the process goes on while the disk writes.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  writev,
} from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DiskFailure, type DiskStep, type LogDisk } from "../../../replica/log-disk.ts";
import { SEGMENT_HEADER_BYTES, segmentOfFile } from "../../../replica/log-format.ts";
import { Histogram } from "../../metrics/exposition.ts";
import { isOutOfDescriptors, SpareDescriptors } from "../process/descriptors.ts";
import { RoomAhead } from "./room-ahead.ts";

const OPEN_FILES_MAX = 512;

export interface NodeDiskOptions {
  /** "read" for a folder that must not be changed. */
  readonly access?: "write" | "read";
  /** Open files are kept for reading; beyond so many the one that was opened first is closed. */
  readonly openFilesMax?: number;
  /** Descriptors that are kept for when the process has no others; see descriptors.ts. */
  readonly spareCount?: number;
}

export type WriteStep = Extract<DiskStep, { do: "write" }>;

/** Elsewhere O_DSYNC is not known, or promises less than fdatasync does (macOS). */
const HAS_DSYNC = process.platform === "linux";

/** Errors of writes that go away when there is room again. */
const NO_ROOM = new Set(["ENOSPC", "EDQUOT"]);

function failureOf(error: unknown, step: DiskStep["do"] | "read"): DiskFailure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  // No descriptor was to be had: nothing has been done yet, and nothing was synced.
  if (isOutOfDescriptors(error)) return new DiskFailure("full", `${step} failed: ${code}`);
  const isSync = step === "sync" || step === "sync-folder";
  // When a sync reports it, even "no space" comes too late: what was not written is forgotten
  // already.
  const kind = NO_ROOM.has(code) && !isSync ? "full" : "failed";
  return new DiskFailure(kind, `${step} failed: ${code}`);
}

const failAs =
  (step: DiskStep["do"]) =>
  (error: unknown): never => {
    throw failureOf(error, step);
  };

export interface DiskMetrics {
  fsyncCount: number;
  /** How long each took. */
  readonly fsyncs: Histogram;
  writtenByteCount: number;
}

export class NodeDisk implements LogDisk {
  readonly metrics: DiskMetrics = {
    fsyncCount: 0,
    fsyncs: new Histogram(),
    writtenByteCount: 0,
  };
  readonly #dir: string;
  readonly #flags: string;
  readonly #openFilesMax: number;
  readonly #spares: SpareDescriptors;
  readonly #files = new Map<string, number>();
  /** The file that was last written durably, opened a second time for that. */
  #durable: { readonly file: string; readonly fd: number } | null = null;
  /** Of the segment that was last written durably. */
  #room: RoomAhead | null = null;
  /** Files that an asynchronous step is using: they must not be closed meanwhile. */
  readonly #busy = new Set<string>();

  constructor(dir: string, options: NodeDiskOptions = {}) {
    this.#dir = dir;
    this.#flags = options.access === "read" ? "r" : "r+";
    this.#openFilesMax = options.openFilesMax ?? OPEN_FILES_MAX;
    this.#spares = new SpareDescriptors(options.spareCount);
  }

  list(): readonly string[] {
    return readdirSync(this.#dir);
  }

  byteCount(file: string): number | undefined {
    return statSync(join(this.#dir, file), { throwIfNoEntry: false })?.size;
  }

  read(file: string, offset: number, into: Uint8Array): number {
    try {
      const fd = this.#open(file);
      let count = 0;
      while (count < into.length) {
        const read = readSync(fd, into, count, into.length - count, offset + count);
        if (read === 0) break;
        count += read;
      }
      return count;
    } catch (error) {
      throw failureOf(error, "read");
    }
  }

  run(step: DiskStep): void {
    try {
      if (step.do === "write") this.#writeNow(step);
      else if (step.do === "sync") fdatasyncSync(this.#open(step.file));
      else if (step.do === "sync-folder") this.#withFolder(fsyncSync);
      else this.#runQuick(step);
    } catch (error) {
      throw error instanceof DiskFailure ? error : failureOf(error, step.do);
    }
  }

  /** Carries out one step in the thread pool. @throws DiskFailure */
  async runLater(step: DiskStep): Promise<void> {
    if (step.do === "write") await this.#write(step);
    else if (step.do === "sync") await this.#sync(step.file);
    else if (step.do === "sync-folder") await this.#syncFolder();
    else if (step.do === "rename" || step.do === "remove") await this.#changeName(step);
    else this.run(step);
  }

  /**
   * A write and the sync of its file in one trip to the thread pool and back, each of which costs a
   * turn of a busy event loop. The kernel syncs no more than what it writes here, so all that was
   * written to the file before must be durable already.
   *
   * @throws DiskFailure; "no room" may come from the sync, and the write can be cut off and done
   *   anew all the same, for nothing else was waiting for that sync
   */
  async writeDurably(step: WriteStep): Promise<void> {
    if (!HAS_DSYNC) {
      await this.#write(step);
      return this.#sync(step.file);
    }
    const start = performance.now();
    await this.#write(step, (file) => this.#openDurably(file));
    this.#countSync(start);
    this.#keepRoom(step);
  }

  async close(): Promise<void> {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
    this.#closeDurable();
    this.#spares.close();
    await this.#room?.end();
  }

  #runQuick(step: Exclude<DiskStep, { do: "write" | "sync" | "sync-folder" }>): void {
    const path = join(this.#dir, step.file);
    if (step.do === "create") {
      this.#forget(step.file);
      this.#files.set(step.file, this.#openPath(path, "w+"));
    } else if (step.do === "truncate") {
      ftruncateSync(this.#open(step.file), step.byteCount);
      if (this.#room?.file === step.file) this.#room.cutTo(step.byteCount);
    } else if (step.do === "rename") {
      this.#forget(step.file);
      this.#forget(step.to);
      renameSync(path, join(this.#dir, step.to));
    } else {
      this.#forget(step.file);
      rmSync(path, { force: true });
    }
  }

  /**
   * In the thread pool too: to take the last name of a file waits until its blocks are free, which
   * for a whole segment takes tens of ms.
   */
  async #changeName(step: Extract<DiskStep, { do: "rename" | "remove" }>): Promise<void> {
    const path = join(this.#dir, step.file);
    const names = step.do === "rename" ? [step.file, step.to] : [step.file];
    for (const name of names) this.#forget(name);
    const changed =
      step.do === "rename" ? rename(path, join(this.#dir, step.to)) : rm(path, { force: true });
    await changed.catch(failAs(step.do));
    // A read in the meantime may have opened the file that had the name before.
    for (const name of names) this.#forget(name);
  }

  #open(file: string): number {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    while (this.#files.size >= this.#openFilesMax && this.#forgetOldest());
    const fd = this.#openPath(join(this.#dir, file), this.#flags);
    this.#files.set(file, fd);
    return fd;
  }

  /** Forgets the file that was opened first of those not in use; false when there is none. */
  #forgetOldest(): boolean {
    for (const file of this.#files.keys()) {
      if (this.#busy.has(file)) continue;
      this.#forget(file);
      return true;
    }
    return false;
  }

  /** Gives up what it can spare when the process has no descriptor left. */
  #openPath(path: string, flags: string | number): number {
    for (;;) {
      try {
        return openSync(path, flags);
      } catch (error) {
        if (!isOutOfDescriptors(error)) throw error;
        if (!this.#forgetOldest() && !this.#spares.giveUp()) throw error;
      }
    }
  }

  #openDurably(file: string): number {
    if (this.#durable?.file === file) return this.#durable.fd;
    this.#closeDurable();
    const fd = this.#openPath(join(this.#dir, file), constants.O_RDWR | constants.O_DSYNC);
    this.#durable = { file, fd };
    return fd;
  }

  #closeDurable(): void {
    if (this.#durable !== null) closeSync(this.#durable.fd);
    this.#durable = null;
  }

  #forget(file: string): void {
    if (this.#durable?.file === file) this.#closeDurable();
    const fd = this.#files.get(file);
    if (fd === undefined) return;
    this.#files.delete(file);
    closeSync(fd);
  }

  #writeNow({ file, offset, chunks }: WriteStep): void {
    const fd = this.#open(file);
    let at = offset;
    for (const chunk of chunks) {
      for (let done = 0; done < chunk.length; ) {
        const count = writeSync(fd, chunk, done, chunk.length - done, at);
        done += count;
        at += count;
      }
      this.metrics.writtenByteCount += chunk.length;
    }
  }

  async #write(step: WriteStep, open = (name: string): number => this.#open(name)): Promise<void> {
    const { file, offset, chunks } = step;
    let left = chunks.filter((chunk) => chunk.length > 0);
    let at = offset;
    if (this.#room?.file === file) await this.#room.admit(endOf(step)).catch(failAs("write"));
    while (left.length > 0) {
      const count = await this.#using({ file, open, as: "write" }, (fd, done) =>
        writev(fd, left, at, done),
      );
      this.metrics.writtenByteCount += count;
      at += count;
      left = behind(left, count);
    }
  }

  /** A segment with only its header may not be listed yet, and then must hold nothing else. */
  #keepRoom(step: WriteStep): void {
    const { file, offset } = step;
    if (segmentOfFile(file) === undefined || offset < SEGMENT_HEADER_BYTES) return;
    if (this.#room?.file !== file) {
      void this.#room?.end();
      this.#room = new RoomAhead(file, join(this.#dir, file), endOf(step));
    }
    this.#room.extend();
  }

  async #sync(file: string): Promise<void> {
    const start = performance.now();
    const open = (name: string): number => this.#open(name);
    await this.#using({ file, open, as: "sync" }, (fd, done) =>
      fdatasync(fd, (error) => done(error, 0)),
    );
    this.#countSync(start);
  }

  async #syncFolder(): Promise<void> {
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      const fd = this.#openPath(this.#dir, "r");
      fsync(fd, (error) => {
        closeSync(fd);
        if (error === null) resolve();
        else reject(error);
      });
    }).catch(failAs("sync-folder"));
    this.#spares.refill();
    this.#countSync(start);
  }

  #using(
    { file, open, as }: { file: string; open: (file: string) => number; as: DiskStep["do"] },
    call: (fd: number, done: (error: Error | null, count: number) => void) => void,
  ): Promise<number> {
    this.#busy.add(file);
    return new Promise<number>((resolve, reject) => {
      call(open(file), (error, count) => {
        this.#busy.delete(file);
        if (error === null) resolve(count);
        else reject(error);
      });
    }).catch(failAs(as));
  }

  #withFolder(use: (fd: number) => void): void {
    const fd = this.#openPath(this.#dir, "r");
    try {
      use(fd);
    } finally {
      closeSync(fd);
    }
  }

  #countSync(start: number): void {
    this.metrics.fsyncCount++;
    this.metrics.fsyncs.observe((performance.now() - start) / 1000);
  }
}

const endOf = ({ offset, chunks }: WriteStep): number =>
  chunks.reduce((end, chunk) => end + chunk.length, offset);

/** What is left of some chunks after the first bytes of them were written. */
function behind(chunks: readonly Uint8Array[], byteCount: number): Uint8Array[] {
  let skip = byteCount;
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}
