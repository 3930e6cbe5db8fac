/**
 * What the parts cost by themselves, on one core and without a cluster. These figures depend on the
 * machine; beside each look-up stands what the hash alone costs there.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import xxhash from "xxhash-wasm";
import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { digestOf, merge } from "../../core/entry.ts";
import { type BenchOptions, type Figure, interleave, median, type Suite } from "../lib/figures.ts";
import { makeDir } from "../lib/processes.ts";
import { benchKnowledge, entryOf, keyOf } from "../lib/sample-entries.ts";

const MILLION = fileURLToPath(new URL("../servers/million.ts", import.meta.url));
const KEYS = Array.from({ length: 10_000 }, (_, i) => keyOf(i));

/** Microseconds of processor time that one turn takes. */
function timed(turnCount: number, work: (i: number) => number): Promise<number> {
  const before = process.cpuUsage();
  // The results are looked at, so that the work for them is done.
  let sum = 0;
  for (let i = 0; i < turnCount; i++) sum += work(i);
  if (Number.isNaN(sum)) throw new Error("the work gave no numbers");
  const { user, system } = process.cpuUsage(before);
  return Promise.resolve((user + system) / turnCount);
}

async function parts(quick: boolean): Promise<readonly Figure[]> {
  const [knowledge, hasher] = [await benchKnowledge(), await xxhash()];
  const { ring, hash } = knowledge;
  const forest = new MerkleForest(new MemoryLeafSums());
  const [before, after] = [entryOf(6, 1024), entryOf(7, 1024)];
  const places = KEYS.map(knowledge.placeOf);
  const turns = quick ? 50_000 : 300_000;
  const key = (i: number): string => KEYS[i % KEYS.length] as string;
  const work: Readonly<Record<string, (i: number) => number>> = {
    hash: (i) => Number(hasher.h64(key(i), 7n) & 255n),
    lookUp: (i) => ring.preferenceList(ring.partitionOf(key(i))).length,
    tree: (i) => {
      const place = places[i % places.length] as (typeof places)[number];
      forest.update(place, place.leaf, { from: i % 1000, to: digestOf(after, hash) });
      return 1;
    },
    merge: () => merge(before, after).siblings.length,
  };
  const contenders = Object.entries(work).map(([name, one]) => ({
    name,
    sample: () => timed(turns, one),
  }));
  const samples = await interleave(contenders, quick ? 5 : 15);
  const micros = (name: string): number => median(samples.get(name) ?? []);
  const ownMachine = { isContext: true } as const;
  return [
    {
      name: "ring look-up: hash and preference list",
      ...{ value: 1e6 / micros("lookUp"), unit: "/s", better: "higher", target: 3e6 },
      note: `xxh64 of the same keys alone: ${(1e6 / micros("hash")).toFixed(0)}/s`,
      ...ownMachine,
    },
    {
      name: "tree update per write, keyed digest included",
      ...{ value: micros("tree"), unit: "µs", better: "lower", target: 2, ...ownMachine },
    },
    {
      name: "merge of the usual entry",
      ...{ value: micros("merge"), unit: "µs", better: "lower", target: 1, ...ownMachine },
    },
  ];
}

interface Measured {
  readonly rebuildSeconds: number;
  readonly rssMb: number;
  readonly keyCount: number;
}

function million(keyCount: number): readonly Figure[] {
  const dir = makeDir();
  const node = (...args: string[]): string =>
    execFileSync(process.execPath, [MILLION, ...args], { encoding: "utf8" });
  node("fill", dir, String(keyCount));
  const runs = [0, 1, 2].map(() => JSON.parse(node("measure", dir)) as Measured);
  rmSync(dir, { recursive: true });
  if (runs.some((run) => run.keyCount !== keyCount)) throw new Error("keys are missing");
  const of = (read: (run: Measured) => number): number => median(runs.map(read));
  const common = { better: "lower", isContext: true } as const;
  const targets = keyCount === 1_000_000;
  return [
    {
      name: `rebuild of all trees at ${keyCount} keys`,
      ...{ value: of((run) => run.rebuildSeconds), unit: "s", ...common },
      ...(targets ? { target: 1 } : {}),
    },
    {
      name: `RSS at ${keyCount} keys of 24 bytes, values of 100`,
      ...{ value: of((run) => run.rssMb), unit: "MB", ...common },
      ...(targets ? { target: 450 } : {}),
    },
  ];
}

async function run({ quick, say }: BenchOptions): Promise<readonly Figure[]> {
  const figures = await parts(quick);
  const keyCount = quick ? 100_000 : 1_000_000;
  say(`filling a log with ${keyCount} keys`);
  return [...figures, ...million(keyCount)];
}

export const microSuite: Suite = {
  name: "micro",
  about: "look-ups, trees, merges, and a replica with a million keys",
  run,
};
