/**
 * File descriptors: how many this process may have open, and how they are shared out. A process
 * that has used them all up can neither take a connection nor begin a segment of its log; the
 * system then says EMFILE (or ENFILE, when it is the whole machine). That passes, and is no fault
 * of a disk. To prevent that, connections get no more than what the log leaves them, and the log
 * keeps some descriptors open only to give them up.
 */
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";

/** Standard streams, the event loop's own, the listener, the lock, configuration that is read. */
const OWN_COUNT = 64;
/** Segments, outlines and what a compaction writes: each of the log's files once, at most. */
const LOG_FILES_MAX = 512;
/** With fewer connections a node serves nobody well, and may have to shut out its own peers. */
export const CONNECTIONS_MIN = 32;
/** A segment is begun with up to three: itself, the manifest, the folder. Twice that, and some. */
const SPARE_COUNT = 8;
/** A connection for short requests and one for long ones, to each peer. */
const PEER_COUNT = 2;

const EXHAUSTED = new Set(["EMFILE", "ENFILE"]);

/** Whether the system had no descriptor left: to be tried again. */
export const isOutOfDescriptors = (error: unknown): boolean =>
  error instanceof Error && "code" in error && EXHAUSTED.has(String(error.code));

/** How many descriptors this process may have; Infinity where the system does not say. */
export function descriptorLimit(): number {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  // The report must not include the names of all connected hosts, which it would have to look up.
  const { excludeNetwork = false } = report;
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
  };
  report.excludeNetwork = excludeNetwork;
  const soft = userLimits?.open_files?.soft;
  return typeof soft === "number" ? soft : Infinity;
}

export interface Shares {
  /** Files that the log may keep open. */
  readonly logFiles: number;
  /** Connections that may be open, those of peers included. */
  readonly connections: number;
}

/**
 * @param limit how many descriptors there are
 * @param of `peers` that are dialled, twice each, and the most `connections` that are wanted at all
 */
export function shareOut(
  limit: number,
  of: { readonly peers: number; readonly connections: number },
): Shares {
  const left = limit - OWN_COUNT - SPARE_COUNT - PEER_COUNT * of.peers;
  const logFiles = Math.max(1, Math.min(LOG_FILES_MAX, Math.floor(left / 4)));
  return { logFiles, connections: Math.max(0, Math.min(of.connections, left - logFiles)) };
}

/** Descriptors that are kept open only to be given up when one is needed. */
export class SpareDescriptors {
  readonly #spares: number[] = [];
  readonly #count: number;

  constructor(count = SPARE_COUNT) {
    this.#count = count;
    this.refill();
  }

  /** Frees one; false when there is none left. */
  giveUp(): boolean {
    const fd = this.#spares.pop();
    if (fd !== undefined) closeSync(fd);
    return fd !== undefined;
  }

  /** Takes back what was given up, as far as the system lets it. */
  refill(): void {
    try {
      while (this.#spares.length < this.#count) this.#spares.push(openSync(devNull, "r"));
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error;
    }
  }

  close(): void {
    while (this.giveUp());
  }
}
