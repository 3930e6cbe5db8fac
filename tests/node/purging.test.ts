/** Purges where clocks are off, and where a minority has not heard of them. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { PurgeResult, Result } from "../../core/results.ts";
import { Group } from "./group.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

const purge = (group: Group, at: ReplicaId): Result =>
  group.execute(at, { kind: "purge", namespace: "demo", what: { everything: true } });

/** The nodes through which a value of the key is found. */
const seenBy = (group: Group, key: string): readonly ReplicaId[] =>
  group.ids.filter((id) => group.has(id, key));

/** Two rounds of heartbeats: the second weighs what the first has heard. */
function beat(group: Group): void {
  for (let i = 0; i < 2; i++) {
    group.pass(1000);
    group.runAll("heartbeat");
  }
}

let group: Group;

function ok(result: Result): void {
  expect(["written", "purged"]).toContain(result.kind);
}

describe("a purge through a node whose clock is an hour ahead", () => {
  beforeEach(() => {
    group = new Group({ count: 3 });
    group.wallOffMs.set("r1", HOUR_MS);
  });

  it("ends by the clocks of the others, and hides nothing that is written later", () => {
    ok(group.put("r2", "before", 10));
    const { until } = purge(group, "r1") as PurgeResult;
    expect(Math.abs(until - group.now)).toBeLessThan(1000);
    for (const id of group.ids) ok(group.put(id, `after-${id}`, 10));
    group.wallOffMs.clear();
    for (const id of group.ids) ok(group.put(id, `later-${id}`, 10));
    expect(seenBy(group, "before")).toEqual([]);
    for (const id of group.ids) {
      expect(seenBy(group, `after-${id}`)).toEqual(group.ids);
      expect(seenBy(group, `later-${id}`)).toEqual(group.ids);
    }
  });

  it("ends what that node has written itself, while its clock is wrong and after", () => {
    beat(group);
    ok(group.put("r1", "a", 10));
    ok(purge(group, "r1"));
    expect(seenBy(group, "a")).toEqual([]);
    ok(group.put("r1", "b", 10));
    group.wallOffMs.clear();
    beat(group);
    ok(group.put("r1", "c", 10));
    ok(purge(group, "r2"));
    expect([seenBy(group, "b"), seenBy(group, "c")]).toEqual([[], []]);
    ok(group.put("r1", "a", 10));
    expect(seenBy(group, "a")).toEqual(group.ids);
  });

  it("is not made where the clocks of no majority agree", () => {
    group.wallOffMs.set("r2", -HOUR_MS);
    ok(group.put("r3", "k", 10));
    const failure = { code: "quorum-unavailable", required: 2 };
    expect(purge(group, "r3")).toMatchObject({ kind: "failed", failure });
    expect(seenBy(group, "k")).toEqual(group.ids);
  });
});

describe("a write after a purge is seen", () => {
  beforeEach(() => {
    group = new Group({ count: 3 });
  });

  it("through a node whose clock is behind, before and after it is started anew", () => {
    group.wallOffMs.set("r3", -4 * MINUTE_MS);
    ok(group.put("r1", "k", 10));
    ok(purge(group, "r1"));
    ok(group.put("r3", "k", 10));
    expect(seenBy(group, "k")).toEqual(group.ids);
    group.pass(1000);
    ok(purge(group, "r1"));
    expect(seenBy(group, "k")).toEqual([]);
    group.start("r3");
    ok(group.put("r3", "k", 10));
    expect(seenBy(group, "k")).toEqual(group.ids);
  });

  it("or not acknowledged, where its coordinator hears of the purge as it writes", () => {
    group.wallOffMs.set("r3", -4 * MINUTE_MS);
    group.loses = (_, to, from) => to === "r3" || from === "r3";
    expect(purge(group, "r1")).toMatchObject({ kind: "purged", learntCount: 2, memberCount: 3 });
    group.loses = () => false;
    const failure = { code: "quorum-unavailable" };
    expect(group.put("r3", "k", 10)).toMatchObject({ kind: "failed", failure });
    ok(group.put("r3", "k", 10));
    expect(seenBy(group, "k")).toEqual(group.ids);
  });
});

describe("a purge that two of five have missed", () => {
  const minority: readonly ReplicaId[] = ["r4", "r5"];
  /** A key of which both of them are owners, so that they are a strict quorum of it. */
  let key = "";
  const strictRead = (id: ReplicaId): Result => {
    const options = { consistency: "strict" } as const;
    const name = storeKey("demo", key);
    return group.execute(id, { kind: "get", key: name, options, session: null });
  };

  beforeEach(() => {
    group = new Group({ count: 5 });
    const { ring } = group.node("r1").knowledge;
    const names = Array.from({ length: 100 }, (_, i) => `k${i}`);
    const owners = (name: string) => ring.primariesOf(ring.partitionOf(storeKey("demo", name)), 3);
    key = names.find((name) => minority.every((id) => owners(name).includes(id))) ?? "";
    ok(group.put("r1", key, 10));
    group.loses = (_, to, from) => minority.includes(to) !== minority.includes(from);
    expect(purge(group, "r1")).toMatchObject({ kind: "purged", learntCount: 3, memberCount: 5 });
  });

  it("is not undone for strict reads among these two", () => {
    const failure = { code: "quorum-unavailable", required: 3, achieved: 2 };
    for (const id of minority) expect(strictRead(id)).toMatchObject({ kind: "failed", failure });
  });

  it("is known to them as soon as they reach any other, before they answer a strict read", () => {
    group.loses = (_, to, from) => ["r1", "r2"].some((id) => id === to || id === from);
    for (const id of minority) {
      const result = strictRead(id);
      const values = result.kind === "got" ? result.entry.siblings : [];
      expect([result.kind, values.map(({ content }) => content)]).toEqual(["got", [null]]);
    }
    expect(group.has("r4", key, 1)).toBe(false);
  });

  it("is what strict reads on the other side go by", () => {
    for (const id of ["r1", "r2", "r3"]) expect(strictRead(id).kind).not.toBe("got");
    group.loses = () => false;
    beat(group);
    expect(seenBy(group, key)).toEqual([]);
  });
});

describe("a purge that fewer than a majority has learnt", () => {
  it("is not acknowledged, and may still spread", () => {
    group = new Group({ count: 5 });
    ok(group.put("r1", "k", 10));
    const isTold = (to: ReplicaId): boolean => ["r1", "r2"].includes(to);
    group.loses = ({ type, ...message }, to) =>
      type === "request" &&
      "body" in message &&
      ["document", "ping"].includes((message.body as { kind: string }).kind) &&
      !isTold(to);
    const failure = { code: "quorum-unavailable", required: 3, achieved: 2 };
    expect(purge(group, "r1")).toMatchObject({ kind: "failed", failure });
    group.loses = () => false;
    expect(seenBy(group, "k")).toEqual([]);
  });

  it("is not begun where no majority is reached", () => {
    group = new Group({ count: 3 });
    ok(group.put("r1", "k", 10));
    group.loses = () => true;
    const failure = { code: "quorum-unavailable", required: 2, achieved: 1 };
    expect(purge(group, "r1")).toMatchObject({ kind: "failed", failure });
    group.loses = () => false;
    expect(seenBy(group, "k")).toEqual(group.ids);
  });
});
