/**
 * Records that were written but have not reached the disk yet, as the bytes that will lie there.
 *
 * They are gathered in pages, each a stretch of one segment, so that everything that queued while
 * the disk was busy goes out as one write; and they are read from here until they are durable.
 * Pages that come back are used again: a fresh quarter of a megabyte a batch would be zeroed by
 * the runtime each time, for nothing.
 */
import { assert } from "../core/assert.ts";
import {
  type Checksum,
  encodeRecord,
  type Page,
  pageOf,
  type RecordFields,
  recordByteCountMax,
} from "./log-format.ts";

export interface StagedPage {
  readonly page: Page;
  readonly segment: number;
  /** Where in the segment the page begins. */
  readonly offset: number;
  /** How much of it is filled. */
  byteCount: number;
  /** Whether somebody has bytes of it that are no copy: it is not written over then. */
  isLent: boolean;
}

const PAGE_BYTES_MAX = 256 * 1024;
const FREE_PAGES_COUNT_MAX = 8;
/** Pages of one record each, longer than the usual ones, that are kept to be used again. */
const FREE_LONG_COUNT_MAX = 4;
const FREE_LONG_BYTES_MAX = 1024 * 1024;

export class Staging {
  readonly #pageBytes: number;
  /** Oldest first, by segment and offset. */
  readonly #pages: StagedPage[] = [];
  readonly #free: Page[] = [];
  readonly #freeLong: Page[] = [];
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

  /** Adds a record at the end of a segment; returns its length. */
  add(
    at: { segment: number; offset: number },
    record: { fields: RecordFields; body: Uint8Array; salt: number; checksum: Checksum },
  ): number {
    const room = recordByteCountMax(record.fields.key, record.body);
    const staged = this.#pageFor(at, room);
    const byteCount = encodeRecord(staged.page, staged.byteCount, record);
    staged.byteCount += byteCount;
    this.#byteCount += byteCount;
    return byteCount;
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
      this.#byteCount -= staged.byteCount;
      this.#keepFree(staged);
    }
    this.#takenCount = 0;
    assert(this.#byteCount >= 0, "no more is released than was staged");
  }

  #keepFree({ page, isLent }: StagedPage): void {
    if (page.bytes.length === this.#pageBytes) {
      if (this.#free.length < FREE_PAGES_COUNT_MAX) this.#free.push(page);
    } else if (!isLent && page.bytes.length <= FREE_LONG_BYTES_MAX) {
      // The newest are of the length that is written now.
      if (this.#freeLong.unshift(page) > FREE_LONG_COUNT_MAX) this.#freeLong.pop();
    }
  }

  /**
   * Some bytes of a segment, or `undefined` when they are on the disk. Out of a page that is used
   * again they are a copy. A record that is too long for one is given as it lies there, and its
   * page is not used again then: on a slow disk it may be read often before it is durable.
   */
  read(segment: number, offset: number, byteCount: number): Uint8Array | undefined {
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
    if (from + byteCount > found.byteCount) return undefined;
    const { bytes } = found.page;
    const end = from + byteCount;
    if (bytes.length === this.#pageBytes) return bytes.slice(from, end);

    found.isLent = true;
    return bytes.subarray(from, end);
  }

  #pageFor(at: { segment: number; offset: number }, room: number): StagedPage {
    const last = this.#pages.at(-1);
    if (last !== undefined && this.#pages.length > this.#takenCount) {
      const isNext = last.segment === at.segment && last.offset + last.byteCount === at.offset;
      if (isNext && last.byteCount + room <= last.page.bytes.length) return last;
    }
    const page =
      room > this.#pageBytes
        ? this.#longPage(room)
        : (this.#free.pop() ?? pageOf(new Uint8Array(this.#pageBytes)));
    const { segment, offset } = at;
    const staged: StagedPage = { page, segment, offset, byteCount: 0, isLent: false };
    this.#pages.push(staged);
    return staged;
  }

  #longPage(room: number): Page {
    const fits = ({ bytes }: Page): boolean => bytes.length >= room && bytes.length <= 2 * room;
    const at = this.#freeLong.findIndex(fits);
    const [kept] = at < 0 ? [] : this.#freeLong.splice(at, 1);
    return kept ?? pageOf(new Uint8Array(room));
  }
}
