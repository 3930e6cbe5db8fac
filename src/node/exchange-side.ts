/** What exchanges work on, at both ends of one. */
import type { ExchangeSide } from "../../antientropy/exchange.ts";
import type { MerkleForest } from "../../antientropy/merkle-tree.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import type { WallMillis } from "../../core/time.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { expectKey } from "./wire.ts";

interface Host {
  wall(): WallMillis;
  whenDurable(callback: () => void): void;
}

export function exchangeSide(
  { keeper, forest }: { readonly keeper: Keeper; readonly forest: MerkleForest },
  host: Host,
): ExchangeSide {
  return {
    forest,
    keysIn: (tree, leaves) => keeper.keysIn(tree, leaves),
    digest: (key) => keeper.ownDigest(key),
    entryBytes: (key) => keeper.own(key).bytes,
    unreadCounts: () => keeper.lostCounts(),
    absorb: (key, bytes) => {
      // Nobody waits for it, but what was refilled is not to sit in memory until the next write.
      host.whenDurable(() => {});
      expectKey(key);
      return keeper.absorb(key, decodeEntry(bytes).entry, "", host.wall());
    },
  };
}
