/** The other side of an exchange: it answers each message from what it holds and keeps no state. */
import type { ReplyOf, RequestOf } from "../core/messages.ts";
import type { StoreKey } from "../core/store.ts";
import type { ExchangeLimits, ExchangeSide } from "./exchange.ts";

/**
 * The trees whose roots differ, with their inner sums; and the trees of which this replica cannot
 * read all that it had: its sums have nothing of that, and a member that fills a tree from it must
 * know.
 */
export function answerRoots(side: ExchangeSide, body: RequestOf<"roots">): ReplyOf<"rootsDiffer"> {
  const trees: ReplyOf<"rootsDiffer">["trees"][number][] = [];
  const unreadCount = side.unreadCounts();
  for (const { root, ...tree } of body.trees) {
    const unread = unreadCount(tree);
    if (side.forest.root(tree) === root && unread === 0) continue;
    trees.push({ ...tree, inner: side.forest.inner(tree), unread });
  }
  return { kind: "rootsDiffer", trees };
}

export function answerLeaves(side: ExchangeSide, body: RequestOf<"leaves">): ReplyOf<"leafSums"> {
  const trees = body.trees.map(({ inner, ...tree }) => {
    const nodes = inner.map((i) => [i, side.forest.leavesOf(tree, i)] as const);
    return { ...tree, nodes };
  });
  return { kind: "leafSums", trees };
}

export function answerLeafKeys(
  side: ExchangeSide,
  body: RequestOf<"leafKeys">,
): ReplyOf<"keyDigests"> {
  const trees = body.trees.map(({ leaves, ...tree }) => {
    const digests = side.keysIn(tree, new Set(leaves));
    return { ...tree, leaves, digests };
  });
  return { kind: "keyDigests", trees };
}

/** As many of the entries as fit into one message, at least one. */
export function answerFetch(
  side: ExchangeSide,
  body: RequestOf<"fetch">,
  limits: ExchangeLimits,
): ReplyOf<"fetched"> {
  const items: (readonly [StoreKey, Uint8Array])[] = [];
  const gone: StoreKey[] = [];
  let byteCount = 0;
  for (const key of body.keys) {
    const bytes = body.isJoined === true ? side.joinedBytes(key) : side.entryBytes(key);
    if (bytes === null && side.hasNothing(key)) gone.push(key);
    if (bytes === null) continue;
    byteCount += bytes.length;
    if (items.length > 0 && byteCount > limits.batchBytesMax) break;
    items.push([key, bytes]);
  }
  const moved = body.isJoined === true ? side.movedSince(body.after ?? 0) : [];
  return { kind: "fetched", items, moved, gone };
}
