/** What the log hands to its host, and hears of it; and what it counts. */
import type { DiskFailure, DiskStep } from "./log-disk.ts";

/** Steps to be carried out in order, up to the first that fails. */
export interface LogJob {
  readonly lane: "flush" | "background" | "stop";
  readonly steps: readonly DiskStep[];
}

/** How a job ended. */
export interface JobEnd {
  /** How many of its steps were done. */
  readonly doneCount: number;
  readonly failure?: DiskFailure;
}

export interface LogMetrics {
  readonly segmentsCount: number;
  /** Bytes of all segments, garbage included. */
  readonly byteCount: number;
  readonly liveByteCount: number;
  readonly stagedByteCount: number;
  readonly compactionsCount: number;
  readonly corruptReadsCount: number;
}
