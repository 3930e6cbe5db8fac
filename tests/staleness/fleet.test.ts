/** The model of a deployment: geography, disks, hedges, and what is not known. */
import { describe, expect, it } from "vitest";
import type { DelayReport } from "../../core/delay-report.ts";
import { Prng } from "../../core/prng.ts";
import { Delays, Fleet } from "../../src/staleness/fleet.ts";
import { type Choice, type ForecastPlan, forecast, rmseOf } from "../../src/staleness/forecast.ts";
import { simulate, Trial, visibility } from "../../src/staleness/wars.ts";
import { around, reportsOf } from "./reports.ts";

const IDS = ["a1", "a2", "b1"];
/** 2 ms there and back within a, 80 ms to b; every disk takes 3 ms. */
const farness = (from: string, to: string): number => (from[0] === to[0] ? 2 : 80);
const tripsOf = (from: string, to: string) => {
  const reads = around(farness(from, to));
  return { reads, stores: reads.map((ms) => ms + 3) };
};

const plan = (more: Partial<ForecastPlan> = {}): ForecastPlan => ({
  reports: reportsOf(IDS, tripsOf),
  partitions: [IDS],
  writers: IDS,
  readers: IDS,
  from: "other",
  dw: 0,
  times: [0, 5, 60],
  canaryDw: 0,
  ...more,
});

function choiceOf(made: ForecastPlan, r: number, w: number) {
  const choice = forecast(made).choices.find((one) => one.r === r && one.w === w);
  const { read = null, write = null } = choice?.latency ?? {};
  if (choice === undefined || read === null || write === null) {
    throw new Error("every pair is predicted");
  }
  return { ...choice, latency: { read, write } };
}
const p = (made: ForecastPlan, r: number, w: number): readonly number[] =>
  choiceOf(made, r, w).predicted.map((point) => point.p);

describe("the deployment in the model", () => {
  it("has each pair's own distance", () => {
    // One of three pairs of frontends is near: there the write is seen after a millisecond.
    const [atOnce = -1, soon = -1, later = -1] = p(plan(), 1, 1);
    expect(atOnce).toBe(0);
    expect(soon).toBeCloseTo(1 / 3, 1);
    expect(later).toBe(1);
    expect(choiceOf(plan(), 1, 1).latency.read.p99).toBe(0);
    expect(choiceOf(plan(), 3, 1).latency.read.p50).toBeGreaterThan(75);
  });

  it("sees every write where r + w is more than n, and at the writer's own frontend", () => {
    for (const [r, w] of [
      [1, 3],
      [2, 2],
      [3, 1],
    ] as const) {
      expect(p(plan(), r, w)).toEqual([1, 1, 1]);
    }
    expect(p(plan({ from: "same" }), 1, 1)).toEqual([1, 1, 1]);
  });

  it("halves the shortest trip of a pair, and gives the rest of one to either way by chance", () => {
    const reads = Array.from({ length: 100 }, (_, i) => 80 + (i % 2) * 20);
    const reports = reportsOf(IDS, () => ({ reads, stores: reads }));
    const delays = new Delays(IDS, reports);
    const prng = Prng.fromSeed(1);
    const ways = Array.from({ length: 2000 }, () => delays.way(0, 1, prng));
    expect(Math.min(...ways)).toBe(40);
    expect(Math.max(...ways)).toBeGreaterThan(59);
    expect(Math.max(...ways)).toBeLessThanOrEqual(60);
    const mean = ways.reduce((sum, ms) => sum + ms, 0) / ways.length;
    expect(mean).toBeCloseTo(45, 0);
  });

  it("has the write go by the nearest primary where the frontend has none", () => {
    const made = plan({ partitions: [["a2", "b1"]], writers: ["a1"] });
    // To a2 and back.
    expect(choiceOf(made, 1, 1).latency.write.p50).toBeCloseTo(2, 0);
    expect(choiceOf(made, 1, 2).latency.write.p50).toBeCloseTo(82, -1);
  });

  it("waits for the disk where the acknowledgement does, and is seen meanwhile", () => {
    expect(choiceOf(plan({ dw: 1 }), 1, 1).latency.write.p50).toBeCloseTo(3, 1);
    expect(p(plan({ dw: 1 }), 1, 1)[0]).toBeGreaterThan(0.3);
    // One durable acknowledgement is enough: the second one may come from memory.
    const { write } = choiceOf(plan({ dw: 1, writers: ["a1"] }), 1, 2).latency;
    expect(write.p50).toBeCloseTo(3, 1);
  });

  it("takes pairs that nobody measured for the others, and says so", () => {
    const reports = reportsOf(IDS, (from, to) =>
      from + to === "a1a2" || from + to === "a2a1" ? null : tripsOf(from, to),
    );
    const { assumed } = forecast(plan({ reports }));
    expect(assumed.at(-1)).toMatch(/^1 of 3 pairs/);
    expect(forecast(plan()).assumed.at(-1)).not.toMatch(/pairs/);
    const delays = new Delays(IDS, reports);
    expect(delays.median(delays.number("a1"), delays.number("a2"))).toBeGreaterThan(70);
  });

  it("knows of one member by itself that all reads see all writes", () => {
    const one = { reports: reportsOf(["a1"], () => null), partitions: [["a1"]] };
    const { choices, assumed } = forecast(plan({ ...one, writers: ["a1"], readers: ["a1"] }));
    expect(choices).toMatchObject([{ r: 1, w: 1, latency: { read: { p50: 0 } } }]);
    expect(choices[0]?.predicted.map((point) => point.p)).toEqual([1, 1, 1]);
    expect(assumed.join()).not.toMatch(/few|elsewhere/);
  });

  it("has a frontend without a replica, whose readers are anywhere", () => {
    const peers = new Map(IDS.map((id) => [id, tripsOf("a", id)] as const));
    const own: DelayReport = { hedgeMs: 100, peers, canaries: [], lagsMs: new Map() };
    const reports = new Map([["", own], ...reportsOf(IDS, tripsOf)]);
    const made = plan({ reports, writers: [""], readers: [] });
    const [atOnce = -1] = p(made, 1, 1);
    expect(atOnce).toBeGreaterThan(0.3);
    expect(atOnce).toBeLessThan(1);
    expect(forecast(made).assumed.join()).toContain("any order");
  });
});

describe("a hedge in the model", () => {
  const slow = new Map([
    [
      "a",
      {
        hedgeMs: 10,
        peers: new Map([
          ["b", tripsFor(30)],
          ["c", tripsFor(30)],
        ]),
        canaries: [],
        lagsMs: new Map<string, number>(),
      },
    ],
  ] as const);
  function tripsFor(ms: number) {
    return { reads: [ms], stores: [ms] };
  }

  it("asks the next replica, and counts whoever replies first", () => {
    const trial = new Trial(2);
    const draw = (into: Trial): void => {
      into.arrival.set([50, 0]);
      into.asked.set([50, 1]);
      into.replied.set([100, 2]);
      into.order.splice(0, 2, 0, 1);
      into.hedgeMs = 10;
    };
    draw(trial);
    const [one] = simulate({ replicaCount: 2, trials: 1, dw: 0, draw }, Prng.fromSeed(1));
    expect([...(one?.readMs ?? [])]).toEqual([12]);
    // The write came there at 0, and it is asked at 11.
    expect(visibility({ visibleFrom: one?.visibleFrom ?? new Float64Array() }, -11)).toBe(1);
  });

  it("comes after the reader's own hedge delay", () => {
    const parts = { reports: slow, partitions: [["b", "c"]], writers: ["a"], readers: ["a"] };
    const fleet = new Fleet({ ...parts, from: "same", trials: 1, dw: 0 });
    const trial = new Trial(2);
    fleet.draw(trial, Prng.fromSeed(1));
    expect(trial.hedgeMs).toBe(10);
  });
});

describe("what canaries have found", () => {
  const cell = (reader: string, t: number, seen: number, count: number) => ({
    ...{ reader, w: 1, t },
    counts: [count, count, count],
    seen: [seen, count, count],
  });
  const canariesOf = (id: string) =>
    id === "a1"
      ? [cell("a2", 50, 1, 1), cell("b1", 50, 0, 9), cell("a1", 50, 4, 5), cell("a2", 5, 1, 1)]
      : [];
  const made = plan({ reports: reportsOf(IDS, tripsOf, canariesOf) });

  it("counts every pair of frontends alike, the writer's own apart, and no time for some", () => {
    // After 5 ms only a2 can have been told.
    expect(choiceOf(made, 1, 1).measured).toEqual([{ t: 50, p: 0.5, count: 10 }]);
    const same = choiceOf({ ...made, from: "same" }, 1, 1);
    expect(same.measured).toEqual([{ t: 50, p: 0.8, count: 5 }]);
    expect(choiceOf(made, 1, 2).measured).toEqual([]);
    expect(choiceOf({ ...made, canaryDw: null }, 1, 1).measured).toEqual([]);
  });

  it("is held against the prediction at the same time", () => {
    const latency = choiceOf(made, 1, 1).latency;
    const choice = (predicted: number, measured: number): Choice => ({
      ...{ r: 1, w: 1, latency },
      predicted: [
        { t: 0, p: 0 },
        { t: 5, p: predicted },
      ],
      measured: [
        { t: 5, p: measured, count: 1 },
        { t: 7, p: 0, count: 1 },
      ],
    });
    expect(rmseOf([choice(0.5, 0.5), choice(0.9, 0.7)])).toBeCloseTo(Math.sqrt(0.04 / 2), 9);
    expect(rmseOf([])).toBeNull();
  });
});
