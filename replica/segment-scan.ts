/**
 * Walks over the records of a segment from first to last, past whatever is damaged.
 *
 * A header that verifies is believed, its length too; a body that does not verify costs one record.
 * A caller that needs a body asks whether it is intact: a compaction has no use for most of them.
 * Where no header verifies, the walk tries every later offset until one does, and reports the bytes
 * between as a gap. It judges nothing: whether bad bytes at the end are a torn tail or damage is
 * for its caller to say, which knows whether the segment was closed.
 */
import { assert } from "../core/assert.ts";
import type { LogDisk } from "./log-disk.ts";
import {
  type Checksum,
  decodeRecordHeader,
  headerByteCountAt,
  isBody,
  isRecordHeaderAt,
  type Page,
  pageOf,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordByteCount,
  SEGMENT_HEADER_BYTES,
} from "./log-format.ts";

export interface ScannedRecord {
  readonly found: "record";
  readonly header: RecordHeader;
  readonly offset: number;
}

export type ScanItem =
  | ScannedRecord
  | { readonly found: "gap"; readonly offset: number; readonly byteCount: number };

export interface ScanOptions {
  readonly disk: LogDisk;
  readonly file: string;
  readonly checksum: Checksum;
  readonly salt: number;
  /** Where to stop: the length of the file, or less where the manifest says so. */
  readonly byteCount: number;
  /** The records' sequence numbers are all above this. */
  readonly aboveSequence: number;
  /** The highest sequence number in it; when not known, the numbers are taken to have no gaps. */
  readonly lastSequence?: number;
  /** How much is read at once, in bytes. */
  readonly windowByteCount?: number;
}

const WINDOW_BYTES = 1024 * 1024;
const EMPTY: Page = pageOf(new Uint8Array(0));

export class SegmentScan {
  readonly #options: ScanOptions;
  readonly #windowByteCount: number;
  /** The bytes of the file from `#start` on. */
  #page = EMPTY;
  /** What is read goes here, one window after the other. */
  #window = EMPTY.bytes;
  #start = 0;
  #offset = SEGMENT_HEADER_BYTES;
  /** The last record that was found: its number, and where it ended. */
  #sequence: number;
  #end = SEGMENT_HEADER_BYTES;

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#sequence = options.aboveSequence;
    this.#windowByteCount = options.windowByteCount ?? WINDOW_BYTES;
  }

  /** Where the next item begins. */
  get offset(): number {
    return this.#offset;
  }

  /** @throws DiskFailure when the file cannot be read */
  next(): ScanItem | undefined {
    const offset = this.#offset;
    const end = this.#options.byteCount;
    if (offset >= end) return undefined;
    if (!this.#isHeaderAt(offset)) {
      this.#offset = this.#nextHeaderAfter(offset);
      return { found: "gap", offset, byteCount: this.#offset - offset };
    }
    const header = decodeRecordHeader(this.#page, offset - this.#start);
    this.#sequence = header.sequence;
    this.#offset = Math.min(end, offset + recordByteCount(header));
    this.#end = this.#offset;
    assert(this.#offset > offset, "a walk goes forward");
    return { found: "record", header, offset };
  }

  /**
   * The body of the record returned last: a view, good until the next call of `next`; null where it
   * is not all there, or does not verify.
   *
   * @throws DiskFailure when the file cannot be read
   */
  intactBody({ header, offset }: ScannedRecord): Uint8Array | null {
    if (!this.#load(offset, recordByteCount(header))) return null;
    const from = offset - this.#start + RECORD_HEADER_BYTES + header.keyByteCount;
    const body = this.#page.bytes.subarray(from, from + header.bodyByteCount);
    return isBody(body, header, this.#options) ? body : null;
  }

  isIntact(record: ScannedRecord): boolean {
    return this.intactBody(record) !== null;
  }

  /**
   * Reads some of a record's body, from a place in it on; false where that is not all there.
   *
   * @throws DiskFailure when the file cannot be read
   */
  readsBody({ header, offset }: ScannedRecord, from: number, into: Uint8Array): boolean {
    const { disk, file, byteCount } = this.#options;
    const at = offset + RECORD_HEADER_BYTES + header.keyByteCount + from;
    return at + into.length <= byteCount && disk.read(file, at, into) === into.length;
  }

  /** Whether these bytes are the body of the record. */
  isBodyOf({ header }: ScannedRecord, body: Uint8Array): boolean {
    return isBody(body, header, this.#options);
  }

  #isHeaderAt(offset: number): boolean {
    if (!this.#load(offset, RECORD_HEADER_BYTES)) return false;
    const length = headerByteCountAt(this.#page, offset - this.#start);
    if (length === 0 || !this.#load(offset, length)) return false;
    const { salt, checksum } = this.#options;
    // A record takes at least a header, so numbers cannot have run further ahead than that.
    const skippedCount = Math.floor((offset - this.#end) / RECORD_HEADER_BYTES);
    const atMost = this.#options.lastSequence ?? this.#sequence + 1 + skippedCount;
    const bounds = { above: this.#sequence, atMost };
    return isRecordHeaderAt(this.#page, offset - this.#start, { salt, checksum, bounds });
  }

  #nextHeaderAfter(offset: number): number {
    const end = this.#options.byteCount;
    for (let at = offset + 1; at + RECORD_HEADER_BYTES <= end; at++) {
      if (this.#isHeaderAt(at)) return at;
    }
    return end;
  }

  /** Brings some bytes into the page; false when they are not all there. */
  #load(offset: number, byteCount: number): boolean {
    if (offset + byteCount > this.#options.byteCount) return false;
    const from = offset - this.#start;
    if (from >= 0 && from + byteCount <= this.#page.bytes.length) return true;
    const left = this.#options.byteCount - offset;
    const wanted = Math.min(Math.max(byteCount, this.#windowByteCount), left);
    if (this.#window.length < wanted) this.#window = new Uint8Array(wanted);
    const bytes = this.#window.subarray(0, wanted);
    const readCount = this.#options.disk.read(this.#options.file, offset, bytes);
    this.#page = pageOf(bytes.subarray(0, readCount));
    this.#start = offset;
    return readCount >= byteCount;
  }
}
