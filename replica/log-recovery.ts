/**
 * Opening a folder: from what lies on the disk to the state of a running log.
 *
 * Nothing is changed while reading. What must be changed (a torn tail cut, leftovers of interrupted
 * work removed) comes back as steps, so that looking at a folder and repairing it are one code.
 *
 * Every question has one answer:
 * - No manifest: nothing was ever promised. With segments that hold records it is somebody's data
 *   without its table of contents, and the start stops.
 * - A listed segment that is missing, or of another log: the start stops.
 * - Bad bytes at the very end of the segment that was open, with no valid record of that segment
 *   behind them: a torn tail. It was never synced, so nothing in it was acknowledged as durable.
 *   It is cut, and counted.
 * - Nothing but zeros from somewhere up to the end of that segment: room that its host made ahead
 *   of the records. It is cut off, and means nothing; behind a torn tail it is not counted with it.
 * - Bad bytes anywhere else: damage. They are stepped over and counted, never served. When the
 *   header still verifies, the key is known, and an entry is said to be lost. What an older record
 *   has of the key is kept: between two syncs a disk gives no order, so a power cut leaves such
 *   holes too, in writes that nobody was promised, and what was durable before must outlive them.
 */
import { assert } from "../core/assert.ts";
import type { Recovery } from "../core/store.ts";
import { NO_SLOT } from "./key-map.ts";
import { type DiskStep, type LogDisk, LogFolderError } from "./log-disk.ts";
import {
  type Checksum,
  decodeSegmentHeader,
  FORMAT_VERSION,
  isLeftover,
  MANIFEST_FILE,
  OPERATIONS,
  outlineFile,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordByteCount,
  SEGMENT_HEADER_BYTES,
  SPACES,
  segmentFile,
  segmentOfFile,
} from "./log-format.ts";
import { LogIndex, newSegment, type SegmentState } from "./log-index.ts";
import { decodeManifest, type Manifest, type ManifestSegment } from "./log-manifest.ts";
import { readOutline } from "./log-outline.ts";
import { type ScanItem, SegmentScan } from "./segment-scan.ts";

/** Bytes of a segment that hold no valid record. */
export interface BadRange {
  readonly file: string;
  readonly offset: number;
  readonly byteCount: number;
  readonly torn: boolean;
}

export interface RecoveredLog {
  /** `undefined` for a folder in which no log was ever begun. */
  readonly logId: string | undefined;
  readonly stopped: boolean;
  readonly segments: SegmentState[];
  readonly index: LogIndex;
  readonly nextSegment: number;
  readonly nextSequence: number;
  readonly recovery: Recovery;
  /** Records that are damaged now; `recovery` counts those too that an earlier run lost. */
  readonly damagedCount: number;
  readonly bad: readonly BadRange[];
  readonly fixes: readonly DiskStep[];
}

export interface RecoveryOptions {
  readonly disk: LogDisk;
  readonly checksum: Checksum;
  /** 32 random bits, so that nobody can choose keys that collide in the index (default 0). */
  readonly hashSeed?: number;
  /** Reads every record even where an outline would do, and what lies behind the last one. */
  readonly verify?: boolean;
}

/** @throws LogFolderError when the folder must not be used; DiskFailure when it cannot be read */
export function recoverLog(options: RecoveryOptions): RecoveredLog {
  const manifest = readManifest(options);
  const files = options.disk.list();
  if (manifest === undefined) return emptyLog(options, files);
  const recovery = new Recoverer(options, manifest);
  for (const [i, row] of manifest.segments.entries()) {
    recovery.replay(row, i === manifest.segments.length - 1);
  }
  return recovery.finish(files);
}

function readManifest({ disk, checksum }: RecoveryOptions): Manifest | undefined {
  const byteCount = disk.byteCount(MANIFEST_FILE);
  if (byteCount === undefined) return undefined;
  const bytes = new Uint8Array(byteCount);
  const readCount = disk.read(MANIFEST_FILE, 0, bytes);
  return decodeManifest(bytes.subarray(0, readCount), checksum);
}

function emptyLog({ disk, hashSeed = 0 }: RecoveryOptions, files: readonly string[]): RecoveredLog {
  const fixes: DiskStep[] = [];
  for (const file of [...files].sort()) {
    const isSegment = segmentOfFile(file) !== undefined;
    if (isSegment && (disk.byteCount(file) ?? 0) > SEGMENT_HEADER_BYTES) {
      throw new LogFolderError(`${file} holds records but there is no manifest to say whose`);
    }
    if (isSegment || isLeftover(file)) fixes.push({ do: "remove", file });
  }
  return {
    logId: undefined,
    stopped: true,
    segments: [],
    index: new LogIndex(hashSeed),
    nextSegment: 1,
    nextSequence: 1,
    recovery: { clean: true, tornByteCount: 0, corruptCount: 0, lostKeys: [] },
    damagedCount: 0,
    bad: [],
    fixes,
  };
}

/**
 * What an unclean stop skips of the sequence. A record that was durable and is damaged at the very
 * end of the open segment looks like a torn one; a reader that was told its number must not take
 * what is written next for it.
 */
const SKIPPED_COUNT = 2 ** 20;

/** What follows the last record is looked at in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/** Rows of 50 bytes: room for a million costs 50 MB even where it turns out to be too much. */
const RESERVED_COUNT_MAX = 1_000_000;

class Recoverer {
  readonly #options: RecoveryOptions;
  readonly #manifest: Manifest;
  readonly #index: LogIndex;
  readonly #segments: SegmentState[] = [];
  readonly #bad: BadRange[] = [];
  readonly #fixes: DiskStep[] = [];
  /** Entries whose newest record so far is damaged, in this run or in one before. */
  readonly #lost = new Set<string>();
  readonly #lostBefore = new Set<string>();
  #corruptCount = 0;
  #tornByteCount = 0;
  #lastSequence = 0;

  constructor(options: RecoveryOptions, manifest: Manifest) {
    this.#options = options;
    this.#manifest = manifest;
    this.#index = new LogIndex(options.hashSeed ?? 0);
    this.#lastSequence = manifest.nextSequence - 1;
    // Most records of a log are of the entries that there are: growing step by step costs more.
    const recordCount = manifest.segments.reduce((sum, { recordCount }) => sum + recordCount, 0);
    this.#index.entries.reserve(Math.min(recordCount, RESERVED_COUNT_MAX));
  }

  replay(row: ManifestSegment, isLast: boolean): void {
    assert(row.closed || isLast, "only the last segment can be open");
    const file = segmentFile(row.id);
    const byteCount = this.#options.disk.byteCount(file);
    if (byteCount === undefined) throw new LogFolderError(`the segment ${file} is missing`);
    const { id, salt, compacted, cleanSequence } = row;
    const segment = newSegment({ id, salt, compacted, cleanSequence, closed: true });
    segment.worn = this.#isHeaderWorn(row, file, byteCount);
    this.#segments.push(segment);
    this.#index.addSegment(segment);
    if (!this.#replayOutline(row, segment, byteCount)) this.#scan(row, segment, byteCount);
    this.#lastSequence = Math.max(this.#lastSequence, segment.lastSequence);
  }

  finish(files: readonly string[]): RecoveredLog {
    this.#findUnlisted(files);
    const { logId, stopped, nextSegment } = this.#manifest;
    const lostKeys = [...this.#lost].sort();
    const corruptCount = this.#corruptCount + this.#lostBefore.size;
    const clean = stopped && corruptCount === 0 && this.#tornByteCount === 0;
    return {
      logId,
      stopped,
      // An empty one need not be listed any longer; its file goes when the next manifest is there.
      segments: this.#segments.filter((segment) => segment.recordCount > 0),
      index: this.#index,
      nextSegment,
      nextSequence: this.#lastSequence + 1 + (stopped ? 0 : SKIPPED_COUNT),
      recovery: { clean, tornByteCount: this.#tornByteCount, corruptCount, lostKeys },
      damagedCount: this.#corruptCount,
      bad: this.#bad,
      fixes: this.#fixes,
    };
  }

  /** A header that verifies but says something else is no damage: the file is not ours. */
  #isHeaderWorn(row: ManifestSegment, file: string, byteCount: number): boolean {
    const bytes = new Uint8Array(Math.min(SEGMENT_HEADER_BYTES, byteCount));
    const readCount = this.#options.disk.read(file, 0, bytes);
    const header = decodeSegmentHeader(bytes.subarray(0, readCount), this.#options.checksum);
    if (header === undefined) {
      // A crash may leave a segment that was just begun without its header, and without records.
      if (byteCount < SEGMENT_HEADER_BYTES) return false;
      this.#bad.push({ file, offset: 0, byteCount: SEGMENT_HEADER_BYTES, torn: false });
      return true;
    }
    if (header.version !== FORMAT_VERSION) {
      throw new LogFolderError(`${file} has format version ${header.version}`);
    }
    const isOurs = header.logId === this.#manifest.logId && header.segment === row.id;
    if (!isOurs || header.salt !== row.salt) {
      throw new LogFolderError(`the segment ${file} is of another log`);
    }
    return false;
  }

  #replayOutline(row: ManifestSegment, segment: SegmentState, byteCount: number): boolean {
    if (!row.closed || this.#options.verify === true || byteCount < row.byteCount) return false;
    const rows = readOutline(this.#options.disk, row, this.#options.checksum);
    if (rows === undefined) return false;
    for (const { header, offset } of rows) this.#apply(header, segment, offset);
    segment.byteCount = row.byteCount;
    segment.outlined = true;
    return true;
  }

  #scan(row: ManifestSegment, segment: SegmentState, fileByteCount: number): void {
    const byteCount = row.closed ? Math.min(fileByteCount, row.byteCount) : fileByteCount;
    const file = segmentFile(row.id);
    const scan = this.#scanOf(row, byteCount);
    // Bad items wait here: whether they are a torn tail shows only by what follows them.
    let suspects: ScanItem[] = [];
    let knownCount = 0;
    let intactCount = 0;
    for (let item = scan.next(); item !== undefined; item = scan.next()) {
      if (item.found === "gap" || !scan.isIntact(item)) {
        suspects.push(item);
        continue;
      }
      for (const suspect of suspects) knownCount += this.#damage(suspect, segment, file);
      suspects = [];
      this.#apply(item.header, segment, item.offset);
      intactCount++;
    }
    if (row.closed) {
      for (const suspect of suspects) knownCount += this.#damage(suspect, segment, file);
      segment.byteCount = row.byteCount;
      segment.recordCount = row.recordCount;
      segment.lastSequence = row.lastSequence;
      // Nothing that was acknowledged lies there, so a start passes it over.
      const isLookedAt = this.#options.verify === true && fileByteCount > row.byteCount;
      if (isLookedAt) this.#cutFrom(row.byteCount, file, fileByteCount);
    } else {
      segment.byteCount = this.#cut(suspects, file, byteCount);
      // Numbers of a segment that was open have no gaps: where one shows, there was a record.
      const firstSequence = this.#manifest.nextSequence;
      segment.recordCount = intactCount === 0 ? 0 : segment.lastSequence - firstSequence + 1;
    }
    const corruptCount = segment.recordCount - intactCount;
    assert(corruptCount >= knownCount, "what is known to be corrupt is counted as such");
    this.#corruptCount += corruptCount;
    segment.damaged = corruptCount > knownCount;
    segment.worn ||= knownCount > 0;
  }

  #scanOf(row: ManifestSegment, byteCount: number): SegmentScan {
    const { disk, checksum } = this.#options;
    const bounds = row.closed
      ? { aboveSequence: 0, lastSequence: row.lastSequence }
      : { aboveSequence: this.#manifest.nextSequence - 1 };
    const file = segmentFile(row.id);
    return new SegmentScan({ disk, checksum, file, salt: row.salt, byteCount, ...bounds });
  }

  /** Returns where the good part of the segment ends. */
  #cut(torn: readonly ScanItem[], file: string, byteCount: number): number {
    const end = torn[0]?.offset ?? byteCount;
    if (end < byteCount) this.#cutFrom(end, file, byteCount);
    return end;
  }

  #cutFrom(end: number, file: string, byteCount: number): void {
    const tornByteCount = this.#roomFrom(end, file, byteCount) - end;
    this.#tornByteCount += tornByteCount;
    if (tornByteCount > 0) {
      this.#bad.push({ file, offset: end, byteCount: tornByteCount, torn: true });
    }
    this.#fixes.push({ do: "truncate", file, byteCount: end }, { do: "sync", file });
  }

  /**
   * The offset, no earlier than the given one, from which a file is nothing but zeros. It is the
   * file's length where they are fewer than a record takes: they may be the end of a torn one.
   */
  #roomFrom(offset: number, file: string, byteCount: number): number {
    let from = offset;
    for (let at = offset; at < byteCount; at += PIECE_BYTES) {
      const bytes = new Uint8Array(Math.min(PIECE_BYTES, byteCount - at));
      const readCount = this.#options.disk.read(file, at, bytes);
      const last = bytes.subarray(0, readCount).findLastIndex((byte) => byte !== 0);
      if (last >= 0) from = at + last + 1;
    }
    return byteCount - from < RECORD_HEADER_BYTES ? byteCount : from;
  }

  /** Returns how many records are known to be lost: none where no header could be read. */
  #damage(item: ScanItem, segment: SegmentState, file: string): number {
    const byteCount = item.found === "gap" ? item.byteCount : recordByteCount(item.header);
    this.#bad.push({ file, offset: item.offset, byteCount, torn: false });
    if (item.found === "gap") return 0;
    const { header, offset } = item;
    if (header.space !== SPACES.entry) return 1;
    this.#lostBefore.delete(header.key);
    this.#lost.add(header.key);
    const isFirst = this.#index.entries.find(header.key) === NO_SLOT;
    // Without an older one, "nothing" is no answer either: to read the key says that it is corrupt.
    if (isFirst) this.#index.apply(header, header, { segment, offset });
    return 1;
  }

  #apply(header: RecordHeader, segment: SegmentState, offset: number): void {
    this.#index.apply(header, header, { segment, offset });
    if (header.space !== SPACES.entry) return;
    if (header.operation === OPERATIONS.lost) {
      this.#lost.add(header.key);
      this.#lostBefore.add(header.key);
    } else if (this.#lost.size > 0) {
      this.#lost.delete(header.key);
      this.#lostBefore.delete(header.key);
    }
  }

  /** Files of a log's names that the manifest does not list. */
  #findUnlisted(files: readonly string[]): void {
    const listed = new Set(this.#segments.map(({ id }) => id));
    for (const file of [...files].sort()) {
      const id = segmentOfFile(file);
      const isOutline = file.endsWith(".outline");
      const isStray = isOutline && !this.#segments.some((s) => outlineFile(s.id) === file);
      if (isLeftover(file) || isStray) this.#fixes.push({ do: "remove", file });
      if (id === undefined || listed.has(id)) continue;
      this.#checkUnlisted(file, id);
      this.#fixes.push({ do: "remove", file });
    }
  }

  /**
   * What an interrupted change leaves may be removed: a segment that was replaced (its number was
   * given out before), a compacted one that was not yet listed, or one with no record in it.
   */
  #checkUnlisted(file: string, id: number): void {
    const { disk, checksum } = this.#options;
    if ((disk.byteCount(file) ?? 0) <= SEGMENT_HEADER_BYTES) return;
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    disk.read(file, 0, bytes);
    const header = decodeSegmentHeader(bytes, checksum);
    if (header !== undefined && header.logId !== this.#manifest.logId) {
      throw new LogFolderError(`the segment ${file} is of another log`);
    }
    if (id >= this.#manifest.nextSegment && header?.compacted !== true) {
      throw new LogFolderError(`the segment ${file} is newer than the manifest`);
    }
  }
}
