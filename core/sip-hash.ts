/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) in 32-bit halves. A library that keeps its state in
 * objects takes five times as long, and every write hashes in three replicas. The reference
 * implementation's vectors and that library check it (tests/core/keyed-hash.test.ts).
 */
import { assert } from "./assert.ts";

/** The halves of the last hash: `high` and `low`, each 32 bits, signed. */
export const sipHashOut = new Int32Array(2);

const encoder = new TextEncoder();
/** Where a text's bytes are put; grown for longer ones. */
let scratch = new Uint8Array(1024);

/** Hashes the UTF-8 bytes of a text into `sipHashOut`. */
export function sipHashText(key: Int32Array, text: string): void {
  const { length } = text;
  // A UTF-16 unit takes at most three bytes.
  if (3 * length > scratch.length) scratch = new Uint8Array(6 * length);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) {
      sipHash(key, scratch, encoder.encodeInto(text, scratch).written);
      return;
    }
    scratch[i] = unit;
  }
  sipHash(key, scratch, length);
}

/** The word of four bytes, least significant first, of which those from `end` on are missing. */
function wordAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return words(bytes, at);
  let word = 0;
  for (let i = Math.min(end, at + 4) - 1; i >= at; i--) word = (word << 8) | (bytes[i] as number);
  return word;
}

/**
 * Hashes the first `length` bytes into `sipHashOut`.
 *
 * @param key four words, least significant first
 */
export function sipHash(key: Int32Array, bytes: Uint8Array, length: number): void {
  assert(key.length === 4 && length <= bytes.length, "a key of 128 bits, and bytes to hash");
  let al = (key[0] as number) ^ 0x70736575;
  let ah = (key[1] as number) ^ 0x736f6d65;
  let bl = (key[2] as number) ^ 0x6e646f6d;
  let bh = (key[3] as number) ^ 0x646f7261;
  let cl = (key[0] as number) ^ 0x6e657261;
  let ch = (key[1] as number) ^ 0x6c796765;
  let dl = (key[2] as number) ^ 0x79746573;
  let dh = (key[3] as number) ^ 0x74656462;
  for (let block = 0, blockCount = length >>> 3; block <= blockCount + 1; block++) {
    const isEnd = block > blockCount;
    const at = block << 3;
    const last = block === blockCount ? length << 24 : 0;
    const low = isEnd ? 0 : wordAt(bytes, at, length);
    const high = isEnd ? 0 : wordAt(bytes, at + 4, length) | last;
    if (isEnd) cl ^= 0xff;
    dl ^= low;
    dh ^= high;
    for (let round = isEnd ? 4 : 2; round > 0; round--) {
      let sum = (al + bl) | 0;
      ah = (ah + bh + (((al & bl) | ((al | bl) & ~sum)) >>> 31)) | 0;
      al = sum;
      let turned = (bh << 13) | (bl >>> 19);
      bl = ((bl << 13) | (bh >>> 19)) ^ al;
      bh = turned ^ ah;
      turned = al;
      al = ah;
      ah = turned;
      sum = (cl + dl) | 0;
      ch = (ch + dh + (((cl & dl) | ((cl | dl) & ~sum)) >>> 31)) | 0;
      cl = sum;
      turned = (dh << 16) | (dl >>> 16);
      dl = ((dl << 16) | (dh >>> 16)) ^ cl;
      dh = turned ^ ch;
      sum = (al + dl) | 0;
      ah = (ah + dh + (((al & dl) | ((al | dl) & ~sum)) >>> 31)) | 0;
      al = sum;
      turned = (dh << 21) | (dl >>> 11);
      dl = ((dl << 21) | (dh >>> 11)) ^ al;
      dh = turned ^ ah;
      sum = (cl + bl) | 0;
      ch = (ch + bh + (((cl & bl) | ((cl | bl) & ~sum)) >>> 31)) | 0;
      cl = sum;
      turned = (bh << 17) | (bl >>> 15);
      bl = ((bl << 17) | (bh >>> 15)) ^ cl;
      bh = turned ^ ch;
      turned = cl;
      cl = ch;
      ch = turned;
    }
    al ^= low;
    ah ^= high;
  }
  sipHashOut[0] = ah ^ bh ^ ch ^ dh;
  sipHashOut[1] = al ^ bl ^ cl ^ dl;
}

const words = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);
