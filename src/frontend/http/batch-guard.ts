/**
 * Judges a batch's bytes before they are parsed. A parser allocates as it goes: a hundred kilobytes
 * of nested lists that each declare two thousand items cost a decoder most of a gigabyte. So the
 * structure alone is walked first: next to nothing is allocated, and the time is in proportion to
 * the bytes.
 *
 * Limits: neither walk checks that the whole is well-formed; the parser behind it does. The one of
 * MessagePack takes any bytes for a text, though, so its texts are checked here.
 */
import { BATCH_OPS_MAX, METADATA_BYTES_MAX } from "../../../core/limits.ts";
import { Problem } from "./problems.ts";

/** body > ops > op, and metadata of the longest kind that nests in every second byte. */
const DEPTH_MAX = 3 + METADATA_BYTES_MAX / 2;
/** The members of an op, their names, and metadata of which every byte is a value. */
const VALUES_MAX = BATCH_OPS_MAX * (METADATA_BYTES_MAX + 32);

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/** Where the text that begins behind `at` ends. */
function endOfText(bytes: Uint8Array, at: number): number {
  let i = at + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}

/** Whether JSON nests deeper, or has more values, than any batch needs. */
export function isJsonBomb(bytes: Uint8Array): boolean {
  let depth = 0;
  let values = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) i = endOfText(bytes, i);
    else if (byte === COMMA) values++;
    else if (OPENING.has(byte)) {
      values++;
      depth++;
    } else if (CLOSING.has(byte)) depth--;
    if (depth > DEPTH_MAX || values > VALUES_MAX) return true;
  }
  return false;
}

/** A head byte's meaning: bytes of a length field, bytes of a fixed size, values inside. */
interface Head {
  readonly lengthSize: number;
  readonly size: number;
  /** Values for each unit of the length: 1 in a list, 2 in a map, 0 where it counts bytes. */
  readonly inside: number;
}

const head = (lengthSize: number, size: number, inside: number): Head => ({
  lengthSize,
  size,
  inside,
});

/** The table of https://github.com/msgpack/msgpack/blob/master/spec.md from 0xc0 to 0xdf. */
const HEADS: readonly Head[] = [
  ...[0, 0, 0, 0].map(() => head(0, 0, 0)),
  ...[1, 2, 4].map((lengthSize) => head(lengthSize, 0, 0)),
  ...[1, 2, 4].map((lengthSize) => head(lengthSize, 1, 0)),
  ...[4, 8, 1, 2, 4, 8, 1, 2, 4, 8].map((size) => head(0, size, 0)),
  ...[2, 3, 5, 9, 17].map((size) => head(0, size, 0)),
  ...[1, 2, 4].map((lengthSize) => head(lengthSize, 0, 0)),
  ...[2, 4].map((lengthSize) => head(lengthSize, 0, 1)),
  ...[2, 4].map((lengthSize) => head(lengthSize, 0, 2)),
];
const SCALAR = head(0, 0, 0);

function headOf(byte: number): Head {
  if (byte >= 0x80 && byte < 0x90) return head(0, byte - 0x80, 2);
  if (byte >= 0x90 && byte < 0xa0) return head(0, byte - 0x90, 1);
  if (byte >= 0xa0 && byte < 0xc0) return head(0, byte - 0xa0, 0);
  return HEADS[byte - 0xc0] ?? SCALAR;
}

function lengthAt(bytes: Uint8Array, at: number, lengthSize: number): number {
  let length = 0;
  for (let i = 0; i < lengthSize; i++) length = length * 256 + (bytes[at + i] ?? 255);
  return length;
}

/** Texts of up to 31 bytes, and those with a length of one, two or four bytes. */
const isTextHead = (byte: number): boolean =>
  (byte >= 0xa0 && byte < 0xc0) || (byte >= 0xd9 && byte <= 0xdb);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The decoder would make other characters of what is no UTF-8, and so another key or value.
 *
 * @throws Problem `invalid-request`
 */
function checkText(text: Uint8Array): void {
  if (text.every((byte) => byte < 0x80)) return;
  try {
    utf8.decode(text);
  } catch {
    throw new Problem("invalid-request", "A text in the MessagePack is not UTF-8.");
  }
}

/**
 * Whether MessagePack nests deeper, has more values, or declares more than it holds. Every value
 * takes at least a byte, so what is still to come never outnumbers the bytes that are left.
 *
 * @throws Problem `invalid-request` for a text that is not UTF-8
 */
export function isMsgpackBomb(bytes: Uint8Array): boolean {
  const open = new Int32Array(DEPTH_MAX + 2);
  let depth = 0;
  let values = 0;
  let pending = 1;
  open[0] = 1;
  for (let at = 0; pending > 0; ) {
    while (open[depth] === 0) depth--;
    if (pending > bytes.length - at || ++values > VALUES_MAX) return true;
    const byte = bytes[at] as number;
    const { lengthSize, size, inside } = headOf(byte);
    const length = lengthAt(bytes, at + 1, lengthSize) + size;
    at += 1 + lengthSize;
    pending--;
    open[depth] = (open[depth] as number) - 1;
    if (isTextHead(byte)) checkText(bytes.subarray(at, at + length));
    if (inside === 0) at += length;
    else if (depth >= DEPTH_MAX || length > bytes.length) return true;
    else {
      pending += length * inside;
      open[++depth] = length * inside;
    }
  }
  return false;
}
