/**
 * Judges MessagePack before it is decoded.
 *
 * A decoder allocates as it goes: a few bytes that declare a million items, or that nest a hundred
 * thousand arrays, cost memory or the stack before anybody can say no. This scan walks the
 * structure alone. It hops from head to head, reads no value, recurses nowhere and allocates
 * nothing, so hostile bytes cost time in proportion to their own length and no more.
 *
 * Every item takes at least one byte. So the items that are declared but have not come yet can
 * never outnumber the bytes that are left, and one comparison refuses every list that promises more
 * than it holds, however the promise is nested.
 *
 * Limits: texts are not checked for being UTF-8, and a number may be written in more bytes than it
 * needs. Neither can harm the decoder.
 */
import { assert } from "./assert.ts";

export interface ScanLimits {
  /** How many lists may lie inside one another. */
  readonly depthMax: number;
  /** How many values there may be altogether, lists included. */
  readonly nodesMax: number;
}

/** What a head byte starts. */
const SCALAR = 0;
const LIST = 1;
const MAP = 2;
const EXTENSION = 3;
const UNUSED = 4;

/** The deepest nesting that can be asked for: the size of the scan's own stack. */
const STACK_DEPTH = 32;

/** By head byte: its kind, the bytes of the length after it, the bytes or items without such. */
const kinds = new Uint8Array(256);
const lengthSizes = new Uint8Array(256);
const fixedSizes = new Uint8Array(256);
/** Items yet to come in each open list. One scan runs at a time: nothing in it can wait. */
const open = new Int32Array(STACK_DEPTH + 1);

function fill(from: number, kind: number, sizes: readonly (readonly [number, number])[]): void {
  for (const [i, [lengthSize, fixedSize]] of sizes.entries()) {
    kinds[from + i] = kind;
    lengthSizes[from + i] = lengthSize;
    fixedSizes[from + i] = fixedSize;
  }
}

const upTo = (count: number): (readonly [number, number])[] =>
  Array.from({ length: count }, (_, i) => [0, i] as const);
const lengths = (...sizes: number[]): (readonly [number, number])[] =>
  sizes.map((size) => [size, 0] as const);
const values = (...sizes: number[]): (readonly [number, number])[] =>
  sizes.map((size) => [0, size] as const);

// The table of https://github.com/msgpack/msgpack/blob/master/spec.md; the rest are single bytes.
fill(0x80, MAP, upTo(16));
fill(0x90, LIST, upTo(16));
fill(0xa0, SCALAR, upTo(32));
fill(0xc1, UNUSED, values(0));
fill(0xc4, SCALAR, lengths(1, 2, 4));
fill(0xc7, EXTENSION, lengths(1, 2, 4));
fill(0xca, SCALAR, values(4, 8, 1, 2, 4, 8, 1, 2, 4, 8));
fill(0xd4, EXTENSION, values(1, 2, 4, 8, 16));
fill(0xd9, SCALAR, lengths(1, 2, 4));
fill(0xdc, LIST, lengths(2, 4));
fill(0xde, MAP, lengths(2, 4));

const refusals: Readonly<Record<number, string>> = {
  [MAP]: "maps are not taken",
  [EXTENSION]: "extension types are not taken",
  [UNUSED]: "a byte that starts nothing",
};

/** A length of 0, 1, 2 or 4 bytes, most significant first; past the end it reads as too long. */
function lengthAt(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) return Number.MAX_SAFE_INTEGER;
  let length = 0;
  for (let i = 0; i < size; i++) length = length * 256 + (bytes[at + i] as number);
  return length;
}

/**
 * Why the bytes are not to be decoded; null when they are exactly one value of numbers, texts,
 * bytes, booleans, nil and lists of these, within the limits.
 */
export function scanFault(bytes: Uint8Array, limits: ScanLimits): string | null {
  const { depthMax, nodesMax } = limits;
  assert(depthMax >= 0 && depthMax <= STACK_DEPTH, "the scan's stack is deep enough");
  const end = bytes.length;
  let at = 0;
  let depth = 0;
  let nodes = 0;
  /** Items declared so far that have not come yet, in all open lists together. */
  let pending = 1;
  open[0] = 1;
  while (pending > 0) {
    while (open[depth] === 0) depth--;
    if (at >= end) return "cut off";
    const head = bytes[at] as number;
    const kind = kinds[head] as number;
    if (kind > LIST) return refusals[kind] as string;
    const lengthSize = lengthSizes[head] as number;
    const size = lengthAt(bytes, at + 1, lengthSize) + (fixedSizes[head] as number);
    at += 1 + lengthSize;
    nodes++;
    pending--;
    open[depth] = (open[depth] as number) - 1;
    if (kind === SCALAR) at += size;
    else {
      if (depth === depthMax) return "nested too deeply";
      pending += size;
      if (nodes + pending > nodesMax) return "too many values";
      open[++depth] = size;
    }
    if (pending > end - at) return "shorter than it declares";
  }
  return at === end ? null : "bytes after the end";
}
