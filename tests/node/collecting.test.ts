import { describe, expect, it } from "vitest";
import { SETTLE_MS } from "../../antientropy/collection.ts";
import { CausalContext } from "../../core/causal-context.ts";
import { type Entry, liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { Bench } from "./bench.ts";
import { Group, START, writeOf } from "./group.ts";
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

  it("is asked about as often as any after a start with a clock that is ahead", () => {
    const { group, first, last, holders } = groupWithTombstone();
    const aheadMs = 50_000;
    group.remove(first, "k");
    group.pass(GRACE_MS + 1);
    // One is away, and the asker takes the tombstone for long dead.
    group.stop(last);
    group.stop(first);
    group.wallOffMs.set(first, aheadMs);
    group.start(first);
    group.runAll("collect");
    group.wallOffMs.set(first, 0);
    group.start(last);
    group.pass(aheadMs + 10_001);
    for (let i = 0; i < 2; i++) {
      group.runAll("collect");
      group.pass(SETTLE_MS);
    }
    expect(holders()).toEqual([]);
  });

  // Otherwise the value would be back: what the read found is older than the holders' agreement.
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
  it("is not agreed on by a node that still waits for answers to a write of the key", () => {
    const bench = new Bench();
    const { ring } = bench.knowledge;
    const [key = ""] = Array.from({ length: 100 }, (_, i) => storeKey("demo", `k${i}`)).filter(
      (candidate) => ring.preferenceList(ring.partitionOf(candidate))[0] === "r1",
    );
    bench.ask({ ...conditionalWrite, key, ifNoneMatch: [] });
    const digest = bench.store.summary(key)?.digest ?? 0;
    const confirm = { kind: "confirm", keys: [[key, digest]] } as const;
    expect(bench.ask(confirm)).toEqual([{ kind: "confirmed", objections: [0] }]);
    bench.now += 2000;
    bench.step({ kind: "tick" });
    for (const target of bench.store.hintTargets(key)) bench.store.dropHint(target, key);
    expect(bench.ask(confirm)).toEqual([{ kind: "confirmed", objections: [] }]);
  });
});

const SECONDS = 1000;

/** A group with a value that was replaced by one with a TTL of a second. */
function groupWithEnding() {
  const group = new Group({ count: 4 });
  const { ring } = group.node("r1").knowledge;
  const owners = ring.preferenceList(ring.partitionOf(KEY)).slice(0, 3);
  const [first = ""] = owners;
  group.put(first, "k", 5000);
  group.execute(first, { ...writeOf("k", 5000), ttlMs: SECONDS } as Operation);
  const bytes = () => owners.map((id) => group.members.get(id)?.store.stats().byteCount ?? 0);
  return { group, owners, first, bytes };
}

describe("the space of a value whose time has passed", () => {
  it("is given back at once, wherever it is kept", () => {
    const { group, bytes, owners } = groupWithEnding();
    const digests = owners.map((id) => group.digests(id).get(KEY));
    for (const count of bytes()) expect(count).toBeGreaterThan(5000);
    group.pass(SECONDS);
    group.runAll("collect");
    for (const count of bytes()) expect(count).toBeLessThan(500);
    expect(owners.map((id) => group.digests(id).get(KEY))).toEqual(digests);
  });

  it("is given back in time where others were still asked about what the key had before", () => {
    const { group, first, holders } = groupWithTombstone();
    group.remove(first, "k");
    group.pass(GRACE_MS + 1);
    group.holdsBack = ({ type, body }) => type === "reply" && body.kind === "confirmed";
    group.runAll("collect");
    group.execute(first, { ...writeOf("k", 5000), ttlMs: SECONDS } as Operation);
    group.holdsBack = () => false;
    group.letGo();
    group.pass(SECONDS);
    group.runAll("collect");
    const bytes = holders().map((id) => group.members.get(id)?.store.stats().byteCount ?? 0);
    expect(bytes).toHaveLength(3);
    for (const count of bytes) expect(count).toBeLessThan(500);
  });

  it("is given back in a hint too", () => {
    const group = new Group({ count: 4 });
    const { ring } = group.node("r1").knowledge;
    const [first = "", second = ""] = ring.preferenceList(ring.partitionOf(KEY));
    group.loses = (_, to) => to === second;
    for (const ttlMs of [60 * SECONDS, 1 * SECONDS]) {
      group.execute(first, { ...writeOf("k", 5000), ttlMs } as Operation);
      group.pass(600);
    }
    group.execute(first, { ...writeOf("other", 5000), ttlMs: SECONDS } as Operation);
    const hints = () =>
      group.ids.flatMap((id) => {
        const { store } = group.members.get(id) ?? {};
        return (store?.hintedKeys(second, 9) ?? []).map((key) => store?.readHint(second, key));
      });
    expect(hints().length).toBeGreaterThan(0);
    group.pass(2 * SECONDS);
    group.runAll("collect");
    for (const hint of hints()) expect(hint?.length).toBeLessThan(500);
  });

  it("is wholly given back by each alone when the value had replaced nothing", () => {
    const group = new Group({ count: 4 });
    group.execute("r1", { ...writeOf("k", 5000), ttlMs: SECONDS } as Operation);
    group.pass(2 * SECONDS);
    const asked: string[] = [];
    group.loses = ({ type, body }) => type === "request" && asked.push(body.kind) > 0;
    group.runAll("collect");
    expect(group.ids.filter((id) => group.digests(id).size > 0)).toEqual([]);
    expect(asked).toEqual([]);
  });

  it("is not taken again by a replica that has given it back, whoever still has it", () => {
    const group = new Group({ count: 3 });
    group.execute("r1", { ...writeOf("k", 5000), ttlMs: SECONDS } as Operation);
    group.pass(2 * SECONDS);
    group.run("r1", "collect");
    group.run("r2", "collect");
    for (const id of group.ids) for (let i = 0; i < 3; i++) group.run(id, "exchange");
    expect(group.ids.filter((id) => group.digests(id).size > 0)).toEqual(["r3"]);
  });

  it("waits, but for its body, for a member that cannot be asked: it may hold what was replaced", () => {
    const { group, owners, bytes } = groupWithEnding();
    const away = group.ids.find((id) => !owners.includes(id)) ?? "";
    group.put("r1", "other", 10);
    group.execute("r1", { ...writeOf("once", 5000), ttlMs: SECONDS } as Operation);
    group.loses = (_, to) => to === away;
    for (let i = 0; i < 6; i++) {
      group.pass(SETTLE_MS);
      for (const id of group.ids) if (id !== away) group.run(id, "collect");
    }
    for (const count of bytes()) expect(count).toBeLessThan(1000);
    expect(owners.filter((id) => group.digests(id).has(KEY))).toEqual(owners);
    const held = group.ids.filter((id) => group.digests(id).has(storeKey("demo", "once")));
    expect(held.filter((id) => id !== away)).toEqual([]);
    group.loses = () => false;
    for (let i = 0; i < 12; i++) {
      group.pass(SETTLE_MS);
      group.runAll("heartbeat");
      group.runAll("collect");
    }
    expect(group.ids.filter((id) => group.digests(id).has(KEY))).toEqual([]);
  });

  it("goes after the short grace, when a delete still waits for its long one", () => {
    const { group, first, owners } = groupWithEnding();
    group.put(first, "deleted", 10);
    group.remove(first, "deleted");
    group.pass(SECONDS);
    for (let i = 0; i < 4; i++) {
      group.runAll("collect");
      group.pass(SETTLE_MS);
    }
    expect(owners.filter((id) => group.digests(id).has(KEY))).toEqual([]);
    const deleted = storeKey("demo", "deleted");
    expect(group.ids.filter((id) => group.digests(id).has(deleted))).toHaveLength(3);
  });

  it("is not given back by all because the clock of one is ahead", () => {
    const { group, first, owners } = groupWithEnding();
    group.execute(first, { ...writeOf("k", 5000), ttlMs: 600 * SECONDS } as Operation);
    const { digest = 0 } = group.members.get(first)?.store.summary(KEY) ?? {};
    for (const id of owners) {
      const { keeper } = group.node(id).service ?? {};
      expect(keeper?.agreesOn(KEY, digest, group.now)).toBe(false);
      expect(keeper?.agreesOn(KEY, digest, group.now + 600 * SECONDS)).toBe(true);
    }
  });
});

describe("a body that all owners gave up, because their clocks were ahead", () => {
  it("keeps the key from being read no longer than it had to live", () => {
    const group = new Group({ count: 3 });
    const write = { ...writeOf("k", 5000), ttlMs: 60 * SECONDS } as Operation;
    const beside = writeOf("k", 30, CausalContext.empty);
    for (const operation of [write, beside]) group.execute("r1", operation);
    for (const id of group.ids) group.wallOffMs.set(id, 70 * SECONDS);
    group.runAll("collect");
    group.wallOffMs.clear();
    const get = { kind: "get", key: KEY, options: { r: 3 }, session: null } as const;
    expect(group.execute("r1", get)).toMatchObject({ failure: { code: "quorum-unavailable" } });
    group.pass(60 * SECONDS);
    expect(liveSiblings(group.read("r1", "k", 3), group.now)).toHaveLength(1);
    expect(group.ids.map((id) => group.node(id).service?.keeper.lostCount)).toEqual([0, 0, 0]);
  });
});

describe("collection", () => {
  // A stream of short TTLs outran one round of 256 keys after the other for ever.
  it("keeps up with 5,000 keys a second", () => {
    const group = new Group({ count: 3 });
    const keyCount = 20_000;
    for (const id of group.ids) {
      const { keeper } = group.node(id).service ?? {};
      for (let i = 0; i < keyCount; i++)
        keeper?.absorb(storeKey("demo", `k${i}`), ended(i), null, START);
    }
    // Four seconds' worth, in as many seconds, and then the time in which all settle.
    for (let ms = 0; ms < 4 * SECONDS; ms += 50) {
      group.pass(50);
      group.runAll("collect");
    }
    group.pass(SETTLE_MS);
    for (let ms = 0; ms < 4 * SECONDS; ms += 50) {
      group.pass(50);
      group.runAll("collect");
    }
    expect(group.ids.map((id) => group.digests(id).size)).toEqual([0, 0, 0]);
  });
});

/** A value that is over, and covered another. */
function ended(i: number): Entry {
  const actor = i.toString(36).padStart(8, "0");
  const dot = { actor, counter: 2 };
  const time = hlcFromMillis(START - 90 * SECONDS);
  const sibling = { dot, time, op: `op${i}`, expiresAt: START - 60 * SECONDS, content: null };
  const context = CausalContext.empty.with({ actor, counter: 1 }).with(dot);
  return { context, siblings: [sibling], retries: [] };
}

describe("a value whose time has passed, of which the newest record was found damaged", () => {
  const END_MS = 1000;

  /** r1 is down while the others forget the key; an older record of it can be read there. */
  function damaged(): Group {
    const group = new Group({ count: 3, heartbeatMs: 1000 });
    group.pass(1000);
    const write = writeOf("k", 10) as Extract<Operation, { kind: "write" }>;
    group.execute("r1", { ...write, ttlMs: END_MS });
    group.damage("r1", [KEY]);
    group.pass(2 * END_MS);
    group.runAll("collect");
    expect(group.ids.filter((id) => group.digests(id).has(KEY))).toEqual([]);
    return group;
  }

  it("is forgotten once enough other owners have been compared with", () => {
    const group = damaged();
    group.start("r1");
    expect(group.digests("r1").has(KEY)).toBe(true);
    group.pass(3000);
    expect(group.node("r1").service?.jobs.absence?.reason).toBeNull();
    group.pass(GRACE_MS);
    group.run("r1", "collect");
    expect(group.digests("r1").has(KEY)).toBe(false);
    expect(group.node("r1").service?.keeper.lostCount).toBe(0);
  });

  it("is kept as long as one of them may have a later one", () => {
    const group = damaged();
    group.stop("r3");
    group.start("r1");
    group.pass(GRACE_MS);
    group.run("r1", "collect");
    expect(group.digests("r1").has(KEY)).toBe(true);
  });
});
