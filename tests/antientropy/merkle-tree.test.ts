import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addSums, MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { INNER_COUNT, LEAF_COUNT, LEAVES_PER_INNER } from "../../core/limits.ts";

const digest = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const tree = { partition: 3, n: 3 };

describe("sums of digests", () => {
  it("are exact modulo 2^53", () => {
    fc.assert(
      fc.property(digest, digest, (a, b) => {
        const exact = (BigInt(a) + BigInt(b)) % 2n ** 53n;
        expect(BigInt(addSums(a, b))).toBe(exact);
      }),
    );
  });
});

describe("a Merkle tree", () => {
  const entries = fc.uniqueArray(fc.record({ leaf: fc.nat(LEAF_COUNT - 1), digest }), {
    maxLength: 40,
    selector: (entry) => entry.digest,
  });

  function treeOf(list: readonly { leaf: number; digest: number }[]): MerkleForest {
    const forest = new MerkleForest(new MemoryLeafSums());
    for (const { leaf, digest: to } of list) forest.update(tree, leaf, { from: 0, to });
    return forest;
  }

  it("does not depend on the order of writes", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const forwards = treeOf(list);
        const backwards = treeOf([...list].reverse());
        expect(forwards.root(tree)).toBe(backwards.root(tree));
        expect(forwards.inner(tree)).toEqual(backwards.inner(tree));
      }),
    );
  });

  it("is back at nothing when everything is taken out again", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const forest = treeOf(list);
        for (const { leaf, digest: from } of list) forest.update(tree, leaf, { from, to: 0 });
        expect(forest.root(tree)).toBe(0);
      }),
    );
  });

  it("differs at the root, one inner node and one leaf for one changed entry", () => {
    fc.assert(
      fc.property(entries, fc.nat(LEAF_COUNT - 1), digest, (list, leaf, to) => {
        fc.pre(to !== 0);
        const one = treeOf(list);
        const other = treeOf(list);
        other.update(tree, leaf, { from: 0, to });
        expect(other.root(tree)).not.toBe(one.root(tree));
        const mine = other.inner(tree);
        const differing = one.inner(tree).flatMap((sum, i) => (sum === mine[i] ? [] : [i]));
        expect(differing).toEqual([Math.floor(leaf / LEAVES_PER_INNER)]);
      }),
    );
  });

  it("keeps trees of other partitions and other N apart", () => {
    const forest = treeOf([{ leaf: 0, digest: 5 }]);
    expect(forest.root({ partition: 3, n: 2 })).toBe(0);
    expect(forest.root({ partition: 4, n: 3 })).toBe(0);
    expect(forest.inner(tree)).toHaveLength(INNER_COUNT);
  });
});
