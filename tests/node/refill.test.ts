/** A record that rotted counts again when it has all that it may have been counted for. */
import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import { Group, writeOf } from "./group.ts";

const KEY = storeKey("demo", "k");
const strict = { consistency: "strict" } as const;

const writing = (byteCount: number | null, options = {}): Operation => ({
  ...(writeOf("k", byteCount) as Extract<Operation, { kind: "write" }>),
  options,
});

/** What a client of this node is told: how long the newest value is, null for none, or an error. */
function told(group: Group, at: ReplicaId, operation: Operation): number | null | string {
  const result = group.execute(at, operation);
  if (result.kind === "failed") return result.failure.code;
  if (result.kind !== "got") return result.kind;
  const lengths = result.entry.siblings.map(({ content }) => content?.value.length ?? null);
  return lengths.at(-1) ?? null;
}

const read = (group: Group, at: ReplicaId, options = {}) =>
  told(group, at, { kind: "get", key: KEY, options, session: null });

const unsureCount = (group: Group, id: ReplicaId) =>
  group.node(id).service?.keeper.losses.unsureCount;

/**
 * The last replica misses a strict write that all others take; then the record of the second rots.
 */
function stale(count: number, heartbeatMs = 0): Group {
  const group = new Group({ count, demo: { n: count }, heartbeatMs });
  const last = `r${count}`;
  group.pass(1000);
  group.execute("r1", writing(1, strict));
  group.stop(last);
  expect(told(group, "r1", writing(2, strict))).toBe("written");
  group.rot("r2", new Set([KEY]));
  group.stop("r1");
  group.start(last);
  return group;
}

describe("a record that rotted, of a write that one other owner missed", () => {
  const bringers: [string, (group: Group) => void][] = [
    ["a read's repair", (group) => expect(read(group, "r3", { r: 2 })).toMatch(/^quorum/)],
    ["an exchange", (group) => group.execute("r3", { kind: "anti-entropy", replica: "r3" })],
    ["the question about it", (group) => void group.node("r2").service?.keeper.hold(KEY)],
  ];

  it.each(bringers)("does not count with what %s brings alone", (_, bring) => {
    const group = stale(3);
    bring(group);
    for (const id of ["r2", "r3"]) {
      expect(read(group, id, strict)).toBe("quorum-unavailable");
      expect(read(group, id, { r: 2 })).toBe("quorum-unavailable");
      expect(told(group, id, writing(3, strict))).toBe("quorum-unavailable");
    }
    expect(unsureCount(group, "r2")).toBe(1);
  });

  it.each(bringers)("counts once the other owner is back, after what %s brought", (_, bring) => {
    const group = stale(3);
    bring(group);
    group.start("r1");
    group.pass(3000);
    expect(unsureCount(group, "r2")).toBe(0);
    group.stop("r1");
    for (const id of ["r2", "r3"]) expect(read(group, id, strict)).toBe(2);
  });

  it("does not count after a crash either, before the others were compared with", () => {
    const group = stale(3, 1000);
    expect(read(group, "r3", { r: 2 })).toBe("quorum-unavailable");
    group.pass(1000);
    group.stop("r2");
    group.start("r2");
    group.pass(1000);
    expect(read(group, "r3", strict)).toBe("quorum-unavailable");
    group.start("r1");
    for (let i = 0; i < 3; i++) group.pass(1000);
    group.stop("r1");
    group.pass(1000);
    expect(read(group, "r3", strict)).toBe(2);
    group.stop("r2");
    group.start("r2");
    group.pass(1000);
    expect(read(group, "r3", strict)).toBe(2);
  });

  it("counts with as many of five owners as a majority cannot leave out", () => {
    const group = stale(5);
    group.stop("r4");
    group.node("r2").service?.keeper.hold(KEY);
    group.pass(3000);
    // Of the four others two are there, one of which has the write.
    expect(unsureCount(group, "r2")).toBe(1);
    group.start("r4");
    group.pass(3000);
    expect(unsureCount(group, "r2")).toBe(0);
    expect(read(group, "r2", { r: 1 })).toBe(2);
  });

  it("counts without an owner that an operator has given up", () => {
    const group = stale(3);
    group.node("r2").service?.keeper.hold(KEY);
    group.pass(3000);
    expect(read(group, "r3", strict)).toBe("quorum-unavailable");
    const accepted = group.execute("r3", { kind: "accept-loss", replica: "r2" });
    expect(accepted).toEqual({ kind: "accepted", partitionCount: 1, waitedFor: ["r1"] });
    expect(read(group, "r3", strict)).toBe(1);
  });

  it("is not made up for by what rots in its turn", () => {
    const group = stale(3);
    group.node("r2").service?.keeper.hold(KEY);
    group.pass(100);
    group.rot("r2", new Set([KEY]));
    group.stop("r3");
    group.start("r1");
    group.pass(3000);
    expect(unsureCount(group, "r2")).toBe(1);
    group.start("r3");
    group.pass(3000);
    expect(unsureCount(group, "r2")).toBe(0);
  });
});

describe("a record that rotted, while all owners are there", () => {
  it.each([2, 3, 5])("is made up for at once, when it is found, of %i owners", (count) => {
    const group = new Group({ count, demo: { n: count } });
    group.put("r1", "k", 10);
    group.rot("r2", new Set([KEY]));
    const { now } = group;
    group.node("r2").service?.keeper.hold(KEY);
    group.pass(0);
    expect([group.now, group.node("r2").service?.keeper.lostCount]).toEqual([now, 0]);
    expect(read(group, "r2", { r: 1 })).toBe(10);
  });

  it("coordinates no write before, which another one does", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "k", 10);
    group.rot("r2", new Set([KEY]));
    expect(told(group, "r2", writing(20, strict))).toBe("written");
    group.stop("r1");
    expect(read(group, "r2", strict)).toBe(20);
  });

  it.each([1, 2, 3])("is written again at once where all of %i copies rotted", (n) => {
    const group = new Group({ count: 3, demo: { n } });
    group.put("r1", "k", 10);
    for (const [id, { store }] of group.members) {
      if (store.summary(KEY) !== undefined) group.rot(id, new Set([KEY]));
    }
    expect(told(group, "r1", writing(20))).toBe("written");
    group.pass(1000);
    for (const id of group.ids) expect(read(group, id)).toBe(20);
    expect(group.ids.map((id) => unsureCount(group, id))).toEqual([0, 0, 0]);
  });
});
