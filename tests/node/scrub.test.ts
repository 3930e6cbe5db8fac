import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { ScrubStatus } from "../../core/results.ts";
import { Group } from "./group.ts";

const KEY = storeKey("demo", "k");

function statusOf(group: Group, id: ReplicaId): ScrubStatus | null {
  const result = group.execute(id, { kind: "status" });
  if (result.kind !== "status") throw new Error(result.kind);
  return new Map(result.members).get(id)?.scrub ?? null;
}

function scrub(group: Group, id: ReplicaId, at = "r1") {
  const result = group.execute(at, { kind: "scrub", replica: id });
  if (result.kind !== "scrubbed") throw new Error(JSON.stringify(result));
  return result.replicas[0];
}

/** Every read of a record by this replica's scrub, in order. */
function readsOf(group: Group, id: ReplicaId): string[] {
  const { store } = group.node(id).service?.keeper ?? {};
  const reads: string[] = [];
  if (store !== undefined) store.isSound = (key) => reads.push(key) > 0;
  return reads;
}

describe("a scrub", () => {
  it("finds a record that has rotted, and has the peers mend it before it is read", () => {
    const group = new Group({ count: 3 });
    for (let i = 0; i < 20; i++) group.put("r1", `other-${i}`, 10);
    group.put("r1", "k", 10);
    group.rot("r2", new Set([KEY]));
    const pass = { records: 21, damaged: 1, mended: 1 };
    expect(scrub(group, "r2")).toEqual({ id: "r2", state: "done", pass });
    expect(statusOf(group, "r2")).toEqual({ last: { at: group.now, ...pass }, running: null });
    group.stop("r1");
    group.stop("r3");
    expect(group.has("r2", "k", 1)).toBe(true);
    expect(scrub(group, "r2", "r2")?.pass).toEqual({ records: 21, damaged: 0, mended: 0 });
  });

  it("says what nobody could mend, until somebody does", () => {
    const group = new Group({ count: 3, demo: { n: 1 } });
    group.put("r1", "k", 10);
    const holds = (id: ReplicaId) => group.storeOf(id).summary(KEY) !== undefined;
    const [owner = ""] = group.ids.filter(holds);
    group.rot(owner, new Set([KEY]));
    expect(scrub(group, owner)?.pass).toEqual({ records: 1, damaged: 1, mended: 0 });
    group.put(owner, "k", 20);
    expect(statusOf(group, owner)?.last).toMatchObject({ damaged: 1, mended: 1 });
  });

  it("reads nothing where the platform checks its own storage, and says so", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "k", 10);
    expect(scrub(group, "r2")).toEqual({ id: "r2", state: "platform", pass: null });
    expect(statusOf(group, "r2")).toBeNull();
  });

  it("says of a replica that is away that there is no answer", () => {
    const group = new Group({ count: 3 });
    group.stop("r2");
    expect(scrub(group, "r2")).toEqual({ id: "r2", state: "no answer", pass: null });
  });

  it("reads everything once in its time by itself, at an even rate", () => {
    const group = new Group({ count: 3, scrubMs: 100_000 });
    for (let i = 0; i < 100; i++) group.put("r1", `k${i}`, 10);
    const reads = readsOf(group, "r1");
    group.run("r1", "scrub");
    for (let second = 0; second < 50; second++) group.pass(1000);
    expect(reads.length).toBeGreaterThan(40);
    expect(reads.length).toBeLessThan(60);
    for (let second = 0; second < 60; second++) group.pass(1000);
    expect(new Set(reads).size).toBe(100);
    expect(statusOf(group, "r1")?.last).toMatchObject({ records: 100, damaged: 0 });
  });

  it("is at its even rate again after a pass that was asked for", () => {
    const group = new Group({ count: 3, scrubMs: 100_000 });
    for (let i = 0; i < 100; i++) group.put("r1", `k${i}`, 10);
    const reads = readsOf(group, "r1");
    expect(scrub(group, "r1")?.pass?.records).toBe(100);
    const before = reads.length;
    for (let second = 0; second < 5; second++) group.pass(1000);
    expect(reads.length - before).toBeLessThan(10);
  });

  it("goes on after a restart where it was", () => {
    const group = new Group({ count: 3, scrubMs: 100_000 });
    for (let i = 0; i < 200; i++) group.put("r1", `k${i}`, 10);
    const before = readsOf(group, "r1");
    for (let second = 0; second < 50; second++) group.pass(1000);
    expect(before.length).toBeGreaterThan(50);
    group.stop("r1");
    group.start("r1");
    const after = readsOf(group, "r1");
    for (let second = 0; second < 70; second++) group.pass(1000);
    expect(statusOf(group, "r1")?.last?.records).toBeGreaterThan(0);
    const twice = after.slice(0, 200 - before.length).filter((key) => before.includes(key));
    expect(twice.length).toBeLessThan(20);
  });

  it("has what it finds by itself mended at once", () => {
    const group = new Group({ count: 3, scrubMs: 10_000 });
    group.put("r1", "k", 10);
    group.rot("r2", new Set([KEY]));
    for (let second = 0; second < 15; second++) group.pass(1000);
    expect(group.node("r2").service?.keeper.ownDigest(KEY)).not.toBeNull();
    expect(group.node("r2").service?.jobs.scrub.totals).toMatchObject({
      damaged: 1,
      mended: 1,
    });
  });
});
