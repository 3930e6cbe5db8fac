/**
 * The outline of a closed segment: its records' headers and keys without the bodies, so that a
 * restart reads no values. (Bitcask calls this a hint file; in Starling a hint is a copy kept for
 * another replica.) It is made from the segment once that is closed, and can be thrown away at any
 * time: whenever anything about it does not hold, the segment itself is read instead.
 *
 * A row is a record's header and key with the record's offset where the header's checksum was; the
 * rows stand in blocks with one checksum each.
 */
import { assert } from "../core/assert.ts";
import { DiskFailure, type LogDisk } from "./log-disk.ts";
import {
  type Checksum,
  decodeRecordHeader,
  FORMAT_VERSION,
  magicVersion,
  outlineFile,
  pageOf,
  putMagic,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from "./log-format.ts";

const MAGIC = "STARIDX";
const HEAD_BYTES = 36;
const BLOCK_HEAD_BYTES = 8;
/** No block is larger: some 250 KiB of rows and the row that passed that mark. */
const BLOCK_BYTES_MAX = 512 * 1024;

/** What ties an outline to its segment. */
export interface OutlineOf {
  readonly id: number;
  readonly salt: number;
  readonly byteCount: number;
  readonly recordCount: number;
}

export function encodeOutlineHead(of: OutlineOf, checksum: Checksum): Uint8Array {
  const { bytes, view } = pageOf(new Uint8Array(HEAD_BYTES));
  putMagic(bytes, MAGIC);
  view.setUint32(8, of.id, true);
  view.setUint32(12, of.salt, true);
  view.setFloat64(16, of.byteCount, true);
  view.setFloat64(24, of.recordCount, true);
  view.setUint32(32, checksum(bytes.subarray(0, 32), of.salt), true);
  return bytes;
}

/** Gathers the rows of one block. */
export class OutlineBlock {
  #page = pageOf(new Uint8Array(16 * 1024));
  #length = BLOCK_HEAD_BYTES;

  get byteCount(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.#length === BLOCK_HEAD_BYTES;
  }

  /** @param head the record's header and key, as they stand in the segment */
  add(offset: number, head: Uint8Array): void {
    const end = this.#length + head.length;
    assert(end <= BLOCK_BYTES_MAX, "a block is closed before it grows too large");
    if (end > this.#page.bytes.length) {
      const larger = new Uint8Array(Math.min(BLOCK_BYTES_MAX, 2 * end));
      larger.set(this.#page.bytes);
      this.#page = pageOf(larger);
    }
    this.#page.bytes.set(head, this.#length);
    this.#page.view.setUint32(this.#length, offset, true);
    this.#length = end;
  }

  encode(of: OutlineOf, checksum: Checksum): Uint8Array {
    const { bytes, view } = this.#page;
    view.setUint32(4, this.#length - BLOCK_HEAD_BYTES, true);
    view.setUint32(0, checksum(bytes.subarray(4, this.#length), of.salt), true);
    return bytes.slice(0, this.#length);
  }
}

export interface OutlineRow {
  readonly header: RecordHeader;
  readonly offset: number;
}

/** Reads an outline, or says `undefined` when it is not there, not whole or not this segment's. */
export function readOutline(
  disk: LogDisk,
  of: OutlineOf,
  checksum: Checksum,
): Iterable<OutlineRow> | undefined {
  try {
    const file = outlineFile(of.id);
    const byteCount = disk.byteCount(file);
    if (byteCount === undefined || byteCount < HEAD_BYTES) return undefined;
    const head = new Uint8Array(HEAD_BYTES);
    if (disk.read(file, 0, head) < HEAD_BYTES) return undefined;
    if (magicVersion(head, MAGIC) !== FORMAT_VERSION) return undefined;
    const expected = encodeOutlineHead(of, checksum);
    if (!head.every((byte, i) => byte === expected[i])) return undefined;
    const bytes = new Uint8Array(byteCount - HEAD_BYTES);
    if (disk.read(file, HEAD_BYTES, bytes) < bytes.length) return undefined;
    return isWhole(bytes, of, checksum) ? rowsOf(bytes) : undefined;
  } catch (error) {
    if (error instanceof DiskFailure) return undefined;
    throw error;
  }
}

/** Looks at every block before one row is believed: a replay cannot be taken back. */
function isWhole(bytes: Uint8Array, of: OutlineOf, checksum: Checksum): boolean {
  const { view } = pageOf(bytes);
  let rowsCount = 0;
  let at = 0;
  while (at < bytes.length) {
    if (at + BLOCK_HEAD_BYTES > bytes.length) return false;
    const end = at + BLOCK_HEAD_BYTES + view.getUint32(at + 4, true);
    if (end > bytes.length || end - at > BLOCK_BYTES_MAX) return false;
    if (checksum(bytes.subarray(at + 4, end), of.salt) !== view.getUint32(at, true)) return false;
    at += BLOCK_HEAD_BYTES;
    for (; at < end; rowsCount++) at += RECORD_HEADER_BYTES + view.getUint16(at + 12, true);
    if (at !== end) return false;
  }
  return rowsCount === of.recordCount;
}

function* rowsOf(bytes: Uint8Array): Iterable<OutlineRow> {
  const page = pageOf(bytes);
  let at = 0;
  while (at < bytes.length) {
    const end = at + BLOCK_HEAD_BYTES + page.view.getUint32(at + 4, true);
    at += BLOCK_HEAD_BYTES;
    while (at < end) {
      const header = decodeRecordHeader(page, at);
      yield { header, offset: page.view.getUint32(at, true) };
      at += RECORD_HEADER_BYTES + header.keyByteCount;
    }
    assert(at === end, "the blocks were looked at before");
  }
}
