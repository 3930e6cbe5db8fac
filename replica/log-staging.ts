/**
 * Records that were written but have not reached the disk yet, as the bytes that will lie there.
 *
 * They are gathered in pages, each a stretch of one segment, so that everything that queued while
 * the disk was busy goes out as one write; and they are read from here until they are durable.
 * Pages that come back are used again: a fresh quarter of a megabyte a batch would be zeroed by
 * the runtime each time, for nothing. A record that is too long for one is not copied: its head is
 * a page of its own, and its body goes out, and is read, as it was given.
 */
import { assert } from "../core/assert.ts";
import { type Bytes, partsOf } from "../core/pieces.ts";
import {
  encodeHead,
  encodeRecord,
  type Page,
  pageOf,
  RECORD_HEADER_BYTES,
  type RecordToWrite,
  recordByteCountMax,
} from "./log-format.ts";

export interface StagedPage {
  readonly page: Page;
  readonly segment: number;
  /** Where in the segment the page begins. */
  readonly offset: number;
  /** How much of it is filled. */
  byteCount: number;
  /** What follows in the segment: the body of a long record, of which the page has the head. */
  readonly body: Bytes | null;
}

/** A record as it is staged: as a whole (`body` is null), or its head with its body beside it. */
export interface StagedRecord {
  readonly bytes: Uint8Array;
  readonly body: Bytes | null;
}

interface Place {
  readonly segment: number;
  readonly offset: number;
}

const PAGE_BYTES_MAX = 256 * 1024;
const FREE_PAGES_COUNT_MAX = 8;

const lengthOf = ({ byteCount, body }: StagedPage): number => byteCount + (body?.length ?? 0);

/** What is to be written of a page, one after the other. */
export const chunksOf = ({ page, byteCount, body }: StagedPage): readonly Uint8Array[] => {
  const filled = page.bytes.subarray(0, byteCount);
  return body === null ? [filled] : [filled, ...partsOf(body)];
};

export class Staging {
  readonly #pageBytes: number;
  /** Oldest first, by segment and offset. */
  readonly #pages: StagedPage[] = [];
  readonly #free: Page[] = [];
  /** How many of the pages belong to a flush that is under way. */
  #takenCount = 0;
  #byteCount = 0;

  /** @param segmentByteCountMax pages are not much longer than a segment, where that is short */
  constructor(segmentByteCountMax: number) {
    this.#pageBytes = Math.min(PAGE_BYTES_MAX, 2 * segmentByteCountMax);
  }

  get isEmpty(): boolean {
    return this.#pages.length === this.#takenCount;
  }

  /** Bytes that are not durable yet. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Whether a record is too long for a page: its body is kept then, and must not change. */
  isLong(key: string, body: Bytes): boolean {
    return recordByteCountMax(key, body) > this.#pageBytes;
  }

  /** Adds a record at the end of a segment; returns its length. */
  add(at: Place, record: RecordToWrite): number {
    const { fields, body } = record;
    if (this.isLong(fields.key, body)) return this.#addLong(at, record);
    const staged = this.#pageFor(at, recordByteCountMax(fields.key, body));
    const byteCount = encodeRecord(staged.page, staged.byteCount, record);
    staged.byteCount += byteCount;
    this.#byteCount += byteCount;
    return byteCount;
  }

  #addLong({ segment, offset }: Place, record: RecordToWrite): number {
    const { fields, body } = record;
    const page = pageOf(new Uint8Array(RECORD_HEADER_BYTES + 3 * fields.key.length));
    const byteCount = encodeHead(page, 0, record);
    const staged = { page, segment, offset, byteCount, body };
    this.#pages.push(staged);
    this.#byteCount += lengthOf(staged);
    return lengthOf(staged);
  }

  /** Everything that no flush has taken yet. The pages stay readable until `release`. */
  take(): readonly StagedPage[] {
    assert(this.#takenCount === 0, "one flush at a time takes what is staged");
    this.#takenCount = this.#pages.length;
    return this.#pages.slice();
  }

  /** The pages that were taken are durable: from now on they are read from the disk. */
  release(): void {
    for (const staged of this.#pages.splice(0, this.#takenCount)) {
      this.#byteCount -= lengthOf(staged);
      const isUsual = staged.page.bytes.length === this.#pageBytes;
      if (isUsual && this.#free.length < FREE_PAGES_COUNT_MAX) this.#free.push(staged.page);
    }
    this.#takenCount = 0;
    assert(this.#byteCount >= 0, "no more is released than was staged");
  }

  /**
   * A record of a segment, or `undefined` when it is on the disk. It is copied out of its page,
   * which is used again; the body of a long one is what was given.
   */
  read(segment: number, offset: number, byteCount: number): StagedRecord | undefined {
    let low = 0;
    let high = this.#pages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const page = this.#pages[middle];
      assert(page !== undefined, "a search stays within the pages");
      const isAfter = page.segment > segment || (page.segment === segment && page.offset > offset);
      if (isAfter) high = middle;
      else low = middle + 1;
    }
    const found = this.#pages[low - 1];
    if (found === undefined || found.segment !== segment) return undefined;
    const from = offset - found.offset;
    if (from + byteCount > lengthOf(found)) return undefined;
    const { page, body } = found;
    const end = body === null ? from + byteCount : found.byteCount;
    return { bytes: page.bytes.slice(from, end), body };
  }

  #pageFor({ segment, offset }: Place, room: number): StagedPage {
    const last = this.#pages.at(-1);
    if (last !== undefined && this.#pages.length > this.#takenCount && last.body === null) {
      const isNext = last.segment === segment && last.offset + last.byteCount === offset;
      if (isNext && last.byteCount + room <= last.page.bytes.length) return last;
    }
    const page = this.#free.pop() ?? pageOf(new Uint8Array(this.#pageBytes));
    const staged: StagedPage = { page, segment, offset, byteCount: 0, body: null };
    this.#pages.push(staged);
    return staged;
  }
}
