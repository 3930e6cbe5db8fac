/**
 * Which slice of the hash space a key falls into: the Dynamo paper's third strategy (section 6.2),
 * Q equal slices, fixed for the life of the ring, so that a change of members never cuts a slice.
 */
import { assert } from "../core/assert.ts";
import { PARTITIONS_COUNT_MAX } from "../core/limits.ts";
import type { StoreKey } from "../core/store.ts";

/** XXH64 of a text's UTF-8, unsigned: xxhash-wasm's shape once its host has loaded it. */
export interface KeyHasher {
  h64(text: string, seed: bigint): bigint;
}

/** What the look-up of a ring's keys needs, worked out once: it is on the way of every request. */
export interface HashPlace {
  readonly seed: bigint;
  readonly shift: bigint;
}

const SEED = /^(0|[1-9][0-9]{0,19})$/;
const SEED_END = 2n ** 64n;

/** A power of two from 1 to 65,536. */
export const isPartitionCount = (count: number): boolean =>
  Number.isInteger(count) &&
  count >= 1 &&
  count <= PARTITIONS_COUNT_MAX &&
  (count & (count - 1)) === 0;

/** An unsigned 64-bit integer in decimal, without leading zeros. */
export const isSeed = (text: string): boolean => SEED.test(text) && BigInt(text) < SEED_END;

/**
 * How far a hash is shifted so that its top log2(Q) bits are left. A single partition takes no bit:
 * a shift by 64 leaves 0.
 *
 * @throws AssertionFailure unless `isPartitionCount`
 */
export function shiftOf(partitionCount: number): bigint {
  assert(isPartitionCount(partitionCount), "the number of partitions is a power of two");
  return BigInt(33 + Math.clz32(partitionCount));
}

/** The partition of a key: the top bits of its hash, whatever sign the hasher gave it. */
export const partitionOf = (hasher: KeyHasher, key: StoreKey, at: HashPlace): number =>
  Number(BigInt.asUintN(64, hasher.h64(key, at.seed)) >> at.shift);
