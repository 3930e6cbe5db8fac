/** What the parts of a running log share: its segments in order, its numbers, its manifest. */
import { assert } from "../core/assert.ts";
import type { Prng } from "../core/prng.ts";
import { type DiskStep, type LogDisk, replaceSteps } from "./log-disk.ts";
import { type Checksum, encodeSegmentHeader, MANIFEST_FILE } from "./log-format.ts";
import { type LogIndex, newSegment, type SegmentState } from "./log-index.ts";
import { encodeManifest } from "./log-manifest.ts";
import type { RecoveredLog } from "./log-recovery.ts";

export interface LogOptions {
  readonly disk: LogDisk;
  readonly checksum: Checksum;
  /** Draws salts and the name of a new log. */
  readonly prng: Prng;
  /** A segment is closed before a record would make it longer than this, in bytes. */
  readonly segmentByteCountMax?: number;
  /** Reads every record at the start, even where an outline would do (default false). */
  readonly verify?: boolean;
  /**
   * How much of what was read or written lately stays in memory, in bytes (default 0); beside that,
   * the last long record, if it is no longer.
   */
  readonly recentBytesMax?: number;
}

/** 64 MiB: a compaction copies at most that much, and a terabyte is still only 16,000 files. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

export class LogState {
  readonly disk: LogDisk;
  readonly checksum: Checksum;
  readonly segmentByteCountMax: number;
  readonly logId: string;
  readonly index: LogIndex;
  /** Oldest first: the order of the manifest. */
  readonly segments: SegmentState[];
  nextSequence: number;
  /** Every record up to this number is on stable storage. */
  durableSequence: number;
  readonly #prng: Prng;
  #nextSegment: number;

  constructor(options: LogOptions, recovered: RecoveredLog) {
    this.disk = options.disk;
    this.checksum = options.checksum;
    this.segmentByteCountMax = options.segmentByteCountMax ?? SEGMENT_BYTES_MAX;
    assert(this.segmentByteCountMax < 2 ** 31, "an offset has 32 bits");
    this.#prng = options.prng;
    this.logId = recovered.logId ?? newLogId(options.prng);
    this.index = recovered.index;
    this.segments = recovered.segments;
    this.nextSequence = recovered.nextSequence;
    this.durableSequence = recovered.nextSequence - 1;
    this.#nextSegment = recovered.nextSegment;
  }

  /** Makes up a segment under a new number. The caller puts it where it belongs. */
  drawSegment(origin: { compacted: boolean; cleanSequence: number }): SegmentState {
    const segment = newSegment({
      id: this.#nextSegment++,
      salt: this.#prng.u32(),
      firstSequence: this.nextSequence,
      ...origin,
    });
    this.index.addSegment(segment);
    return segment;
  }

  segmentHeader(segment: SegmentState): Uint8Array {
    const { id, salt, compacted } = segment;
    return encodeSegmentHeader({ logId: this.logId, segment: id, salt, compacted }, this.checksum);
  }

  /** The steps that make a list of segments the log. */
  manifestSteps(segments: readonly SegmentState[], { stopped }: { stopped: boolean }): DiskStep[] {
    const last = segments.at(-1);
    const isOpen = last !== undefined && !last.closed;
    assert(!(isOpen && stopped), "a log that was stopped has no open segment");
    const bytes = encodeManifest(
      {
        logId: this.logId,
        stopped,
        nextSegment: this.#nextSegment,
        nextSequence: isOpen ? last.firstSequence : this.nextSequence,
        segments,
      },
      this.checksum,
    );
    return replaceSteps(MANIFEST_FILE, bytes);
  }

  /** Whether every record of a segment can be read from the disk. */
  isOnDisk(segment: SegmentState): boolean {
    return segment.compacted || segment.lastSequence <= this.durableSequence;
  }
}

const newLogId = (prng: Prng): string =>
  [prng.u32(), prng.u32()].map((word) => word.toString(16).padStart(8, "0")).join("");
