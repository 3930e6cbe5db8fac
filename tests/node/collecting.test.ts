import { describe, expect, it } from "vitest";
import { SETTLE_MS } from "../../antientropy/collection.ts";
import { storeKey } from "../../core/keys.ts";
import { Bench } from "./bench.ts";
import { Group } from "./group.ts";
import { conditionalWrite } from "./writes.ts";

const KEY = storeKey("demo", "k");
const GRACE_MS = 60_000;

/** A key that was deleted long ago, at three of four nodes; the fourth coordinates reads of it. */
function groupWithTombstone() {
  const group = new Group({ count: 4 });
  const { ring } = group.node("r1").knowledge;
  const owners = ring.preferenceList(ring.partitionOf(KEY)).slice(0, 3);
  const [first = "", , last = ""] = owners;
  const stranger = group.ids.find((id) => !owners.includes(id)) ?? "";
  group.put(first, "k", 10);
  const holders = () => group.ids.filter((id) => group.digests(id).has(KEY));
  return { group, first, last, stranger, holders };
}

describe("a tombstone", () => {
  it("goes when all have agreed on it twice, some seconds apart", () => {
    const { group, first, holders } = groupWithTombstone();
    group.remove(first, "k");
    group.pass(GRACE_MS + 1);
    group.runAll("collect");
    group.pass(SETTLE_MS - 1);
    group.runAll("collect");
    expect(holders()).toHaveLength(3);
    group.pass(1);
    group.runAll("collect");
    expect(holders()).toEqual([]);
  });

  it("stays when somebody learns of a write in between", () => {
    const { group, first, last, holders } = groupWithTombstone();
    group.remove(first, "k");
    group.pass(GRACE_MS + 1);
    group.runAll("collect");
    group.pass(SETTLE_MS);
    group.put(last, "k", 20);
    group.runAll("collect");
    expect(holders()).toHaveLength(3);
    expect(group.has(first, "k")).toBe(true);
  });

  // Else the value would be back: what it found is older than the agreement of who held it.
  it("is not undone by a read that found the value before", () => {
    const { group, first, last, stranger, holders } = groupWithTombstone();
    group.loses = (_, to) => to === last;
    group.remove(first, "k");
    group.pass(GRACE_MS + 1);
    group.loses = () => false;
    group.holdsBack = (message, to) =>
      message.type === "request" && message.body.kind === "read" && to !== last;
    const options = { consistency: "all", timeoutMs: 30_000 } as const;
    group.begin(stranger, { kind: "get", key: KEY, options, session: null });
    group.runAll("handoff");
    for (let i = 0; i < 3; i++) {
      group.runAll("collect");
      group.pass(SETTLE_MS);
    }
    expect(holders()).toEqual([]);
    group.letGo();
    group.pass(30_000);
    expect(holders()).toEqual([]);
  });

  // A hint of that write is as old as the write.
  it("is not agreed on by who still waits for answers to a write of the key", () => {
    const bench = new Bench();
    const { ring } = bench.knowledge;
    const [key = ""] = Array.from({ length: 100 }, (_, i) => storeKey("demo", `k${i}`)).filter(
      (candidate) => ring.preferenceList(ring.partitionOf(candidate))[0] === "r1",
    );
    bench.ask({ ...conditionalWrite, key, ifNoneMatch: [] });
    const digest = bench.store.summary(key)?.digest ?? 0;
    const confirm = { kind: "confirm", keys: [key, digest] } as const;
    expect(bench.ask(confirm)).toEqual([{ kind: "confirmed", keys: [] }]);
    bench.now += 2000;
    bench.step({ kind: "tick" });
    for (const target of bench.store.hintTargets(key)) bench.store.dropHint(target, key);
    expect(bench.ask(confirm)).toEqual([{ kind: "confirmed", keys: [key] }]);
  });
});
