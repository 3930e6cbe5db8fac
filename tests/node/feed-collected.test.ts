/** What a change feed tells of keys that all members agreed to forget. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ChangesOperation, ChangesResult } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { keyOf, storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import { followIn, wordsOf } from "./feed-looks.ts";
import { Group, writeOf } from "./group.ts";

let group: Group;

const follow = (at: ReplicaId, from: ChangesOperation["from"]): ChangesResult =>
  followIn(group, at, from);

describe("where a delete was collected that is no news to its reader", () => {
  const collectAll = (): void => {
    for (let i = 0; i < 60; i++) {
      group.pass(5000);
      group.runAll("collect");
    }
  };
  const restartAll = (): void => {
    const { ids } = group;
    for (const id of ids) group.stop(id);
    for (const id of ids) group.start(id);
  };

  beforeEach(() => {
    group = new Group({ count: 3 });
    group.put("r1", "a", 10);
  });

  it.each([
    ["", () => {}],
    [", nor after a restart", restartAll],
  ])("does not begin anew: it was told before%s", (_, then) => {
    group.remove("r2", "gone");
    const { position } = follow("r1", "beginning");
    // So the order goes on before the delete is collected.
    for (let i = 0; i < 5; i++) group.put("r1", "b", 10);
    collectAll();
    expect(group.digests("r1").size).toBe(2);
    then();
    expect(wordsOf(follow("r1", position))).toEqual(["b"]);
  });

  it.each([
    ["", () => {}],
    [", nor after a restart", restartAll],
  ])("does not begin anew: it was of another namespace%s", (_, then) => {
    const { position } = follow("r1", "beginning");
    const key = storeKey("other", "k");
    const write = { ...writeOf("k", 10), key } as Operation;
    for (const ttlMs of [1000, 1000]) group.execute("r1", { ...write, ttlMs } as Operation);
    group.execute("r1", { ...writeOf("k", null), key } as Operation);
    collectAll();
    expect(group.digests("r1").size).toBe(1);
    then();
    expect(wordsOf(follow("r1", position))).toEqual([]);
    expect(wordsOf(follow("r2", "beginning"))).toEqual(["a"]);
  });
});

describe("of values with a TTL that replaced others, and are collected", () => {
  const names = Array.from({ length: 20 }, (_, i) => `k${i}`);
  const gone = names.map((name) => `-${name}`).sort();
  const putAll = (ttlMs: number): void => {
    for (const name of names) group.execute("r1", { ...writeOf(name, 5), ttlMs } as Operation);
  };
  const collect = (ids = group.ids): void => {
    for (let i = 0; i < 20; i++) {
      group.pass(1000);
      for (const id of ids) group.run(id, "collect");
    }
  };
  const collectAll = (): void => {
    collect();
    expect(group.digests("r1").size).toBe(0);
  };
  const told = (from: ChangesResult): readonly string[] =>
    [...wordsOf(follow("r2", from.position))].sort();

  beforeEach(() => {
    group = new Group({ count: 3 });
    putAll(0);
  });

  it("tells who was away for longer, each once", () => {
    const before = follow("r1", "beginning");
    putAll(1000);
    collectAll();
    expect(told(before)).toEqual(gone);
    expect(told(follow("r2", before.position))).toEqual([]);
  });

  it("tells nobody twice who was told of their end", () => {
    putAll(1000);
    group.pass(1500);
    group.runAll("collect");
    const after = follow("r1", "beginning");
    putAll(1000);
    group.pass(1500);
    group.runAll("collect");
    const ended = follow("r1", after.position);
    expect([...wordsOf(ended)].sort()).toEqual(gone);
    collectAll();
    expect(told(ended)).toEqual([]);
  });

  it("tells who was told of a body that its source had not given up by then", () => {
    putAll(1000);
    const before = follow("r1", "beginning");
    const [source] = before.position.sources.map(({ id }) => id) as [ReplicaId];
    // The others give it up, and the source agrees that its time is over.
    collect(group.ids.filter((id) => id !== source));
    const left = [...group.digests(source).keys()].map(keyOf);
    expect(left.length).toBeLessThan(15);
    expect(told(before)).toEqual(gone.filter((word) => !left.includes(word.slice(1))));
  });

  it("begins anew after a crash that took the last word of how many there are", () => {
    const before = follow("r1", "beginning");
    putAll(1000);
    collectAll();
    for (const id of group.ids) group.stop(id);
    for (const id of ["r1", "r2", "r3"]) group.start(id);
    expect(wordsOf(follow("r1", before.position))).toContain("resync");
  });
});
