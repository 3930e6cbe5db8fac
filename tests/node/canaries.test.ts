import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import type { CanaryCount } from "../../core/delay-report.ts";
import { CANARY_NAMESPACE, namespaceOf, storeKey } from "../../core/keys.ts";
import type { StalenessResult } from "../../core/results.ts";
import { timeNear, visibleByCount } from "../../src/node/jobs/canaries.ts";
import { Group } from "./group.ts";

const MINUTE_MS = 60_000;

function told(group: Group, at = "r1"): StalenessResult {
  const result = group.execute(at, { kind: "staleness" });
  if (result.kind !== "staleness") throw new Error(result.kind);
  return result;
}

const foundBy = (group: Group, id: string): readonly CanaryCount[] =>
  told(group).reports.get(id)?.canaries ?? [];

/** Asks for so many canaries of every node, and gives each the time that it needs. */
function fly(group: Group, count: number): void {
  for (let i = 0; i < count; i++) {
    group.runAll("canary");
    for (let ms = 0; ms < 110; ms++) group.pass(1);
  }
}

const isCanary = (key: string): boolean => namespaceOf(key) === CANARY_NAMESPACE;

describe("a read with r, by the replies of all", () => {
  const reply = (place: number, ms: number, sees: boolean) => ({ place, ms, sees });

  it("has the first r of the frontend's order, where they are in time", () => {
    const replies = [reply(2, 1, true), reply(0, 2, false), reply(1, 3, false)];
    expect(visibleByCount(replies, 250)).toEqual([false, false, true]);
  });

  it("has whoever is asked after the hedge delay instead of one that is slow", () => {
    const replies = [reply(1, 5, true), reply(0, 40, false)];
    expect(visibleByCount(replies, 10)[0]).toBe(true);
    expect(visibleByCount(replies, 36)[0]).toBe(false);
  });

  it("is known for as many as replied", () => {
    expect(visibleByCount([], 10)).toEqual([]);
    expect(visibleByCount([reply(1, 5, false)], 10)).toEqual([false]);
  });
});

describe("when a read began", () => {
  it("counts for the time that it is near to, and for none between two", () => {
    expect([0, 0.4, 0.6, 1.4, 20.9, 21.1, 50, 100, 105.1].map(timeNear)).toEqual([
      ...[0, 0, 1, 1, 20, null, 50, 100, null],
    ]);
  });
});

describe("canaries", () => {
  it("are found by every r where every message arrives at once", () => {
    const group = new Group({ count: 3 });
    fly(group, 150);
    const cells = foundBy(group, "r1");
    const readers = new Set(cells.map(({ reader }) => reader));
    expect([...readers].sort()).toEqual(["r1", "r2", "r3"]);
    expect(new Set(cells.map(({ w }) => w))).toEqual(new Set([1, 2, 3]));
    for (const { counts, seen } of cells) {
      expect(counts).toHaveLength(3);
      expect(seen).toEqual(counts);
    }
    const count = cells.reduce((sum, { counts }) => sum + (counts[0] ?? 0), 0);
    // A peer's clock has to be learnt first.
    expect(count).toBeGreaterThan(140);
    expect(count).toBeLessThanOrEqual(150);
  });

  it("are missed by reads that ask a replica which has not got them", () => {
    const group = new Group({ count: 3 });
    fly(group, 20);
    // What r1 sends to be stored at r3 never gets there.
    group.loses = (message, to) =>
      message.type === "request" && message.body.kind === "store" && to === "r3";
    fly(group, 150);
    const cells = foundBy(group, "r1").filter(({ w, reader }) => w === 1 && reader === "r3");
    const total = (of: (cell: CanaryCount) => number | undefined): number =>
      cells.reduce((sum, cell) => sum + (of(cell) ?? 0), 0);
    expect(total(({ counts }) => counts[0])).toBeGreaterThan(5);
    expect(total(({ seen }) => seen[0])).toBeLessThan(total(({ counts }) => counts[0]));
    expect(total(({ seen }) => seen[2])).toBe(total(({ counts }) => counts[2]));
  });

  it("are at most one a second, one by one, and none where they are turned off", () => {
    const group = new Group({ count: 3, canaryMs: 1000 });
    const writes: number[] = [];
    group.loses = (message, _to, from) => {
      if (message.type !== "request" || from !== "r1") return false;
      if (message.body.kind === "store" && isCanary(message.body.key)) writes.push(group.now);
      return false;
    };
    for (let ms = 0; ms < MINUTE_MS; ms += 10) group.pass(10);
    const times = [...new Set(writes)];
    expect(times.length).toBeGreaterThan(30);
    expect(times.length).toBeLessThanOrEqual(60);

    const quiet = new Group({ count: 3 });
    for (let ms = 0; ms < MINUTE_MS; ms += 100) quiet.pass(100);
    expect(foundBy(quiet, "r1")).toEqual([]);
    expect(quiet.storeOf("r1").stats().keyCount).toBe(0);
  });

  it("cost a member less than a hundredth of a processor at one a second", () => {
    const group = new Group({ count: 3 });
    fly(group, 20);
    const before = process.cpuUsage();
    const count = 200;
    // All three nodes work here, in one thread, and each makes one: so this is what one makes of it.
    fly(group, count);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000 / count).toBeLessThan(10);
  });

  it("are forgotten after ten minutes", () => {
    const group = new Group({ count: 3 });
    fly(group, 5);
    expect(foundBy(group, "r2")).not.toEqual([]);
    group.pass(11 * MINUTE_MS);
    expect(foundBy(group, "r2")).toEqual([]);
  });

  it("use few keys, which nobody sees", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "mine", 5);
    fly(group, 100);
    const { keyCount } = group.storeOf("r1").stats();
    expect(keyCount).toBeGreaterThan(1);
    expect(keyCount).toBeLessThanOrEqual(1 + 3 * 512);
    const status = group.execute("r1", { kind: "status" });
    expect(status).toMatchObject({ kind: "status" });
    if (status.kind !== "status") return;
    expect(status.members.map(([, of]) => of?.keyCount)).toEqual([1, 1, 1]);
    const named = group.execute("r1", { kind: "namespaces", after: "", limit: 10 });
    expect(named).toMatchObject({ names: ["demo"] });
  });

  it("leave keys alone whose replica is suspected", () => {
    const group = new Group({ count: 5 });
    group.stop("r3");
    fly(group, 10);
    const hints = (): number =>
      group.ids.reduce((sum, id) => sum + (group.storeOf(id).hintCounts().get("r3") ?? 0), 0);
    const before = hints();
    fly(group, 60);
    expect(hints()).toBe(before);
    for (const id of group.ids) expect(foundBy(group, id)).not.toEqual([]);
  });

  it("are the only keys that a peer may have probed", () => {
    const group = new Group({ count: 3 });
    const key = storeKey("demo", "k");
    const body = { kind: "probe", key, at: 0, seen: CausalContext.empty } as const;
    const node = group.node("r1");
    const { stamp } = node.knowledge;
    const message = { type: "request", call: 1, stamp, budgetMs: 100, trace: "", body } as const;
    const clocks = { monotonic: group.now, wall: group.now };
    const effects = node.step({ kind: "message", from: "r2", message }, clocks);
    expect(effects).toMatchObject([{ message: { body: { kind: "refused", code: "malformed" } } }]);
  });
});
