/**
 * Looks at the data folder of a stopped replica: every record is read and verified, whatever the
 * outlines say. Repairing cuts a torn tail, puts a copy of all bad bytes into `set-aside/` and
 * rewrites the segments they were in.
 *
 * A repair does not make a log clean: the next start must know that something was lost, because the
 * replica may no longer speak for what it once acknowledged. So no stop marker is written here. For
 * the same reason the marker is taken away from a copy that is put back: otherwise the replica
 * would mint versions again that it had since given to other values.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { StoreKey } from "../../../core/store.ts";
import { DiskFailure, LogFolderError } from "../../../replica/log-disk.ts";
import { MANIFEST_FILE, segmentFile } from "../../../replica/log-format.ts";
import type { LogJob } from "../../../replica/log-jobs.ts";
import { type BadRange, type RecoveredLog, recoverLog } from "../../../replica/log-recovery.ts";
import { LogStore } from "../../../replica/log-store.ts";
import { checksumBy, type Hasher } from "./checksum.ts";
import { systemPrng } from "./file-log.ts";
import { hasLockFile, lockFolder } from "./lock.ts";
import { NodeDisk } from "./node-disk.ts";

export interface CheckOptions {
  readonly hasher: Hasher;
  readonly repair?: boolean;
  /** The folder is a copy from the past: what was stored since is forgotten. */
  readonly restored?: boolean;
}

export interface SegmentReport {
  readonly file: string;
  readonly byteCount: number;
  readonly recordCount: number;
  readonly state: "fine" | "torn" | "corrupt";
}

export interface CheckReport {
  readonly dir: string;
  /** Why a replica would not start here; then nothing else was looked at. */
  readonly refusal: string | undefined;
  /** The last run stopped cleanly and every record is fine. */
  readonly fine: boolean;
  /** The last run stopped cleanly. */
  readonly stopped: boolean;
  readonly keyCount: number;
  readonly segments: readonly SegmentReport[];
  /** Bytes behind the last whole record, of one that was being written: they are cut. */
  readonly tornByteCount: number;
  readonly corruptCount: number;
  /** Keys whose newest record is corrupt, or was set aside and has not come from a peer since. */
  readonly lostKeys: readonly StoreKey[];
  readonly bad: readonly BadRange[];
  /** The files in `set-aside/` that a repair made. */
  readonly setAside: readonly string[];
  readonly repaired: boolean;
}

const SET_ASIDE = "set-aside";
/** Its value does not matter: only that it is written. */
const RESTORED = "restored";
/** Bad bytes are copied in pieces of this size. */
const COPY_BYTES = 1024 * 1024;

/** @throws LogFolderError when the folder is in use or no log; DiskFailure when the disk fails */
export async function checkFolder(dir: string, options: CheckOptions): Promise<CheckReport> {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new LogFolderError(`${dir}: there is no such folder`);
  }
  if (!existsSync(join(dir, MANIFEST_FILE))) {
    const mend = "name the folder that --data names";
    throw new LogFolderError(`${dir}: it has no manifest, so it is no replica's data: ${mend}`);
  }
  const repair = options.repair === true;
  const restored = options.restored === true;
  // Looking changes nothing: where nobody ever made a lock, none is made.
  const lock = repair || restored || hasLockFile(dir) ? lockFolder(dir) : undefined;
  const disk = new NodeDisk(dir, { access: repair || restored ? "write" : "read" });
  const checksum = checksumBy(options.hasher);
  try {
    const found = recoverLog({ disk, checksum, verify: true });
    if (!repair && !restored) return reportOf(dir, found, { setAside: [], repaired: false });
    const setAside = repair ? found.bad.map((range) => copyAside(dir, disk, range)) : [];
    const store = LogStore.open({ disk, checksum, prng: systemPrng(), verify: true });
    if (repair) rewrite(store, disk);
    if (restored) forgetStop(store, disk);
    return reportOf(dir, found, { setAside, repaired: repair && found.bad.length > 0 });
  } catch (error) {
    if (!(error instanceof LogFolderError)) throw error;
    return refused(dir, error.message);
  } finally {
    await disk.close();
    lock?.release();
  }
}

function reportOf(
  dir: string,
  found: RecoveredLog,
  done: Pick<CheckReport, "setAside" | "repaired">,
): CheckReport {
  const stateOf = (file: string): SegmentReport["state"] => {
    const ranges = found.bad.filter((range) => range.file === file);
    if (ranges.some(({ torn }) => !torn)) return "corrupt";
    return ranges.length > 0 ? "torn" : "fine";
  };
  const { recovery, stopped, bad, damagedCount } = found;
  const { tornByteCount, lostKeys } = recovery;
  return {
    dir,
    refusal: undefined,
    fine: recovery.clean && bad.length === 0,
    stopped,
    keyCount: found.index.entries.count,
    segments: found.segments.map((segment) => {
      const { byteCount, recordCount } = segment;
      const file = segmentFile(segment.id);
      const isCorrupt = segment.damaged || segment.worn;
      return { file, byteCount, recordCount, state: isCorrupt ? "corrupt" : stateOf(file) };
    }),
    tornByteCount,
    corruptCount: damagedCount,
    lostKeys,
    bad,
    ...done,
  };
}

const refused = (dir: string, refusal: string): CheckReport => ({
  dir,
  refusal,
  fine: false,
  stopped: false,
  keyCount: 0,
  segments: [],
  tornByteCount: 0,
  corruptCount: 0,
  lostKeys: [],
  bad: [],
  setAside: [],
  repaired: false,
});

/** Copies bad bytes to a file of their own, durably, before anything is changed. */
function copyAside(dir: string, disk: NodeDisk, range: BadRange): string {
  mkdirSync(join(dir, SET_ASIDE), { recursive: true });
  const name = join(SET_ASIDE, `${range.file}.${range.offset}`);
  const fd = openSync(join(dir, name), "w");
  try {
    for (let done = 0; done < range.byteCount; done += COPY_BYTES) {
      const bytes = new Uint8Array(Math.min(COPY_BYTES, range.byteCount - done));
      const count = disk.read(range.file, range.offset + done, bytes);
      writeSync(fd, bytes, 0, count);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return name;
}

/** Lets the engine rewrite what is damaged, as its background would. */
function rewrite(store: LogStore, disk: NodeDisk): void {
  store.lossesHealed();
  for (;;) {
    const job = store.nextFlush() ?? store.nextBackground();
    if (job === undefined) return;
    runNow(store, disk, job);
  }
}

/** A log that was written to does not count as stopped: its next owner takes a new incarnation. */
function forgetStop(store: LogStore, disk: NodeDisk): void {
  store.writeMeta(RESTORED, new Uint8Array());
  for (let job = store.nextFlush(); job !== undefined; job = store.nextFlush()) {
    runNow(store, disk, job);
  }
}

/** @throws DiskFailure */
function runNow(store: LogStore, disk: NodeDisk, job: LogJob): void {
  let doneCount = 0;
  try {
    for (const step of job.steps) {
      disk.run(step);
      doneCount++;
    }
  } catch (error) {
    if (error instanceof DiskFailure) store.finished(job, { doneCount, failure: error });
    throw error;
  }
  store.finished(job, { doneCount });
}
