/** The other side of an exchange: it answers each message from what it holds and keeps no state. */
import { CodecError } from "../core/codec.ts";
import type { ReplyOf, RequestOf } from "../core/messages.ts";
import type { ExchangeLimits, ExchangeSide } from "./exchange.ts";
import { INNER_COUNT, LEAF_COUNT, type TreeName } from "./merkle-tree.ts";

function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CodecError(message);
}

const isIndex = (value: unknown, below: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < below;

function treeOf(item: unknown): { readonly tree: TreeName; readonly rest: unknown } {
  expect(Array.isArray(item) && item.length === 3, "a tree and one thing about it");
  const [partition, n, rest] = item as unknown[];
  expect(isIndex(partition, 65_536) && isIndex(n, 8), "a tree has a partition and an N");
  return { tree: { partition, n }, rest };
}

function indices(value: unknown, below: number): readonly number[] {
  expect(Array.isArray(value) && value.length <= below, "a list of indices");
  expect(
    value.every((index) => isIndex(index, below)),
    "an index within the tree",
  );
  return value as number[];
}

/** The trees whose roots differ, with their inner sums. */
export function answerRoots(side: ExchangeSide, body: RequestOf<"roots">): ReplyOf<"rootsDiffer"> {
  const trees: unknown[] = [];
  for (const item of body.trees) {
    const { tree, rest } = treeOf(item);
    if (side.forest.root(tree) === rest) continue;
    trees.push([tree.partition, tree.n, side.forest.inner(tree)]);
  }
  return { kind: "rootsDiffer", trees };
}

export function answerLeaves(side: ExchangeSide, body: RequestOf<"leaves">): ReplyOf<"leafSums"> {
  const trees = body.trees.map((item) => {
    const { tree, rest } = treeOf(item);
    const nodes = indices(rest, INNER_COUNT).map((i) => [i, side.forest.leavesOf(tree, i)]);
    return [tree.partition, tree.n, nodes];
  });
  return { kind: "leafSums", trees };
}

export function answerLeafKeys(
  side: ExchangeSide,
  body: RequestOf<"leafKeys">,
): ReplyOf<"keyDigests"> {
  const leaves = body.leaves.map((item) => {
    const { tree, rest } = treeOf(item);
    const wanted = indices(rest, LEAF_COUNT);
    const pairs = side.keysIn(tree, new Set(wanted)).flat();
    return [tree.partition, tree.n, wanted, pairs];
  });
  return { kind: "keyDigests", leaves };
}

/** As many of the entries as fit into one message, at least one. */
export function answerFetch(
  side: ExchangeSide,
  body: RequestOf<"fetch">,
  limits: ExchangeLimits,
): ReplyOf<"fetched"> {
  const items: unknown[] = [];
  let byteCount = 0;
  for (const key of body.keys) {
    expect(typeof key === "string", "a key is a text");
    const bytes = side.entryBytes(key);
    if (bytes === null) continue;
    byteCount += bytes.length;
    if (items.length > 0 && byteCount > limits.batchBytesMax) break;
    items.push([key, bytes]);
  }
  return { kind: "fetched", items };
}
