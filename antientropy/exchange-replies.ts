/** The other side of an exchange: it answers each message from what it holds and keeps no state. */
import type { ReplyOf, RequestOf } from "../core/messages.ts";
import type { ExchangeLimits, ExchangeSide } from "./exchange.ts";
import { expect, indices, treeOf } from "./exchange-parts.ts";
import { INNER_COUNT, LEAF_COUNT } from "./merkle-tree.ts";

/**
 * The trees whose roots differ, with their inner sums; and those of which this replica cannot read
 * all that it had: its sums have nothing of that, and who fills a tree from it is to know.
 */
export function answerRoots(side: ExchangeSide, body: RequestOf<"roots">): ReplyOf<"rootsDiffer"> {
  const trees: unknown[] = [];
  const unreadCount = side.unreadCounts();
  for (const item of body.trees) {
    const { tree, rest } = treeOf(item, 1);
    const unread = unreadCount(tree);
    if (side.forest.root(tree) === rest[0] && unread === 0) continue;
    trees.push([tree.partition, tree.n, side.forest.inner(tree), unread]);
  }
  return { kind: "rootsDiffer", trees };
}

export function answerLeaves(side: ExchangeSide, body: RequestOf<"leaves">): ReplyOf<"leafSums"> {
  const trees = body.trees.map((item) => {
    const { tree, rest } = treeOf(item, 1);
    const nodes = indices(rest[0], INNER_COUNT).map((i) => [i, side.forest.leavesOf(tree, i)]);
    return [tree.partition, tree.n, nodes];
  });
  return { kind: "leafSums", trees };
}

export function answerLeafKeys(
  side: ExchangeSide,
  body: RequestOf<"leafKeys">,
): ReplyOf<"keyDigests"> {
  const leaves = body.leaves.map((item) => {
    const { tree, rest } = treeOf(item, 1);
    const wanted = indices(rest[0], LEAF_COUNT);
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
    const bytes = body.isJoined === true ? side.joinedBytes(key) : side.entryBytes(key);
    if (bytes === null) continue;
    byteCount += bytes.length;
    if (items.length > 0 && byteCount > limits.batchBytesMax) break;
    items.push([key, bytes]);
  }
  if (body.isJoined !== true) return { kind: "fetched", items };
  return { kind: "fetched", items, moved: side.movedSince(body.after ?? 0) };
}
