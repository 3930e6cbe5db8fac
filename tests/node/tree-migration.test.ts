/** Keys go to the trees of another N step by step, whatever is written meanwhile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type LeafSums, MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import { storeKey } from "../../core/keys.ts";
import { LEAF_COUNT } from "../../core/limits.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { withNamespace } from "../../ring/cluster-document.ts";
import { agreedRing } from "../../ring/ring-document.ts";
import { TreeMigration } from "../../src/node/replica/tree-migration.ts";
import { Group } from "./group.ts";

const PARTITIONS = 64;
const KEYS = 40;

type Step =
  | { readonly write: number; readonly digest: number }
  | { readonly resize: number }
  | "run"
  | "restart";

/** A node's own parts, with leaf sums that outlive it. */
class Replica {
  readonly sums: LeafSums = new MemoryLeafSums();
  readonly store = new MemoryStore();
  readonly knowledge = new Group({ count: 5, demo: { n: 3 } }).node("r1").knowledge;
  migration = this.#open();

  #open(): TreeMigration {
    const { knowledge, store, sums } = this;
    const forest = new MerkleForest(sums);
    return new TreeMigration({ knowledge, store, forest, isKept: true, recordsPerRun: 10 });
  }

  write(i: number, digest: number): void {
    const key = storeKey(i % 2 === 0 ? "demo" : "other", `k${i}`);
    const { partition, n, leaf } = this.migration.placeOf(key);
    const from = this.store.summary(key)?.digest ?? 0;
    this.store.writeEntry(key, { bytes: new Uint8Array([1]), partition, digest, dueAt: 0 });
    new MerkleForest(this.sums).update({ partition, n }, leaf, { from, to: digest });
  }

  resize(n: number): void {
    const { document, settingsOf } = this.knowledge;
    this.knowledge.learn(withNamespace(document, "demo", { ...settingsOf("demo"), n }));
    this.migration.noticeSizes();
  }

  restart(): void {
    this.migration = this.#open();
  }

  run(): void {
    const shownIn = (partition: number) =>
      [...this.store.entriesOf(partition)].map(({ key, digest }) => [key, digest] as const);
    this.migration.run({ shownIn: (partition) => shownIn(partition).values() });
  }

  take(step: Step): void {
    if (step === "run") this.run();
    else if (step === "restart") this.restart();
    else if ("resize" in step) this.resize(step.resize);
    else this.write(step.write, step.digest);
  }

  /** Every leaf that is not empty as it should be in the end, computed from what is stored. */
  expected(): ReadonlyMap<string, number> {
    const forest = new MemoryLeafSums();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const { key, digest } of this.store.entriesOf(partition)) {
        const place = this.knowledge.placeOf(key);
        new MerkleForest(forest).update(place, place.leaf, { from: 0, to: digest });
      }
    }
    return leavesOf(forest);
  }
}

function leavesOf(sums: LeafSums): ReadonlyMap<string, number> {
  const leaves = new Map<string, number>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (let n = 1; n <= 5; n++) {
      for (let leaf = 0; leaf < LEAF_COUNT; leaf++) {
        const sum = sums.read({ partition, n })?.[leaf] ?? 0;
        if (sum !== 0) leaves.set(`${partition} ${n} ${leaf}`, sum);
      }
    }
  }
  return leaves;
}

const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ write: fc.nat(KEYS), digest: fc.integer({ min: 1, max: 2 ** 50 }) }),
  fc.record({ resize: fc.integer({ min: 1, max: 5 }) }),
  fc.constant("run" as const),
  fc.constant("restart" as const),
);

describe("the trees of keys whose N changes", () => {
  it("hold each key once, and at the end where it belongs, over any writes and restarts", () => {
    fc.assert(
      fc.property(fc.array(stepArb, { maxLength: 60 }), (steps) => {
        const replica = new Replica();
        for (let i = 0; i < KEYS; i++) replica.write(i, 1000 + i);
        for (const one of steps) replica.take(one);
        for (let i = 0; replica.migration.isPending; i++) {
          expect(i).toBeLessThan(60);
          replica.run();
        }
        expect(leavesOf(replica.sums)).toEqual(replica.expected());
      }),
      { numRuns: 40 },
    );
  });
});

/** The roots of all trees of a replica that are not empty, by what it says and by what it stores. */
function rootsOf(group: Group, id: string): readonly [string[], string[]] {
  const { knowledge, replica } = group.node(id);
  const counted = new MerkleForest(new MemoryLeafSums());
  for (const [key, digest] of group.digests(id)) {
    const place = knowledge.placeOf(key);
    counted.update(place, place.leaf, { from: 0, to: digest });
  }
  const list = (forest: MerkleForest | undefined): string[] => {
    const roots: string[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let n = 1; n <= 5; n++) {
        const root = forest?.root({ partition, n }) ?? 0;
        if (root !== 0) roots.push(`${partition} ${n} ${root}`);
      }
    }
    return roots;
  };
  return [list(replica?.side.forest), list(counted)];
}

describe("a replica whose disk takes nothing while N changes", () => {
  it.each(["full", "failed"] as const)("has its keys in the trees of now (%s)", (health) => {
    const group = new Group({ count: 5, demo: { n: 4 } });
    for (let i = 0; i < KEYS; i++) group.put("r1", `k${i}`, 10);
    const store = group.members.get("r3")?.store;
    store?.setHealth(health);
    group.resize("r1", 3);
    group.change(5);
    if (health === "full") store?.setHealth("writable");
    // When it takes writes again, keys come and go by the present N.
    for (let i = 0; i < KEYS; i++) group.put("r1", `k${i}`, 10);
    group.change(40);
    expect(group.node("r3").knowledge.settingsOf("demo").n).toBe(3);
    for (const id of group.ids) {
      const [said, counted] = rootsOf(group, id);
      expect([id, said]).toEqual([id, counted]);
    }
    if (health === "failed") return;
    for (let i = 0; i < KEYS; i++) {
      const key = storeKey("demo", `k${i}`);
      const holders = group.ids.filter((id) => group.digests(id).has(key));
      expect([key, holders.length]).toEqual([key, 3]);
    }
  });
});

describe("a replica that learns at once that it is a member again, and of another N", () => {
  it("forgets its former life in the trees that it was in", () => {
    const group = new Group({ count: 5, demo: { n: 4 } });
    for (let i = 0; i < KEYS; i++) group.put("r1", `k${i}`, 10);
    const { document, settingsOf } = group.node("r3").knowledge;
    const members = document.ring.members.map((member) =>
      member.id === "r3" ? { ...member, joined: 7 } : member,
    );
    const ring = { ...agreedRing(document.ring), members, version: 3 };
    const settings = { ...settingsOf("demo"), n: 2 };
    group.tell("r3", withNamespace({ ...document, ring }, "demo", settings));
    expect(rootsOf(group, "r3")).toEqual([[], []]);
  });
});
