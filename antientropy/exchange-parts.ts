/**
 * The lists inside an exchange's messages, checked: a peer may have filled them with anything, and
 * a peer's nonsense is its error, not a broken invariant of ours.
 */
import { CodecError } from "../core/check.ts";
import { PARTITIONS_COUNT_MAX } from "../core/limits.ts";
import type { TreeName } from "./merkle-tree.ts";

/** @throws CodecError */
export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CodecError(message);
}

const isIndex = (value: unknown, below: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < below;

/** `[partition, n, …]`: a tree, and what is said of it. @throws CodecError */
export function treeOf(item: unknown, partCount: number) {
  expect(Array.isArray(item) && item.length >= 2 + partCount, "a tree and what is said of it");
  const [partition, n, ...rest] = item as unknown[];
  expect(isIndex(partition, PARTITIONS_COUNT_MAX) && isIndex(n, 8), "a tree's partition and N");
  return { tree: { partition, n } satisfies TreeName, rest };
}

/** @throws CodecError unless they are numbers from 0 up to the bound */
export function indices(value: unknown, below: number): readonly number[] {
  expect(Array.isArray(value) && value.length <= below, "a list of indices");
  expect(
    value.every((index) => isIndex(index, below)),
    "an index within the tree",
  );
  return value as number[];
}

/** @throws CodecError unless it is a list of that many sums */
export function sums(value: unknown, count: number): readonly number[] {
  expect(Array.isArray(value) && value.length === count, "a list of sums");
  expect(
    value.every((sum) => Number.isSafeInteger(sum)),
    "a sum is a number",
  );
  return value as number[];
}

/** @throws CodecError unless it is a list */
export function list(value: unknown): readonly unknown[] {
  expect(Array.isArray(value), "a list");
  return value as unknown[];
}
