/**
 * One replica with very many keys, in a process in which nothing else has happened.
 *
 * `million.ts fill DIR COUNT` writes them through a keeper and stops cleanly.
 * `million.ts measure DIR` opens the log, counts all trees anew and prints how long that took, and
 * what memory the process then has.
 */
import xxhash from "xxhash-wasm";
import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { Prng } from "../../core/prng.ts";
import { Keeper } from "../../replica/keeper.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { openLog } from "../../src/local/log/file-log.ts";
import { benchKnowledge, entryOf, keyOf } from "../lib/sample-entries.ts";

const [, , command, dir = "", countText = "1000000"] = process.argv;
const knowledge = await benchKnowledge();
const log = await openLog({ dir, hasher: await xxhash() });

function keeperOn(store: LogStore): { keeper: Keeper; forest: MerkleForest } {
  const forest = new MerkleForest(new MemoryLeafSums());
  const keeper = new Keeper({
    store,
    hash: knowledge.hash,
    prng: Prng.fromSeed(1),
    placeOf: knowledge.placeOf,
    partitionCount: () => knowledge.ring.partitionCount,
    onChange: (place, change) => forest.update(place, place.leaf, change),
  });
  return { keeper, forest };
}

if (command === "fill") {
  const { keeper } = keeperOn(log.store);
  const { siblings } = entryOf(1, 100);
  const content = siblings[0]?.content ?? null;
  const rest = { content, ttlMs: 0, covers: null, isRetry: false, hintFor: null } as const;
  for (let i = 0; i < Number(countText); i++) {
    const key = keyOf(i);
    keeper.keepMinted(key, null, keeper.mint({ key, op: `op${i}`, ...rest }, Date.now()));
    if (i % 10_000 === 0) await log.flush();
  }
} else {
  const { keeper } = keeperOn(log.store);
  // Of the processor and not of the clock: other programs may run too.
  const before = process.cpuUsage();
  keeper.recount();
  const { user, system } = process.cpuUsage(before);
  const rebuildSeconds = (user + system) / 1e6;
  const { rss } = process.memoryUsage();
  const { keyCount } = log.store.stats();
  console.log(JSON.stringify({ rebuildSeconds, rssMb: rss / 1e6, keyCount }));
}
await log.close();
