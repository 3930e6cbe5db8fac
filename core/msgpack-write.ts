/**
 * Writes MessagePack, each value in its shortest form: numbers, texts, bytes, booleans, null and
 * lists of these. See msgpack-read.ts for why it is written here and how it is tested.
 */
import { assert } from "./assert.ts";

const encoder = new TextEncoder();
/** Room that is kept from one value to the next; what a longer one needed is given back. */
const KEPT_BYTES_MAX = 64 * 1024;
const TWO_32 = 2 ** 32;

/** One write runs at a time: nothing in it can wait. */
let page = new Uint8Array(4096);
let view = new DataView(page.buffer);
let at = 0;

/** @throws AssertionFailure for a value of another kind */
export function writeValue(value: unknown): Uint8Array {
  at = 0;
  put(value);
  const bytes = page.slice(0, at);
  if (page.length > KEPT_BYTES_MAX) resize(4096);
  return bytes;
}

function resize(length: number): void {
  const old = page;
  page = new Uint8Array(length);
  if (at <= length) page.set(old.subarray(0, at));
  view = new DataView(page.buffer);
}

function reserve(byteCount: number): void {
  if (at + byteCount > page.length) resize(Math.max(2 * page.length, at + byteCount));
}

function put(value: unknown): void {
  reserve(9);
  if (typeof value === "string") return putText(value);
  if (typeof value === "number") return putNumber(value);
  if (value === null) page[at++] = 0xc0;
  else if (typeof value === "boolean") page[at++] = value ? 0xc3 : 0xc2;
  else if (value instanceof Uint8Array) putBytes(value);
  else if (Array.isArray(value)) putList(value);
  else assert(false, `a value of a kind that is not encoded: ${typeof value}`);
}

/** A head that carries a length in 8, 16 or 32 bits; `first` is the head of the shortest. */
function putLength(first: number, length: number): void {
  if (length < 0x100) {
    page[at] = first;
    page[at + 1] = length;
    at += 2;
  } else if (length < 0x10000) {
    page[at] = first + 1;
    view.setUint16(at + 1, length);
    at += 3;
  } else {
    page[at] = first + 2;
    view.setUint32(at + 1, length);
    at += 5;
  }
}

function putBytes(bytes: Uint8Array): void {
  putLength(0xc4, bytes.length);
  reserve(bytes.length);
  page.set(bytes, at);
  at += bytes.length;
}

function putList(items: readonly unknown[]): void {
  const { length } = items;
  if (length < 16) page[at++] = 0x90 | length;
  else if (length < 0x10000) {
    page[at] = 0xdc;
    view.setUint16(at + 1, length);
    at += 3;
  } else {
    page[at] = 0xdd;
    view.setUint32(at + 1, length);
    at += 5;
  }
  for (const item of items) put(item);
}

function putText(text: string): void {
  const { length } = text;
  if (length > 31) return putLongText(text);
  // As if it were ASCII, and anew if it is not.
  const start = at;
  reserve(1 + length);
  page[at++] = 0xa0 | length;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) {
      at = start;
      return putLongText(text);
    }
    page[at++] = unit;
  }
}

function putLongText(text: string): void {
  const bytes = encoder.encode(text);
  if (bytes.length < 32) page[at++] = 0xa0 | bytes.length;
  else putLength(0xd9, bytes.length);
  reserve(bytes.length);
  page.set(bytes, at);
  at += bytes.length;
}

function putNumber(value: number): void {
  if (!Number.isSafeInteger(value)) {
    page[at] = 0xcb;
    view.setFloat64(at + 1, value);
    at += 9;
  } else if (value >= 0) putUnsigned(value);
  else putNegative(value);
}

function putUnsigned(value: number): void {
  if (value < 0x80) page[at++] = value;
  // Of one, two and four bytes: the heads stand side by side as those of lengths do.
  else if (value < TWO_32) putLength(0xcc, value);
  else {
    page[at] = 0xcf;
    view.setUint32(at + 1, Math.floor(value / TWO_32));
    view.setUint32(at + 5, value % TWO_32);
    at += 9;
  }
}

function putNegative(value: number): void {
  if (value >= -0x20) page[at++] = value + 0x100;
  else if (value >= -0x80) {
    page[at] = 0xd0;
    view.setInt8(at + 1, value);
    at += 2;
  } else if (value >= -0x8000) {
    page[at] = 0xd1;
    view.setInt16(at + 1, value);
    at += 3;
  } else if (value >= -0x80000000) {
    page[at] = 0xd2;
    view.setInt32(at + 1, value);
    at += 5;
  } else {
    page[at] = 0xd3;
    view.setInt32(at + 1, Math.floor(value / TWO_32));
    view.setUint32(at + 5, value - Math.floor(value / TWO_32) * TWO_32);
    at += 9;
  }
}
