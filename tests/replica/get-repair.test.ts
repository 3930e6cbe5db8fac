import { describe, expect, it } from "vitest";
import { merge } from "../../core/entry.ts";
import { SPREAD_MS_MAX } from "../../core/limits.ts";
import type { GetCoordinator } from "../../replica/get-coordinator.ts";
import type { GetPlan } from "../../replica/get-plan.ts";
import {
  candidates,
  digest,
  held,
  nothing,
  refused,
  START,
  stored,
  unknown,
  written,
} from "./probe.ts";
import { beside, HEDGE, next, old, outcome, read, repairs } from "./reading.ts";

describe("a strict read", () => {
  const strict = (changes: Partial<GetPlan> = {}) =>
    read({ consistency: "strict" }, { candidates: candidates("r1 r2 r3"), ...changes });

  /** r1 has what r2 has not. */
  function apart(changes: Partial<GetPlan> = {}) {
    const run = strict(changes);
    run.coordinator.reply("r1", held(next), START);
    run.coordinator.reply("r2", digest(old), START);
    run.coordinator.reply("r2", held(old), START);
    return run;
  }

  it("answers at once when a write quorum holds the same", () => {
    const { probe, coordinator } = strict();
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
    expect(probe.stores()).toEqual([]);
  });

  it("brings a write quorum up to date, durably, before it answers", () => {
    const { probe, coordinator } = apart();
    expect(outcome(probe)).toBeUndefined();
    expect(repairs(probe)).toEqual([["r2", "next", "durable"]]);
    coordinator.reply("r2", stored(), START);
    expect(outcome(probe)).toEqual(["next"]);
    expect(coordinator.isOver).toBe(true);
    expect(probe.stores()).toHaveLength(1);
  });

  it("joins siblings for all who lack one", () => {
    const { probe, coordinator } = strict();
    coordinator.reply("r1", held(written("a")), START);
    coordinator.reply("r2", held(written("b")), START);
    expect(repairs(probe)).toEqual([
      ["r1", "a", "b", "durable"],
      ["r2", "a", "b", "durable"],
    ]);
    coordinator.reply("r1", stored(), START);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r2", stored(), START);
    expect(outcome(probe)).toEqual(["a", "b"]);
  });

  it("does not show what it learnt after it began to write back", () => {
    const { probe, coordinator } = strict({ hedgeMs: 10 });
    coordinator.wake(START + 10);
    coordinator.reply("r1", held(next), START + 11);
    coordinator.reply("r2", digest(old), START + 11);
    coordinator.reply("r2", held(old), START + 12);
    // It is on a single replica, and may never be on more.
    const later = written("later", { base: next });
    coordinator.reply("r3", held(later), START + 13);
    coordinator.reply("r2", stored(), START + 14);
    expect(outcome(probe)).toEqual(["next"]);
  });

  it.each<[string, (c: GetCoordinator) => void]>([
    ["fails", (c) => c.failed("r2", START)],
    ["refuses", (c) => c.reply("r2", refused("insufficient-storage"), START)],
    ["is silent", (c) => c.wake(START + HEDGE)],
  ])("turns to another primary when one that it writes back to %s", (_, happens) => {
    const { probe, coordinator } = apart();
    happens(coordinator);
    expect(repairs(probe)).toContainEqual(["r3", "next", "durable"]);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(outcome(probe)).toEqual(["next"]);
  });

  it("fails, rather than answer, when no write quorum takes what it found", () => {
    const { probe, coordinator } = apart();
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    expect(outcome(probe)).toBe("quorum-unavailable");
    const silent = apart();
    silent.coordinator.wake(START + 2000);
    expect(outcome(silent.probe)).toBe("quorum-timeout");
  });

  it("does not take a promise for a durable copy", () => {
    const { probe, coordinator } = apart();
    coordinator.reply("r2", stored(false), START);
    expect(outcome(probe)).toBeUndefined();
  });
});

describe("after the answer", () => {
  it("late replies are taken in, and every primary that was behind is repaired, once", () => {
    const { probe, coordinator } = read({ r: 1 });
    coordinator.wake(START + HEDGE);
    coordinator.reply("r1", held(old), START + 60);
    expect(outcome(probe)).toEqual(["old"]);
    expect(coordinator.isOver).toBe(false);
    coordinator.reply("r2", held(next), START + 70);
    expect(repairs(probe)).toEqual([["r1", "next", "received"]]);
    expect([coordinator.isOver, coordinator.repairCount]).toEqual([true, 1]);
  });

  it("a late digest that differs is read first: it may be ahead", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START + 10);
    coordinator.wake(START + HEDGE);
    coordinator.reply("r2", digest(old), START + 60);
    expect(outcome(probe)).toEqual(["old"]);
    probe.asked();
    coordinator.reply("r3", digest(next), START + 70);
    expect(probe.asked()).toEqual(["r3 entry"]);
    coordinator.reply("r3", held(next), START + 80);
    expect(repairs(probe)).toEqual([
      ["r1", "next", "received"],
      ["r2", "next", "received"],
    ]);
  });

  it("a primary that had nothing is repaired, though nothing counted", () => {
    const { probe, coordinator } = read({ r: 1, notfoundOk: false });
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", held(old), START);
    expect(repairs(probe)).toEqual([["r1", "old", "received"]]);
  });

  it("a primary that may have lost what it had gets it back", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", unknown, START);
    coordinator.reply("r3", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
    expect(repairs(probe)).toEqual([["r2", "old", "received"]]);
  });

  it("a fallback is never repaired, nor one that was not asked or did not answer", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 f4 r5") });
    coordinator.reply("r1", held(old), START);
    coordinator.failed("r2", START);
    coordinator.reply("f4", nothing, START);
    expect(outcome(probe)).toEqual(["old"]);
    expect(probe.stores()).toEqual([]);
    expect(coordinator.isOver).toBe(true);
  });

  it("the deadline ends the wait for the late ones: what is known is repaired then", () => {
    const { probe, coordinator } = read({ r: 1 });
    coordinator.wake(START + HEDGE);
    coordinator.wake(START + 2 * HEDGE);
    coordinator.reply("r1", nothing, START + 110);
    expect(outcome(probe)).toEqual([]);
    coordinator.reply("r2", held(old), START + 120);
    expect(coordinator.wakeAt).toBe(START + 2000);
    coordinator.wake(START + 2000);
    expect(repairs(probe)).toEqual([["r1", "old", "received"]]);
    expect(coordinator.isOver).toBe(true);
  });

  it("a read that failed repairs what it saw all the same", () => {
    const { probe, coordinator } = read({ r: 3 }, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(merge(next, beside)), START);
    coordinator.reply("r2", held(old), START);
    coordinator.failed("r3", START);
    expect(outcome(probe)).toBe("quorum-unavailable");
    expect(repairs(probe)).toEqual([["r2", "beside", "next", "received"]]);
  });

  it("nobody is sent an empty entry when a digest was all that came", () => {
    const { probe, coordinator } = read({ timeoutMs: 10 });
    coordinator.reply("r2", digest(old), START);
    coordinator.wake(START + 10);
    expect(outcome(probe)).toBe("quorum-timeout");
    expect(probe.stores()).toEqual([]);
  });
});

// By then the value may have been deleted, and its tombstone collected.
describe("what was read long ago", () => {
  const patient = { timeoutMs: 60_000 };

  it("is not waited for longer than it may be sent on", () => {
    const { probe, coordinator } = read(
      { ...patient, r: 2 },
      { candidates: candidates("r1 r2 r3") },
    );
    coordinator.wake(START + HEDGE);
    coordinator.reply("r1", held(next), START + HEDGE);
    coordinator.reply("r2", nothing, START + HEDGE);
    expect(outcome(probe)).toEqual(["next"]);
    expect(coordinator.wakeAt).toBeLessThan(START + SPREAD_MS_MAX);
    coordinator.wake(coordinator.wakeAt);
    expect(repairs(probe)).toEqual([["r2", "next", "received"]]);
    expect(coordinator.isOver).toBe(true);
  });

  it("mends nobody", () => {
    const { probe, coordinator } = read({ ...patient, r: 2 });
    const late = START + SPREAD_MS_MAX + 1;
    coordinator.reply("r1", held(next), START);
    coordinator.reply("r2", nothing, late);
    expect(outcome(probe)).toEqual(["next"]);
    coordinator.wake(late);
    expect(repairs(probe)).toEqual([]);
  });

  it("is not written back by a strict read, which fails in the end", () => {
    const { probe, coordinator } = read(
      { ...patient, consistency: "strict" },
      { candidates: candidates("r1 r2 r3") },
    );
    coordinator.reply("r1", held(next), START);
    coordinator.reply("r2", nothing, START + SPREAD_MS_MAX + 1);
    expect(repairs(probe)).toEqual([]);
    coordinator.wake(START + 60_000);
    expect(outcome(probe)).toBe("quorum-timeout");
    expect(repairs(probe)).toEqual([]);
  });
});
