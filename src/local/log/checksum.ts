/**
 * xxHash32 as the log's checksum. The hash runs in WebAssembly, whose memory is its own: bytes are
 * copied there first. In pieces that stay in the processor's cache a long record takes a third of
 * the time, and that memory, which never shrinks, stays small.
 */
import { partsOf } from "../../../core/pieces.ts";
import type { Checksum } from "../../../replica/log-format.ts";

/** What is used of xxhash-wasm. */
export interface Hasher {
  h32Raw(bytes: Uint8Array, seed?: number): number;
  create32(seed?: number): Hash32;
}

interface Hash32 {
  update(bytes: Uint8Array): unknown;
  digest(): number;
}

const PIECE_BYTES = 64 * 1024;

export const checksumBy =
  (hasher: Hasher): Checksum =>
  (bytes, seed) => {
    const isShort = bytes instanceof Uint8Array && bytes.length <= PIECE_BYTES;
    if (isShort) return hasher.h32Raw(bytes, seed);
    const hash = hasher.create32(seed);
    for (const part of partsOf(bytes)) {
      for (let at = 0; at < part.length; at += PIECE_BYTES) {
        hash.update(part.subarray(at, at + PIECE_BYTES));
      }
    }
    return hash.digest();
  };
