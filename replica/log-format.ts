/**
 * The bytes of a segment: `docs/wal-format.md` draws them, the golden files in the tests hold them.
 *
 * A reader must tell a torn tail from a damaged middle, so it must be able to go on behind a bad
 * record. Therefore a record's header (with its key) has a checksum of its own: once that holds,
 * the length in it can be trusted even when the body behind it is bad. Where it does not hold, the
 * reader looks for the next header that does. Two things keep it from believing bytes that only
 * look like a record (an older use of the disk block, a value that holds a copy of a log): every
 * checksum is seeded with the segment's random salt, and sequence numbers only go up.
 *
 * The checksum is xxHash32, handed in: it is already loaded for the ring, it costs 50 ns plus
 * 0.16 ns a byte, and it notices every change within one aligned word of four bytes (each of its
 * rounds is a bijection of the word), so every single flipped bit. It is no defence against people.
 */
import { assert } from "../core/assert.ts";
import { type Bytes, putBytes } from "../core/pieces.ts";

/** xxHash32 of some bytes under a seed, as an unsigned number of 32 bits. */
export type Checksum = (bytes: Bytes, seed: number) => number;

export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 40;

const SEGMENT_MAGIC = "STARLOG";
/** A constant byte in each record header, so that the search for one can skip most offsets. */
const RECORD_MARK = 0xa5;
const MARK_AT = 15;
const TWO_32 = 2 ** 32;

export const SPACES = { entry: 1, hint: 2, meta: 3 } as const;
export type Space = (typeof SPACES)[keyof typeof SPACES];

export const OPERATIONS = {
  write: 0x00,
  drop: 0x10,
  /** The newest record of this key was found damaged. The body is that of an older one, if any. */
  lost: 0x20,
} as const;
export type RecordOperation = (typeof OPERATIONS)[keyof typeof OPERATIONS];

export interface RecordHeader {
  readonly space: Space;
  readonly operation: RecordOperation;
  readonly key: string;
  readonly keyByteCount: number;
  readonly bodyByteCount: number;
  readonly bodyChecksum: number;
  readonly sequence: number;
  readonly partition: number;
  readonly digest: number;
  readonly dueAt: number;
}

/** What a writer says of a record; the rest of the header follows from the bytes. */
export type RecordFields = Pick<
  RecordHeader,
  "space" | "operation" | "key" | "sequence" | "partition" | "digest" | "dueAt"
>;

export interface SegmentHeader {
  /** Which log the segment belongs to: 16 hexadecimal digits, drawn when the folder was made. */
  readonly logId: string;
  readonly segment: number;
  readonly salt: number;
  readonly compacted: boolean;
}

/** Bytes with the view that reads numbers from them. */
export interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const pageOf = (bytes: Uint8Array): Page => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});

export const recordByteCount = (record: { keyByteCount: number; bodyByteCount: number }): number =>
  RECORD_HEADER_BYTES + record.keyByteCount + record.bodyByteCount;

/** The most that a record can take: a UTF-16 unit is at most three bytes in UTF-8. */
export const recordByteCountMax = (key: string, body: Pick<Bytes, "length">): number =>
  RECORD_HEADER_BYTES + 3 * key.length + body.length;

export interface RecordToWrite {
  readonly fields: RecordFields;
  readonly body: Bytes;
  readonly salt: number;
  readonly checksum: Checksum;
}

/** Writes a record at an offset that has room for `recordByteCountMax`; returns its length. */
export function encodeRecord(page: Page, at: number, record: RecordToWrite): number {
  const { body } = record;
  const byteCount = encodeHead(page, at, record);
  assert(at + byteCount + body.length <= page.bytes.length, "a record fits its page");
  putBytes(page.bytes, body, at + byteCount);
  return byteCount + body.length;
}

/** Writes all of a record but its body, which is to follow; returns the length of that. */
export function encodeHead(page: Page, at: number, record: RecordToWrite): number {
  const { fields, body, salt, checksum } = record;
  const { bytes, view } = page;
  const { written } = encoder.encodeInto(fields.key, bytes.subarray(at + RECORD_HEADER_BYTES));
  const headerEnd = at + RECORD_HEADER_BYTES + written;
  assert(written <= 0xffff && headerEnd <= bytes.length, "a record's head fits its page");
  assert(fields.partition >= 0 && fields.partition <= 0xffff, "a partition has 16 bits");
  putFields(view, at, fields);
  const bodyChecksum = body.length === 0 ? 0 : checksum(body, salt);
  putSizes(view, at, { keyByteCount: written, bodyByteCount: body.length, bodyChecksum });
  view.setUint32(at, checksum(bytes.subarray(at + 4, headerEnd), salt), true);
  return headerEnd - at;
}

type Sizes = Pick<RecordHeader, "keyByteCount" | "bodyByteCount" | "bodyChecksum">;

function putSizes(view: DataView, at: number, sizes: Sizes): void {
  view.setUint32(at + 4, sizes.bodyChecksum, true);
  view.setUint32(at + 8, sizes.bodyByteCount, true);
  view.setUint16(at + 12, sizes.keyByteCount, true);
}

function putFields(view: DataView, at: number, fields: RecordFields): void {
  view.setUint8(at + 14, fields.space | fields.operation);
  view.setUint8(at + MARK_AT, RECORD_MARK);
  view.setUint32(at + 16, fields.sequence % TWO_32, true);
  view.setUint16(at + 20, Math.floor(fields.sequence / TWO_32), true);
  view.setUint16(at + 22, fields.partition, true);
  view.setFloat64(at + 24, fields.digest, true);
  view.setFloat64(at + 32, fields.dueAt, true);
}

/** A header and its key alone, without the checksum of the header, as an outline keeps them. */
export function encodeRecordHead(header: RecordHeader): Uint8Array {
  const page = pageOf(new Uint8Array(RECORD_HEADER_BYTES + header.keyByteCount));
  putFields(page.view, 0, header);
  putSizes(page.view, 0, header);
  encoder.encodeInto(header.key, page.bytes.subarray(RECORD_HEADER_BYTES));
  return page.bytes;
}

const sequenceAt = (view: DataView, at: number): number =>
  view.getUint16(at + 20, true) * TWO_32 + view.getUint32(at + 16, true);

/** Reads a header whose bytes were verified. */
export function decodeRecordHeader(page: Page, at: number): RecordHeader {
  const { bytes, view } = page;
  const kind = view.getUint8(at + 14);
  const keyByteCount = view.getUint16(at + 12, true);
  const keyAt = at + RECORD_HEADER_BYTES;
  return {
    space: (kind & 0x0f) as Space,
    operation: (kind & 0xf0) as RecordOperation,
    key: decoder.decode(bytes.subarray(keyAt, keyAt + keyByteCount)),
    keyByteCount,
    bodyByteCount: view.getUint32(at + 8, true),
    bodyChecksum: view.getUint32(at + 4, true),
    sequence: sequenceAt(view, at),
    partition: view.getUint16(at + 22, true),
    digest: view.getFloat64(at + 24, true),
    dueAt: view.getFloat64(at + 32, true),
  };
}

/** The length of a header with its key, or 0 where the bytes cannot be one. Verifies nothing. */
export function headerByteCountAt(page: Page, at: number): number {
  if (at + RECORD_HEADER_BYTES > page.bytes.length) return 0;
  if (page.bytes[at + MARK_AT] !== RECORD_MARK) return 0;
  return RECORD_HEADER_BYTES + page.view.getUint16(at + 12, true);
}

/** Bounds on the sequence number of a record that may stand at a place. */
export interface SequenceBounds {
  readonly above: number;
  readonly atMost: number;
}

/** Whether a record header that verifies stands at the offset; the whole header is in the page. */
export function isRecordHeaderAt(
  page: Page,
  at: number,
  expected: { salt: number; checksum: Checksum; bounds: SequenceBounds },
): boolean {
  const length = headerByteCountAt(page, at);
  if (length === 0 || at + length > page.bytes.length) return false;
  const sequence = sequenceAt(page.view, at);
  if (sequence <= expected.bounds.above || sequence > expected.bounds.atMost) return false;
  const checksum = page.view.getUint32(at, true);
  return expected.checksum(page.bytes.subarray(at + 4, at + length), expected.salt) === checksum;
}

export const isBody = (
  body: Uint8Array,
  header: RecordHeader,
  expected: { salt: number; checksum: Checksum },
): boolean =>
  body.length === 0
    ? header.bodyChecksum === 0
    : expected.checksum(body, expected.salt) === header.bodyChecksum;

export function encodeSegmentHeader(header: SegmentHeader, checksum: Checksum): Uint8Array {
  const { bytes, view } = pageOf(new Uint8Array(SEGMENT_HEADER_BYTES));
  putMagic(bytes, SEGMENT_MAGIC);
  putLogId(view, 8, header.logId);
  view.setUint32(16, header.segment, true);
  view.setUint32(20, header.salt, true);
  view.setUint8(24, header.compacted ? 1 : 0);
  view.setUint32(28, checksum(bytes.subarray(0, 28), 0), true);
  return bytes;
}

/** `undefined` when the bytes are no segment header that verifies. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  checksum: Checksum,
): (SegmentHeader & { readonly version: number }) | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const { view } = pageOf(bytes);
  const version = magicVersion(bytes, SEGMENT_MAGIC);
  if (version === undefined) return undefined;
  if (checksum(bytes.subarray(0, 28), 0) !== view.getUint32(28, true)) return undefined;
  return {
    version,
    logId: logIdAt(view, 8),
    segment: view.getUint32(16, true),
    salt: view.getUint32(20, true),
    compacted: view.getUint8(24) === 1,
  };
}

/** Seven letters and the version of the format. */
export function putMagic(bytes: Uint8Array, magic: string): void {
  assert(magic.length === 7, "a magic has seven letters");
  encoder.encodeInto(magic, bytes);
  bytes[7] = FORMAT_VERSION;
}

export const magicVersion = (bytes: Uint8Array, magic: string): number | undefined =>
  bytes.length >= 8 && decoder.decode(bytes.subarray(0, 7)) === magic ? bytes[7] : undefined;

export function putLogId(view: DataView, at: number, logId: string): void {
  view.setUint32(at, Number.parseInt(logId.slice(0, 8), 16));
  view.setUint32(at + 4, Number.parseInt(logId.slice(8), 16));
}

export const logIdAt = (view: DataView, at: number): string =>
  [view.getUint32(at), view.getUint32(at + 4)]
    .map((word) => word.toString(16).padStart(8, "0"))
    .join("");

/** `0000000001.wal`: sorts by number, and has nothing of a user's in it. */
export const segmentFile = (id: number): string => `${String(id).padStart(10, "0")}.wal`;
export const outlineFile = (id: number): string => `${String(id).padStart(10, "0")}.outline`;
export const MANIFEST_FILE = "manifest";
/** What a crash leaves of a file that was being replaced. */
export const isLeftover = (file: string): boolean => file.endsWith(".new");

/** The number in the name of a segment, or `undefined` for any other file. */
export function segmentOfFile(file: string): number | undefined {
  const match = /^(\d{10})\.wal$/.exec(file);
  return match === null ? undefined : Number(match[1]);
}
