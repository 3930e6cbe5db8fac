/** A replica that was down while writes went on: what it missed goes home before it speaks. */
import { describe, expect, it } from "vitest";
import type { Operation } from "../../core/operations.ts";
import { Group, writeOf } from "./group.ts";

const names = Array.from({ length: 60 }, (_, i) => `k${i}`);
const HOMING_OVER_MS = 60;

const isBehind = (group: Group, id: string): boolean =>
  group.node(id).service?.jobs.absence?.isBehind === true;
const hintCount = (group: Group): number => {
  const counts = group.ids.flatMap((id) => [...group.storeOf(id).hintCounts().values()]);
  return counts.reduce((sum, count) => sum + count, 0);
};

/** r2 was down while every key got its value. */
function missed(): Group {
  const group = new Group({ count: 5, heartbeatMs: 1000 });
  group.pass(1000);
  group.stop("r2");
  for (const name of names) group.execute("r1", writeOf(name, 4));
  expect(hintCount(group)).toBeGreaterThan(10);
  return group;
}

describe("a replica that comes back", () => {
  it("has all of its hints as soon as it says so, not when somebody's timer rings", () => {
    const group = missed();
    group.start("r2");
    group.execute("r2", { kind: "status" });
    expect(hintCount(group)).toBe(0);
    group.pass(HOMING_OVER_MS);
    expect(isBehind(group, "r2")).toBe(false);
  });

  it("never says at r=1 that nothing is there, nor coordinates, while it lacks what waits for it", () => {
    const group = missed();
    // What its peers send it is on its way for a while.
    group.holdsBack = ({ body }, to) => to === "r2" && body.kind === "deliver";
    group.start("r2");
    for (const name of names) expect([name, group.has("r2", name, 1)]).toEqual([name, true]);
    expect(isBehind(group, "r2")).toBe(true);
    for (const name of names) group.remove("r2", name);
    group.letGo();
    group.pass(HOMING_OVER_MS);
    expect(isBehind(group, "r2")).toBe(false);
    for (const name of names) expect([name, group.has("r4", name, 1)]).toEqual([name, false]);
  });

  it("waits for no member that is down", () => {
    const group = missed();
    for (const id of ["r1", "r3"]) group.stop(id);
    group.start("r2");
    for (let i = 0; i < 2; i++) group.pass(HOMING_OVER_MS);
    expect(isBehind(group, "r2")).toBe(false);
  });

  it("is asked as ever, after one round trip, where it has missed nothing", () => {
    const group = new Group({ count: 3, heartbeatMs: 1000 });
    group.pass(1000);
    group.put("r1", "k", 4);
    group.stop("r2");
    group.start("r2");
    group.execute("r2", { kind: "status" });
    expect(isBehind(group, "r2")).toBe(false);
    const write: Operation = writeOf("k", 5);
    expect(group.execute("r2", write)).toMatchObject({ kind: "written", created: false });
  });

  it("gets hints at the first answer to a heartbeat, whoever believed what of it", () => {
    const group = missed();
    group.loses = ({ body }) => body.kind === "homing";
    group.start("r2");
    group.execute("r2", { kind: "status" });
    expect(hintCount(group)).toBeGreaterThan(10);
    group.runAll("heartbeat");
    expect(hintCount(group)).toBe(0);
  });
});
