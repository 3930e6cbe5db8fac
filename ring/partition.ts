import { assert } from "../core/assert.ts";
import type { StoreKey } from "../core/store.ts";

/** xxHash64 of a text in UTF-8, as xxhash-wasm gives it once its host has loaded it. */
export interface KeyHasher {
  h64(text: string, seed: bigint): bigint;
}

/** How far a hash is shifted so that its top log2(partitions) bits are left. */
export function shiftOf(partitionCount: number): bigint {
  const bits = Math.log2(partitionCount);
  assert(Number.isInteger(bits), "the number of partitions is a power of two");
  return 64n - BigInt(bits);
}

/** The partition of a key: the top bits of its hash. */
export const partitionOf = (hasher: KeyHasher, key: StoreKey, at: { seed: bigint; shift: bigint }): number =>
  Number(BigInt.asUintN(64, hasher.h64(key, at.seed)) >> at.shift);
