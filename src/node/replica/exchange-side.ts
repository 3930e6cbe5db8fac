/** What exchanges work on, at both ends of one. */
import type { ExchangeSide } from "../../../antientropy/exchange.ts";
import type { MerkleForest, TreeName } from "../../../antientropy/merkle-tree.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import { wholeOf } from "../../../core/pieces.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Keeper } from "../../../replica/keeper.ts";

interface Host {
  wall(): WallMillis;
  whenDurable(callback: () => void): void;
  /** Whether the replica has lost what it had of a tree, and does not know what that was. */
  lacksTree(tree: TreeName): boolean;
}

export function exchangeSide(
  { keeper, forest }: { readonly keeper: Keeper; readonly forest: MerkleForest },
  host: Host,
): ExchangeSide {
  return {
    forest,
    keysIn: (tree, leaves) => keeper.keysIn(tree, leaves),
    digest: (key) => keeper.ownDigest(key),
    entryBytes: (key) => {
      const { bytes } = keeper.own(key);
      return bytes && wholeOf(bytes);
    },
    joinedBytes: (key) => {
      const { entry, bytes, isUnknown } = keeper.hold(key);
      if (isUnknown || entry.context.isEmpty) return null;
      return bytes === null ? encodeEntry(entry, null) : wholeOf(bytes);
    },
    hasNothing: (key) => {
      const { entry, isUnknown } = keeper.hold(key);
      return entry.context.isEmpty && !isUnknown;
    },
    movedSince: (position) => keeper.hintMoves.since(position),
    unreadCounts: () => {
      const lostCountOf = keeper.losses.lostCounts();
      return (tree) => lostCountOf(tree) + (host.lacksTree(tree) ? 1 : 0);
    },
    absorb: (key, bytes) => {
      // Nobody waits for the flush, but what was refilled must not sit in memory until a next
      // write.
      host.whenDurable(() => {});
      return keeper.take(key, bytes, null, host.wall()) !== null;
    },
  };
}
