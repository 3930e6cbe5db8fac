/** Change feeds of a few nodes that nothing else happens to. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ChangesOperation, ChangesResult, FeedChange } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { keyOf } from "../../core/keys.ts";
import { followIn, lookIn, operation, wordOf, wordsOf } from "./feed-looks.ts";
import { Group, writeOf } from "./group.ts";

const PATIENCE_MS = 3100;

let group: Group;

const look = (at: ReplicaId, more: Partial<ChangesOperation>): ChangesResult =>
  lookIn(group, at, more);
const follow = (at: ReplicaId, from: ChangesOperation["from"]): ChangesResult =>
  followIn(group, at, from);

/** What a look found, as plain values. */
const plainOf = ({ changes }: ChangesResult): readonly unknown[] =>
  changes.map((change) =>
    change.what === "key" ? { ...change, entry: change.entry?.bytes ?? null } : change,
  );

/** What a reader that obeys the marks ends up with: each key with its partition. */
function obeyed(
  changes: readonly FeedChange[],
  had: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const keys = new Map(had);
  for (const change of changes) {
    const word = wordOf(change);
    if (change.what === "resync") {
      for (const [key, partition] of keys) {
        if (change.partitions.includes(partition)) keys.delete(key);
      }
    }
    if (change.what !== "key") continue;
    if (word.startsWith("-")) keys.delete(word.slice(1));
    else keys.set(word, change.partition);
  }
  return keys;
}
const namesIn = (keys: ReadonlyMap<string, number>): readonly string[] => [...keys.keys()].sort();

describe("a change feed", () => {
  beforeEach(() => {
    group = new Group({ count: 5 });
  });

  it("tells what changed after its token, each key once, at any frontend", () => {
    group.put("r1", "before", 10);
    const first = look("r2", {});
    expect([wordsOf(first), first.isCaughtUp]).toEqual([[], true]);
    for (const key of ["a", "b", "c"]) group.put("r1", key, 10);
    group.put("r3", "a", 20);
    group.remove("r4", "b");
    const second = look("r5", { from: first.position });
    expect([...wordsOf(second)].sort()).toEqual(["-b", "a", "c"]);
    expect(wordsOf(look("r1", { from: second.position }))).toEqual([]);
    expect([...wordsOf(look("r4", { from: first.position }))].sort()).toEqual(["-b", "a", "c"]);
  });

  it("begins with what lives, and goes on with what changes", () => {
    for (let i = 0; i < 40; i++) group.put("r1", `k${i}`, 10);
    for (let i = 0; i < 10; i++) group.remove("r1", `k${i}`);
    const all = follow("r2", "beginning");
    const living = Array.from({ length: 30 }, (_, i) => `k${i + 10}`);
    expect([...wordsOf(all)].sort()).toEqual(living.sort());
    group.remove("r1", "k20");
    expect(wordsOf(look("r3", { from: all.position }))).toEqual(["-k20"]);
  });

  it("keeps to its limit, and to its prefix", () => {
    const { position } = look("r1", {});
    const other = look("r1", { prefix: "k1" });
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 10);
    for (const limit of [1, 2, 7]) {
      const found: string[] = [];
      let from = position;
      for (let i = 0; i < 60; i++) {
        const page = look("r2", { from, limit });
        expect(page.changes.length).toBeLessThanOrEqual(limit);
        found.push(...wordsOf(page));
        from = page.position;
        group.pass(1);
      }
      expect(found.sort()).toEqual(Array.from({ length: 20 }, (_, i) => `k${i}`).sort());
    }
    const ones = look("r4", { from: other.position, prefix: "k1" });
    expect(wordsOf(ones)).toHaveLength(11);
  });

  it("ends an answer before it is longer than was asked for, whichever sources tell", () => {
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 1000);
    const found = new Set<string>();
    let from: ChangesOperation["from"] = "beginning";
    for (let i = 0; i < 60 && found.size < 20; i++) {
      const page = look("r2", { from, values: true, byteCountMax: 4000 });
      const bytes = page.changes.map((told) => (told.what === "key" && told.entry?.byteCount) || 0);
      expect(bytes.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(4000);
      for (const word of wordsOf(page)) found.add(word);
      from = page.position;
      group.pass(1);
    }
    expect(found.size).toBe(20);
    // One that is longer by itself comes alone.
    const { position } = look("r1", {});
    for (const key of ["long", "longer"]) group.put("r1", key, 9000);
    const first = look("r2", { from: position, values: true, byteCountMax: 4000 });
    expect(first.changes).toHaveLength(1);
  });

  it("begins at no more changes than were asked for", () => {
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 10);
    const first = look("r2", { from: "beginning", limit: 1 });
    expect(first.changes.length).toBeLessThanOrEqual(1);
    const found = [...wordsOf(first)];
    let { position } = first;
    for (let i = 0; i < 60; i++) {
      const page = look("r2", { from: position, limit: 1 });
      expect(page.changes.length).toBeLessThanOrEqual(1);
      found.push(...wordsOf(page));
      position = page.position;
      group.pass(1);
    }
    expect(new Set(found).size).toBe(20);
  });

  it("is answered at once by what comes while it waits, and reads nothing before", () => {
    const { position } = look("r1", {});
    const readCount = (): number =>
      group.ids.reduce((sum, id) => sum + (group.node(id).service?.feeds.readCount ?? 0), 0);
    const readBefore = readCount();
    const token = group.begin("r1", operation({ from: position, holdMs: 2000 }));
    group.put("r2", "elsewhere", 1);
    group.execute("r2", { ...writeOf("k", 5), key: "other\0k" } as never);
    const result = group.answerOf(token);
    if (result?.kind !== "changes") throw new Error("not answered");
    expect(wordsOf(result)).toEqual(["elsewhere"]);
    const idle = group.begin("r1", operation({ from: result.position, holdMs: 2000 }));
    group.execute("r2", { ...writeOf("k", 5), key: "other\0k2" } as never);
    expect(group.answerOf(idle)).toBeUndefined();
    expect(readCount() - readBefore).toBe(1);
    group.pass(2000);
    group.pass(10);
    expect(group.answerOf(idle)).toMatchObject({ kind: "changes", changes: [] });
  });

  it("hands a change to the frontend beside its source as it was read, and to others as bytes", () => {
    const { position } = look("r1", {});
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 10);
    const entries = (): ReadonlyMap<string, unknown> => {
      const { changes } = look("r1", { from: position });
      const told = changes.filter((change) => change.what === "key");
      return new Map(told.map(({ key, entry }) => [keyOf(key), entry?.decoded]));
    };
    const [first, second] = [entries(), entries()];
    expect(second).toEqual(first);
    const beside = [...first].filter(([key, entry]) => second.get(key) === entry);
    expect(beside.length).toBeGreaterThan(0);
    expect(beside.length).toBeLessThan(20);
  });

  it("tells each feed what stands there now, with its values or without", () => {
    group = new Group({ count: 3 });
    const { position } = look("r1", {});
    const feeds = [{}, { feed: "two" }, { feed: "three", prefix: "a" }];
    const tell = (): readonly unknown[] =>
      feeds.map((feed) => plainOf(look("r2", { ...feed, from: position })));
    group.put("r1", "a", 10);
    const [first, ...others] = tell();
    for (const other of others) expect(other).toEqual(first);
    const whole = plainOf(look("r2", { from: position, values: true }));
    expect(whole).not.toEqual(first);
    group.put("r1", "a", 20);
    const [second] = tell();
    expect(second).not.toEqual(first);
    expect(plainOf(look("r2", { from: position, values: true }))).not.toEqual(whole);
    // What was purged is told as such, though the record stands where it was.
    group.execute("r1", { kind: "purge", namespace: "demo", what: { everything: true } });
    const [third] = tell();
    expect((third as FeedChange[]).filter(({ what }) => what === "key")).not.toEqual(second);
  });

  it("moves to another replica when its source dies, and says so", () => {
    for (let i = 0; i < 30; i++) group.put("r1", `k${i}`, 10);
    const first = follow("r1", "beginning");
    const sources = first.position.sources.map(({ id }) => id);
    const dead = sources[0] as ReplicaId;
    const at = group.ids.find((id) => id !== dead) as ReplicaId;
    group.stop(dead);
    group.put(at, "after", 10);
    group.remove(at, "k7");
    const waiting = look(at, { from: first.position });
    group.pass(PATIENCE_MS);
    const second = follow(at, waiting.position);
    const words = wordsOf(second);
    expect(words).toContain("switch");
    expect(words.indexOf("switch")).toBeLessThan(words.indexOf("resync"));
    expect(words.lastIndexOf("resync-end")).toBeGreaterThan(words.lastIndexOf("resync"));
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`).filter((key) => key !== "k7");
    const had = obeyed([...first.changes, ...waiting.changes]);
    expect(namesIn(obeyed(second.changes, had))).toEqual([...keys, "after"].sort());
  });

  it("waits for a source that is away for a moment", () => {
    const first = look("r2", {});
    const source = first.position.sources[0]?.id as ReplicaId;
    const at = group.ids.find((id) => id !== source) as ReplicaId;
    group.stop(source);
    const away = look(at, { from: first.position });
    expect([away.isCaughtUp, wordsOf(away)]).toEqual([false, []]);
    group.start(source);
    group.put(at, "k", 10);
    group.pass(1000);
    const words = wordsOf(look(at, { from: away.position }));
    expect(words).toEqual(["k"]);
  });

  it("begins anew when a delete was collected before it was read, or the disk is another", () => {
    group = new Group({ count: 3 });
    for (let i = 0; i < 5; i++) group.put("r1", `k${i}`, 10);
    const first = follow("r1", "beginning");
    group.remove("r2", "k0");
    for (let i = 0; i < 60; i++) {
      group.pass(5000);
      group.runAll("collect");
    }
    expect(group.digests("r1").size).toBe(4);
    const second = follow("r1", first.position);
    expect(wordsOf(second)).toContain("resync");
    expect(wordsOf(second)).not.toContain("switch");
    expect(namesIn(obeyed(second.changes))).toEqual(["k1", "k2", "k3", "k4"]);
    expect(wordsOf(follow("r1", second.position))).toEqual([]);
    const [source] = second.position.sources;
    group.wipe(source?.id as ReplicaId);
    group.start(source?.id as ReplicaId);
    for (let i = 0; i < 3; i++) group.run(source?.id as ReplicaId, "exchange");
    const third = follow("r3", second.position);
    expect(wordsOf(third)).toContain("resync");
    expect(namesIn(obeyed(third.changes))).toEqual(["k1", "k2", "k3", "k4"]);
  });

  it("tells of keys that are forgotten as their time is over", () => {
    const { position } = look("r1", {});
    group.execute("r1", { ...writeOf("short", 5), ttlMs: 1000 } as never);
    group.put("r1", "long", 5);
    const second = look("r1", { from: position });
    expect([...wordsOf(second)].sort()).toEqual(["long", "short"]);
    group.pass(2000);
    group.runAll("collect");
    expect(group.digests("r1").size).toBeLessThan(2);
    expect(wordsOf(look("r1", { from: second.position }))).toEqual(["-short"]);
    // A restart forgets which ones these were, and a reader that has not heard of them begins anew.
    for (const id of group.ids) group.stop(id);
    for (const id of ["r1", "r2", "r3", "r4", "r5"]) group.start(id);
    expect(wordsOf(follow("r1", second.position))).toContain("resync");
  });

  it("goes on after a restart of all nodes where it was", () => {
    group.put("r1", "a", 5);
    const { position } = look("r1", {});
    group.put("r1", "b", 5);
    for (const id of group.ids) group.stop(id);
    for (const id of ["r1", "r2", "r3", "r4", "r5"]) group.start(id);
    group.put("r1", "c", 5);
    expect([...wordsOf(look("r2", { from: position }))].sort()).toEqual(["b", "c"]);
  });

  it("tells of a purge as a rule, and once", () => {
    const { position } = look("r1", {});
    const what = { tags: ["red", "blue"] };
    group.execute("r2", { kind: "purge", namespace: "demo", what });
    group.execute("r2", { kind: "purge", namespace: "other", what: { everything: true } });
    const found = look("r1", { from: position });
    expect(wordsOf(found)).toEqual(['{"tags":["blue","red"]}']);
    expect(wordsOf(look("r3", { from: found.position }))).toEqual([]);
  });

  it("gives no version that an older one of its run comes after", () => {
    group = new Group({ count: 3 });
    const first = look("r1", {});
    const source = first.position.sources[0]?.id as ReplicaId;
    group.put("r1", "k", 10);
    const second = look("r1", { from: first.position });
    const [told] = second.changes;
    group.rot(source, new Set(["demo\0k"]));
    group.read("r1", "k");
    const third = look(source, { from: second.position });
    const runs = third.changes.map((change) => (change.what === "purge" ? 0 : change.run));
    expect(told?.what === "key" && runs.includes(told.run)).toBe(false);
  });
});
