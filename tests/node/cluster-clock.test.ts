import { describe, expect, it } from "vitest";
import { Driver } from "../../src/driver/driver.ts";
import { backendOf } from "../../src/driver/driver-backend.ts";
import { agreeing, ClusterClock } from "../../src/node/knowledge/cluster-clock.ts";
import { Bench, START } from "./bench.ts";

const NOW = 1_785_369_600_000;
const HOUR_MS = 3_600_000;
const MEMBERS = ["r1", "r2", "r3", "r4", "r5"];

/** The clock of r1, whose wall clock is off by that much; the others show what is given here. */
function clockOf(ownOffMs: number, others: Readonly<Record<string, number>>): ClusterClock {
  const clock = new ClusterClock();
  clock.believed({ monotonic: 1000, wall: NOW + ownOffMs });
  for (const [id, offMs] of Object.entries(others)) clock.heard(id, NOW + offMs, 1000);
  clock.settle(MEMBERS, "r1");
  return clock;
}

const at = (clock: ClusterClock, ms: number, ownOffMs: number): number =>
  clock.believed({ monotonic: 1000 + ms, wall: NOW + ms + ownOffMs }) - NOW - ms;

describe("the clock that a majority agrees on", () => {
  const right = { r2: 0, r3: 20, r4: -20 };

  it.each([HOUR_MS, -HOUR_MS, 310_000])("goes before one's own that is off by %i ms", (offMs) => {
    const clock = clockOf(offMs, right);
    expect(Math.abs(at(clock, 10, offMs))).toBeLessThan(100);
    expect(clock.shown).toBe(NOW + 10 + offMs);
  });

  it.each([0, 280_000, -280_000])("leaves alone one that is off by %i ms", (offMs) => {
    expect(at(clockOf(offMs, right), 10, offMs)).toBe(offMs);
  });

  it("is seen as soon as one's own jumps, and as soon as it is right again", () => {
    const clock = clockOf(0, right);
    expect(Math.abs(at(clock, 5000, HOUR_MS))).toBeLessThan(100);
    expect(at(clock, 6000, 7)).toBe(7);
  });

  it("counts whole milliseconds, as what is stored does, though a node's own time does not", () => {
    const clock = clockOf(HOUR_MS, { r2: 0.25, r3: 20.5, r4: -20 });
    expect(clock.believed({ monotonic: 1010.7, wall: NOW + HOUR_MS }) % 1).toBe(0);
  });

  it("is nobody's while no majority agrees", () => {
    expect(at(clockOf(HOUR_MS, { r2: 0, r3: 0 }), 0, HOUR_MS)).toBe(HOUR_MS);
    expect(at(clockOf(HOUR_MS, { r2: 0, r3: -HOUR_MS, r4: 2 * HOUR_MS }), 0, HOUR_MS)).toBe(
      HOUR_MS,
    );
  });

  it("holds on while too few are heard, and moves when all are set to another time", () => {
    const clock = clockOf(0, right);
    clock.heard("r2", NOW + HOUR_MS, 1000);
    clock.settle(MEMBERS, "r1");
    expect(Math.abs(at(clock, 0, HOUR_MS))).toBeLessThan(100);
    for (const id of ["r2", "r3", "r4", "r5"]) clock.heard(id, NOW + HOUR_MS, 1000);
    clock.settle(MEMBERS, "r1");
    expect(at(clock, 0, HOUR_MS)).toBe(HOUR_MS);
  });
});

it("is what the frontend tells the time by", () => {
  const { node, knowledge } = new Bench();
  const now = { monotonic: START, wall: START + HOUR_MS };
  const host = { now: () => now, send: () => {}, flush: () => Promise.resolve() };
  const backend = backendOf(new Driver(node, host), { metrics: () => "" });
  expect(backend.now()).toBe(now.wall);
  for (const id of ["r2", "r3", "r4"]) knowledge.clusterClock.heard(id, START, START);
  knowledge.clusterClock.settle(MEMBERS, "r1");
  expect(backend.now()).toBe(START);
});

describe("agreeing", () => {
  it.each([
    [[1, 2, 3, 50], { needed: 3, span: 5 }, [1, 2, 3]],
    [[50, 3, 1], { needed: 2, span: 5 }, [1, 3]],
    [[1, 2, 11, 12], { needed: 2, span: 5 }, [11, 12]],
    [[1, 7, 13], { needed: 2, span: 5 }, []],
    [[4], { needed: 1, span: 0 }, [4]],
    [[], { needed: 1, span: 5 }, []],
  ])("of %j by %j is %j", (values, by, expected) => {
    expect(agreeing(values, by)).toEqual(expected);
  });
});
