/**
 * The front of the log: takes records at its open end, and hands them to the disk in groups.
 *
 * At most one flush is under way; whatever is written meanwhile goes out with the next (group
 * commit). A flush is a list of steps: new segments are begun and listed in the manifest before a
 * record goes into them, each file is synced once, and a compaction that waits for its exchange
 * gets it at the end, when everything that it relied on is on stable storage.
 *
 * Failures: out of room, the flush stops where it is and can be taken up again at that very step
 * when there is room; what was written of it is cut off first. Anything else, a failed sync above
 * all, ends writing until the process starts anew: what the kernel dropped it will not say, and a
 * second sync would succeed.
 */
import { assert } from "../core/assert.ts";
import type { Bytes } from "../core/pieces.ts";
import type { StoreHealth } from "../core/store.ts";
import type { Compaction } from "./log-compaction.ts";
import type { DiskFailure, DiskStep } from "./log-disk.ts";
import {
  RECORD_HEADER_BYTES,
  type RecordFields,
  recordByteCountMax,
  SEGMENT_HEADER_BYTES,
  segmentFile,
} from "./log-format.ts";
import type { SegmentState } from "./log-index.ts";
import { chunksOf, type StagedPage, type StagedRecord, Staging } from "./log-staging.ts";
import type { LogState } from "./log-state.ts";

interface Flush {
  readonly steps: readonly DiskStep[];
  /** Every record up to this number is durable when the flush is done. */
  readonly sequence: number;
  readonly exchange: Compaction | undefined;
}

export class LogWriter {
  readonly #state: LogState;
  readonly #staging: Staging;
  #open: SegmentState | undefined;
  #health: StoreHealth = "writable";
  #running: Flush | undefined;
  /** What is left of a flush that ran out of room. */
  #unfinished: Flush | undefined;

  constructor(state: LogState) {
    this.#state = state;
    this.#staging = new Staging(state.segmentByteCountMax);
  }

  get health(): StoreHealth {
    return this.#health;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Bytes that were written and are not durable yet. */
  get stagedByteCount(): number {
    return this.#staging.byteCount;
  }

  /**
   * Adds a record. It can be read at once; it is durable when a later flush is done.
   *
   * @param body not to be changed from now on: a long one is not copied
   */
  append(of: Omit<RecordFields, "sequence">, body: Bytes): void {
    // Each field by its name: a spread costs more than the rest of this.
    const { space, operation, key, partition, digest, dueAt } = of;
    const sequence = this.#state.nextSequence;
    const fields = { space, operation, key, sequence, partition, digest, dueAt };
    const segment = this.#segmentFor(recordByteCountMax(key, body));
    const offset = segment.byteCount;
    const { salt } = segment;
    const { checksum } = this.#state;
    const at = { segment: segment.id, offset };
    const byteCount = this.#staging.add(at, { fields, body, salt, checksum });
    segment.byteCount += byteCount;
    this.#state.nextSequence++;
    const keyByteCount = byteCount - RECORD_HEADER_BYTES - body.length;
    const sizes = { keyByteCount, bodyByteCount: body.length };
    this.#state.index.apply(fields, sizes, { segment, offset });
  }

  /** A record that is not on the disk yet, to be read only: nobody changes it. */
  readStaged(segment: number, offset: number, byteCount: number): StagedRecord | undefined {
    return this.#staging.read(segment, offset, byteCount);
  }

  /**
   * What to do next to make everything durable; `undefined` when there is nothing, or no point in
   * it.
   */
  next(exchange: Compaction | undefined, isRetry: boolean): readonly DiskStep[] | undefined {
    if (this.#running !== undefined || this.#health === "failed") return undefined;
    if (this.#unfinished !== undefined) {
      if (!isRetry) return undefined;
      this.#running = this.#unfinished;
    } else if (!this.#staging.isEmpty || exchange !== undefined) {
      const sequence = this.#state.nextSequence - 1;
      const steps = [...this.#appendSteps(this.#staging.take()), ...this.#exchangeSteps(exchange)];
      this.#running = { steps, sequence, exchange };
    }
    return this.#running?.steps;
  }

  /**
   * The flush ended, after so many of its steps were done. Returns the compaction whose exchange
   * was part of it, if it was carried out.
   */
  finished(doneCount: number, failure: DiskFailure | undefined): Compaction | undefined {
    const flush = this.#running;
    assert(flush !== undefined, "a flush ends once");
    this.#running = undefined;
    this.#unfinished = undefined;
    if (failure === undefined) {
      this.#staging.release();
      this.#state.durableSequence = flush.sequence;
      this.#health = "writable";
      return flush.exchange;
    }
    if (failure.kind === "full") {
      this.#health = "full";
      this.#unfinished = { ...flush, steps: remaining(flush.steps, doneCount) };
    } else {
      this.fail();
    }
    return undefined;
  }

  /** No more writes: what the disk holds is not known any longer. */
  fail(): void {
    this.#health = "failed";
  }

  /** Closes the open segment, so that the whole log can be listed as complete. */
  close(): void {
    assert(this.#staging.isEmpty && !this.isRunning, "a log is closed when all of it is durable");
    if (this.#open !== undefined) this.#open.closed = true;
    this.#open = undefined;
  }

  #segmentFor(byteCount: number): SegmentState {
    const open = this.#open;
    const isFull = open !== undefined && open.byteCount + byteCount > this.#limit;
    if (open !== undefined && !(isFull && open.recordCount > 0)) return open;
    if (open !== undefined) open.closed = true;
    const segment = this.#state.drawSegment({ compacted: false, cleanSequence: 0 });
    segment.byteCount = SEGMENT_HEADER_BYTES;
    this.#state.segments.push(segment);
    this.#open = segment;
    return segment;
  }

  get #limit(): number {
    return this.#state.segmentByteCountMax;
  }

  #appendSteps(pages: readonly StagedPage[]): DiskStep[] {
    const steps: DiskStep[] = [];
    for (let i = 0; i < pages.length; ) {
      const first = pages[i];
      assert(first !== undefined, "the loop stays within the pages");
      const same = pages.slice(i).filter(({ segment }) => segment === first.segment);
      if (first.offset === SEGMENT_HEADER_BYTES) steps.push(...this.#beginSteps(first.segment));
      const file = segmentFile(first.segment);
      const chunks = same.flatMap(chunksOf);
      steps.push({ do: "write", file, offset: first.offset, chunks }, { do: "sync", file });
      i += same.length;
    }
    return steps;
  }

  /** A segment is there, with its header, before the manifest lists it. */
  #beginSteps(id: number): DiskStep[] {
    const { segments } = this.#state;
    const at = segments.findIndex((segment) => segment.id === id);
    const segment = segments[at];
    assert(segment !== undefined && !segment.compacted, "a new segment is in the list");
    const file = segmentFile(id);
    // As the list was when the segment was new: with nothing behind it, and open.
    const listed = [...segments.slice(0, at), { ...segment, closed: false }];
    return [
      { do: "create", file },
      { do: "write", file, offset: 0, chunks: [this.#state.segmentHeader(segment)] },
      { do: "sync", file },
      { do: "sync-folder" },
      ...this.#state.manifestSteps(listed, { stopped: false }),
    ];
  }

  #exchangeSteps(exchange: Compaction | undefined): DiskStep[] {
    if (exchange === undefined) return [];
    const segments = exchange.exchanged(this.#state.segments);
    return [...exchange.publishSteps(), ...this.#state.manifestSteps(segments, { stopped: false })];
  }
}

/** What is left to do; a write that may have been half done is cut off before it is done again. */
function remaining(steps: readonly DiskStep[], doneCount: number): readonly DiskStep[] {
  const left = steps.slice(doneCount);
  const [first] = left;
  if (first?.do !== "write") return left;
  return [{ do: "truncate", file: first.file, byteCount: first.offset }, ...left];
}
