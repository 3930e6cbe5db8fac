/**
 * Reads MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), as much of it as this
 * program writes: numbers, texts, bytes, booleans, nil and lists of these. Maps and extension types
 * are refused.
 *
 * What comes from a peer or a disk is judged as it is read. A few bytes that declare a million
 * items, or that nest a hundred thousand lists, must cost neither memory nor the stack. Every item
 * takes at least one byte, so the items that are declared but have not come yet can never outnumber
 * the bytes that are left: one comparison refuses every list that promises more than it holds,
 * however the promise is nested, before any of it is built. So hostile bytes cost time and memory
 * in proportion to their own length and no more.
 *
 * Limits: in a text that is not UTF-8, U+FFFD is read in place of what is malformed; a number may
 * be written in more bytes than it needs, and one beyond 2^53 is rounded.
 */
import { assert } from "./assert.ts";

export interface ReadLimits {
  /** How many lists may lie inside one another. */
  readonly depthMax: number;
  /** How many values there may be altogether, lists included. */
  readonly nodesMax: number;
}

/** Why bytes are not one value. */
export class MalformedValue extends Error {
  override readonly name = "MalformedValue";
}

/** The deepest nesting that can be asked for: the reader recurses. */
const DEPTH_MAX = 32;
/** Texts of ASCII up to this long are put together here: to call the host's decoder costs more. */
const SHORT_BYTES = 24;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
/** By length, the codes of a short text: `String.fromCharCode` takes them in one go. */
const shortCodes = Array.from({ length: SHORT_BYTES + 1 }, (_, length) =>
  new Array<number>(length).fill(0),
);
const scratch = new DataView(new ArrayBuffer(8));

/** One value is read at a time: nothing in it can wait. */
let bytes = new Uint8Array(0);
let at = 0;
let end = 0;
let nodes = 0;
/** Items declared so far that have not come yet, in all open lists together. */
let pending = 0;
let limits: ReadLimits = { depthMax: 0, nodesMax: 0 };

/**
 * The one value that the bytes are. Bytes in it are views of the input, not copies.
 *
 * @throws MalformedValue when they are anything else, or more than the limits allow
 */
export function readValue(input: Uint8Array, within: ReadLimits): unknown {
  assert(within.depthMax >= 0 && within.depthMax <= DEPTH_MAX, "the stack is deep enough");
  bytes = input as Uint8Array<ArrayBuffer>;
  limits = within;
  at = 0;
  end = input.length;
  nodes = 1;
  pending = 1;
  const value = next(0);
  if (at !== end) throw new MalformedValue("bytes after the end");
  return value;
}

function next(depth: number): unknown {
  if (at >= end) throw new MalformedValue("cut off");
  pending--;
  const head = bytes[at++] as number;
  if (head < 0x80) return head;
  if (head >= 0xe0) return head - 0x100;
  if (head >= 0xa0 && head < 0xc0) return text(head - 0xa0);
  if (head >= 0x90 && head < 0xa0) return list(head - 0x90, depth);
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return binary(uint(1 << (head - 0xc4)));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return text(uint(1 << (head - 0xd9)));
    case 0xdc:
    case 0xdd:
      return list(uint(2 << (head - 0xdc)), depth);
    default:
      return number(head);
  }
}

function number(head: number): number {
  switch (head) {
    case 0xca:
    case 0xcb:
      return float(4 << (head - 0xca));
    case 0xcc:
    case 0xcd:
    case 0xce:
      return uint(1 << (head - 0xcc));
    case 0xcf:
      return uint(4) * 2 ** 32 + uint(4);
    case 0xd0:
      return (uint(1) << 24) >> 24;
    case 0xd1:
      return (uint(2) << 16) >> 16;
    case 0xd2:
      return uint(4) | 0;
    case 0xd3:
      return (uint(4) | 0) * 2 ** 32 + uint(4);
    default:
      throw new MalformedValue(refusalOf(head));
  }
}

function refusalOf(head: number): string {
  if (head === 0xc1) return "a byte that starts nothing";
  const isMap = head < 0x90 || head >= 0xde;
  return isMap ? "maps are not taken" : "extension types are not taken";
}

/** So many bytes are taken; returns where they begin. */
function take(byteCount: number): number {
  const from = at;
  if (byteCount > end - from) throw new MalformedValue("shorter than it declares");
  at = from + byteCount;
  return from;
}

/** An unsigned number of 1, 2 or 4 bytes, the most significant first. */
function uint(byteCount: number): number {
  const to = take(byteCount) + byteCount;
  let value = 0;
  for (let i = to - byteCount; i < to; i++) value = value * 256 + (bytes[i] as number);
  return value;
}

function float(byteCount: number): number {
  const from = take(byteCount);
  for (let i = 0; i < byteCount; i++) scratch.setUint8(i, bytes[from + i] as number);
  return byteCount === 4 ? scratch.getFloat32(0) : scratch.getFloat64(0);
}

function binary(byteCount: number): Uint8Array {
  const from = take(byteCount);
  return bytes.subarray(from, from + byteCount);
}

function text(byteCount: number): string {
  if (byteCount === 0) return "";
  const from = take(byteCount);
  if (byteCount > SHORT_BYTES) return utf8.decode(bytes.subarray(from, from + byteCount));
  const codes = shortCodes[byteCount] as number[];
  for (let i = 0; i < byteCount; i++) {
    const code = bytes[from + i] as number;
    if (code > 127) return utf8.decode(bytes.subarray(from, from + byteCount));
    codes[i] = code;
  }
  return String.fromCharCode.apply(null, codes);
}

function list(count: number, depth: number): unknown[] {
  if (depth === limits.depthMax) throw new MalformedValue("nested too deeply");
  nodes += count;
  if (nodes > limits.nodesMax) throw new MalformedValue("too many values");
  pending += count;
  if (pending > end - at) throw new MalformedValue("shorter than it declares");
  const items = new Array<unknown>(count);
  for (let i = 0; i < count; i++) items[i] = next(depth + 1);
  return items;
}
