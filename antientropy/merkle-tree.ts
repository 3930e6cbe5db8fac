/**
 * Merkle trees over what a replica holds, one for each partition and N.
 *
 * A tree has a fixed number of leaves; a key falls into one by its hash. A leaf is the sum, modulo
 * 2^53, of the digests of its entries: the order of writes does not matter, a write updates it in
 * O(1) (subtract the old digest, add the new one) and nothing ever rescans the store. Digests are
 * keyed, so nobody outside can build two sets of entries with one sum. Inner nodes are sums too and
 * computed when asked for: 256 additions a tree.
 *
 * N is part of a tree's name because a namespace with a smaller N has keys on fewer replicas: two
 * replicas compare exactly the trees of which both are primaries.
 */
import { assert, present } from "../core/assert.ts";
import { INNER_COUNT, LEAF_COUNT, LEAVES_PER_INNER } from "../core/limits.ts";
import type { Digest } from "../core/store.ts";

/** Sums are taken modulo this. */
export const MODULUS = 2 ** 53;

/** (a + b) mod 2^53 for two numbers below 2^53, exact although their sum may not be. */
export const addSums = (a: number, b: number): number =>
  a >= MODULUS - b && b > 0 ? a - (MODULUS - b) : a + b;

const negate = (sum: number): number => (sum === 0 ? 0 : MODULUS - sum);

export interface TreeName {
  readonly partition: number;
  readonly n: number;
}

/** Where the sums of leaves are kept: in memory on Node, in a table in a Durable Object. */
export interface LeafSums {
  /** 256 sums, or undefined for a tree in which nothing is. */
  read(tree: TreeName): ArrayLike<number> | undefined;
  /** Adds to a leaf's sum, as `addSums` does. */
  add(tree: TreeName, leaf: number, change: number): void;
}

export class MemoryLeafSums implements LeafSums {
  readonly #trees = new Map<number, Float64Array>();

  read({ partition, n }: TreeName): ArrayLike<number> | undefined {
    return this.#trees.get(partition * 8 + n);
  }

  add({ partition, n }: TreeName, leaf: number, change: number): void {
    const name = partition * 8 + n;
    let leaves = this.#trees.get(name);
    if (leaves === undefined) {
      leaves = new Float64Array(LEAF_COUNT);
      this.#trees.set(name, leaves);
    }
    leaves[leaf] = addSums(present(leaves[leaf]), change);
  }
}

export class MerkleForest {
  readonly #sums: LeafSums;

  constructor(sums: LeafSums) {
    this.#sums = sums;
  }

  /** An entry of the leaf went from one digest to another; 0 stands for no entry. */
  update(tree: TreeName, leaf: number, change: { from: Digest; to: Digest }): void {
    assert(leaf >= 0 && leaf < LEAF_COUNT, "a leaf of the tree");
    if (change.from === change.to) return;
    this.#sums.add(tree, leaf, addSums(negate(change.from), change.to));
  }

  /** The sum of everything in the tree; 0 when nothing is. */
  root(tree: TreeName): number {
    return sumOf(this.#sums.read(tree), 0, LEAF_COUNT);
  }

  /** The sums of the sixteen inner nodes. */
  inner(tree: TreeName): readonly number[] {
    const leaves = this.#sums.read(tree);
    return Array.from({ length: INNER_COUNT }, (_, i) =>
      sumOf(leaves, i * LEAVES_PER_INNER, (i + 1) * LEAVES_PER_INNER),
    );
  }

  /** The sums of the sixteen leaves below an inner node. */
  leavesOf(tree: TreeName, inner: number): readonly number[] {
    assert(inner >= 0 && inner < INNER_COUNT, "an inner node of the tree");
    const leaves = this.#sums.read(tree);
    const from = inner * LEAVES_PER_INNER;
    return Array.from({ length: LEAVES_PER_INNER }, (_, i) => leaves?.[from + i] ?? 0);
  }
}

function sumOf(leaves: ArrayLike<number> | undefined, from: number, to: number): number {
  let sum = 0;
  if (leaves === undefined) return sum;
  for (let i = from; i < to; i++) sum = addSums(sum, present(leaves[i]));
  return sum;
}
