/**
 * Writes MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): numbers, texts,
 * bytes, booleans, nil and lists of these, each in the fewest bytes that the format has for it.
 * What is written depends on the value alone, so equal values are equal bytes on every host.
 */
import { assert } from "./assert.ts";
import { type Bytes, LONG_BYTES, Pieces } from "./pieces.ts";

/** Lists inside one another. */
const DEPTH_MAX = 64;
const FIRST_BYTES = 64 * 1024;
/** A buffer that one long value made longer than this is not kept. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
/** Texts up to this long are written here while they are ASCII: the host's encoder costs more. */
const SHORT_CHARS = 40;

const utf8 = new TextEncoder();

/** One value is written at a time: nothing in it can wait. */
let buffer = new Uint8Array(FIRST_BYTES);
let view = new DataView(buffer.buffer);
let at = 0;
/** The value that is being written, while nobody has estimated yet how long it will be. */
let unsized: unknown = null;
/** Bytes left out of the buffer, and the place in it before which they belong; null: none are. */
let leftOut: { readonly before: number; readonly bytes: Uint8Array }[] | null = null;

/** The bytes of a value; the writer's own, which are valid until it is next used. */
export function writeBriefly(value: unknown): Uint8Array {
  leftOut = null;
  return writeWhole(value);
}

/**
 * The same in pieces, to be put one after the other: long bytes in the value are given as they are,
 * and not copied. Whoever gave them must not change them any more.
 */
export function writePieces(value: unknown): readonly Uint8Array[] {
  leftOut = [];
  const bytes = writeWhole(value);
  if (leftOut.length === 0) return [bytes];
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const { before, bytes: long } of leftOut) {
    pieces.push(bytes.subarray(from, before), long);
    from = before;
  }
  leftOut = null;
  if (from < bytes.length) pieces.push(bytes.subarray(from));
  return pieces;
}

function writeWhole(value: unknown): Uint8Array {
  if (buffer.length > KEPT_BYTES_MAX) renew(FIRST_BYTES);
  at = 0;
  unsized = value;
  write(value, 0);
  unsized = null;
  return buffer.subarray(0, at);
}

/** Whether bytes stay valid whatever is written next: the writer has given up their buffer. */
export const isLasting = ({ buffer: of }: Uint8Array): boolean =>
  of !== buffer.buffer || buffer.length > KEPT_BYTES_MAX;

/** The bytes of a value, the caller's own. A buffer that is not kept anyway is not copied. */
export function writeOwned(value: unknown): Uint8Array {
  const bytes = writeBriefly(value);
  if (buffer.length <= KEPT_BYTES_MAX) return bytes.slice();
  renew(FIRST_BYTES);
  return bytes;
}

/** The same, where long bytes in the value become parts of the result, and are not copied. */
export function writeOwnedInPieces(value: unknown): Bytes {
  const owned = writePieces(value).map((piece) => (isLasting(piece) ? piece : piece.slice()));
  const [only] = owned;
  return owned.length === 1 && only !== undefined ? only : new Pieces(owned);
}

function write(value: unknown, depth: number): void {
  if (typeof value === "number") return writeNumber(value);
  if (typeof value === "string") return writeText(value);
  if (value === null || value === undefined) return writeByte(0xc0);
  if (typeof value === "boolean") return writeByte(value ? 0xc3 : 0xc2);
  if (Array.isArray(value)) return writeList(value, depth);
  if (value instanceof Pieces) return writeParts(value);
  assert(value instanceof Uint8Array, "numbers, texts, bytes, booleans, null and lists of these");
  writeBytes(value);
}

function writeList(list: readonly unknown[], depth: number): void {
  assert(depth < DEPTH_MAX, "a list of lists has an end");
  const { length } = list;
  if (length < 16) writeByte(0x90 + length);
  else if (length < 0x10000) writeHead(0xdc, 2, length);
  else writeHead(0xdd, 4, length);
  for (let i = 0; i < length; i++) write(list[i], depth + 1);
}

function writeBytes(bytes: Uint8Array): void {
  writeBytesHead(bytes);
  writePart(bytes);
}

function writeParts(pieces: Pieces): void {
  writeBytesHead(pieces);
  for (const part of pieces.parts) writePart(part);
}

function writeBytesHead({ length }: Bytes): void {
  if (length < 0x100) writeHead(0xc4, 1, length);
  else if (length < 0x10000) writeHead(0xc5, 2, length);
  else writeHead(0xc6, 4, length);
}

function writePart(bytes: Uint8Array): void {
  if (isLeftOut(bytes)) {
    leftOut?.push({ before: at, bytes });
    return;
  }
  const from = reserve(bytes.length);
  buffer.set(bytes, from);
}

const isLeftOut = ({ length }: Uint8Array): boolean => leftOut !== null && length >= LONG_BYTES;

function writeText(text: string): void {
  const { length } = text;
  if (length > SHORT_CHARS || !writeShortAscii(text)) writeUtf8(text);
}

/** @returns false, with nothing written, when the text is not ASCII */
function writeShortAscii(text: string): boolean {
  const { length } = text;
  const start = at;
  if (length < 32) writeByte(0xa0 + length);
  else writeHead(0xd9, 1, length);
  const from = reserve(length);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) {
      at = start;
      return false;
    }
    buffer[from + i] = code;
  }
  return true;
}

function writeUtf8(text: string): void {
  const bytes = utf8.encode(text);
  const { length } = bytes;
  if (length < 32) writeByte(0xa0 + length);
  else if (length < 0x100) writeHead(0xd9, 1, length);
  else if (length < 0x10000) writeHead(0xda, 2, length);
  else writeHead(0xdb, 4, length);
  const from = reserve(length);
  buffer.set(bytes, from);
}

function writeNumber(value: number): void {
  if (!Number.isSafeInteger(value)) return writeFloat(value);
  if (value < 0) return writeNegative(value);
  if (value < 0x80) writeByte(value);
  else if (value < 0x100) writeHead(0xcc, 1, value);
  else if (value < 0x10000) writeHead(0xcd, 2, value);
  else if (value < 2 ** 32) writeHead(0xce, 4, value);
  else writeLong(0xcf, value);
}

function writeNegative(value: number): void {
  if (value >= -0x20) writeByte(value);
  else if (value >= -0x80) writeHead(0xd0, 1, value);
  else if (value >= -0x8000) writeHead(0xd1, 2, value);
  else if (value >= -(2 ** 31)) writeHead(0xd2, 4, value);
  else writeLong(0xd3, value);
}

function writeFloat(value: number): void {
  const from = reserve(9);
  buffer[from] = 0xcb;
  view.setFloat64(from + 1, value);
}

/** A whole number of more than 32 bits. */
function writeLong(head: number, value: number): void {
  const from = reserve(9);
  buffer[from] = head;
  view.setInt32(from + 1, Math.floor(value / 2 ** 32));
  view.setInt32(from + 5, value);
}

function writeByte(byte: number): void {
  const from = reserve(1);
  buffer[from] = byte;
}

/** A head byte, and a number of 1, 2 or 4 bytes after it, the most significant first. */
function writeHead(head: number, byteCount: number, value: number): void {
  const from = reserve(1 + byteCount);
  buffer[from] = head;
  if (byteCount === 1) buffer[from + 1] = value;
  else if (byteCount === 2) view.setInt16(from + 1, value);
  else view.setInt32(from + 1, value);
}

/** Makes room for so many bytes more; returns where they begin. */
function reserve(byteCount: number): number {
  const from = at;
  at = from + byteCount;
  if (at > buffer.length) grow();
  return from;
}

/**
 * A value that does not fit is measured once, as a whole: to double the buffer again and again
 * costs three times the memory, all of it zeroed, and copies what is there each time.
 */
function grow(): void {
  const written = buffer;
  const expected = unsized === null ? 0 : roughByteCount(unsized, 0) + FIRST_BYTES;
  unsized = null;
  renew(Math.max(at, 2 * written.length, expected));
  buffer.set(written);
}

/** How many bytes a value takes, but for long numbers and texts that are not ASCII. */
function roughByteCount(value: unknown, depth: number): number {
  if (value instanceof Uint8Array && isLeftOut(value)) return 5;
  if (typeof value === "string" || value instanceof Uint8Array) return 5 + value.length;
  if (value instanceof Pieces) {
    return value.parts.reduce((sum, part) => sum + roughByteCount(part, depth + 1), 5);
  }
  if (!Array.isArray(value) || depth >= DEPTH_MAX) return 1;
  let byteCount = 5;
  for (const item of value) byteCount += roughByteCount(item, depth + 1);
  return byteCount;
}

function renew(byteCount: number): void {
  buffer = new Uint8Array(byteCount);
  view = new DataView(buffer.buffer);
}
