/**
 * The model against what was published. Fits: table 3 of Bailis et al., VLDB 2012; those of reads,
 * and of LinkedIn's disks for writes, stand in scripts of pbailis/bailis.org-blog too
 * (post_data/2012-09-20). Figures: sections 1 and 5.6 of the paper.
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import {
  type Delay,
  type Prediction,
  predict,
  quantile,
  type ReadOrder,
  visibility,
  type Wars,
} from "../../src/staleness/wars.ts";
import { constant, exponential, measured, mixture, pareto } from "./delays.ts";

const SSD = mixture(0.9122, pareto(0.235, 10), exponential(1.66));
const DISK_WRITES = mixture(0.38, pareto(1.05, 1.51), exponential(0.183));
const YAMMER_WRITES = mixture(0.939, pareto(3, 3.35), exponential(0.0028));
const YAMMER_REST = mixture(0.982, pareto(1.5, 3.8), exponential(0.0217));

const LINKEDIN_SSD: Wars = { W: SSD, A: SSD, R: SSD, S: SSD };
const LINKEDIN_DISK: Wars = { ...LINKEDIN_SSD, W: DISK_WRITES };
const YAMMER: Wars = { W: YAMMER_WRITES, A: YAMMER_REST, R: YAMMER_REST, S: YAMMER_REST };

const TRIALS = 100_000;

function predictionsOf(wars: Wars, n = 3, readOrder: ReadOrder = "fastest") {
  const replicas = Array.from({ length: n }, () => wars);
  const all = predict({ replicas, readOrder, trials: TRIALS }, Prng.fromSeed(1));
  return (r: number, w: number): Prediction => {
    const found = all.find((prediction) => prediction.r === r && prediction.w === w);
    if (found === undefined) throw new Error("every pair is predicted");
    return found;
  };
}

describe("the published figures, for n = 3 and r = w = 1", () => {
  it.each<[string, Wars, number, number]>([
    ["LinkedIn, SSD, at once", LINKEDIN_SSD, 0, 0.974],
    ["LinkedIn, disk, at once", LINKEDIN_DISK, 0, 0.439],
    ["LinkedIn, disk, after 10 ms", LINKEDIN_DISK, 10, 0.925],
    ["Yammer, at once", YAMMER, 0, 0.893],
  ])("%s", (_, wars, t, published) => {
    const p = visibility(predictionsOf(wars)(1, 1), t);
    expect(Math.abs(p - published)).toBeLessThan(0.01);
  });

  it.each<[string, Wars, number]>([
    ["LinkedIn, SSD", LINKEDIN_SSD, 1.85],
    ["LinkedIn, disk", LINKEDIN_DISK, 45.5],
    ["Yammer", YAMMER, 1364],
  ])("how long until 99.9 %% of reads see it: %s", (_, wars, published) => {
    const window = quantile(predictionsOf(wars)(1, 1).visibleFrom, 0.999);
    expect(Math.abs(window / published - 1)).toBeLessThan(0.1);
  });

  it("Yammer with r = 1 and w = 2: 202 ms, at 43.3 ms for a read and a write together", () => {
    const { visibleFrom, readMs, writeMs } = predictionsOf(YAMMER)(2, 1);
    expect(Math.abs(quantile(visibleFrom, 0.999) / 202 - 1)).toBeLessThan(0.15);
    const both = quantile(readMs, 0.999) + quantile(writeMs, 0.999);
    expect(Math.abs(both / 43.3 - 1)).toBeLessThan(0.15);
  });
});

describe("the model", () => {
  it("sees every write where r + w > n", () => {
    const predicted = predictionsOf(LINKEDIN_DISK, 5);
    for (const [r, w] of [
      [3, 3],
      [1, 5],
      [5, 1],
    ] as const) {
      expect(visibility(predicted(r, w), 0)).toBe(1);
    }
    expect(visibility(predicted(2, 3), 0)).toBeLessThan(1);
  });

  it("never sees less with more replies, more acknowledgements, or more time", () => {
    const predicted = predictionsOf(YAMMER, 4);
    const p = (r: number, w: number, t: number): number => visibility(predicted(r, w), t);
    for (const t of [0, 5, 50]) {
      for (const [r, w] of [
        [1, 1],
        [2, 1],
        [1, 2],
        [2, 2],
      ] as const) {
        expect(p(r + 1, w, t)).toBeGreaterThanOrEqual(p(r, w, t));
        expect(p(r, w + 1, t)).toBeGreaterThanOrEqual(p(r, w, t));
        expect(p(r, w, t + 1)).toBeGreaterThanOrEqual(p(r, w, t));
      }
    }
  });

  it("reads nearest replicas in their order, and others by chance", () => {
    const at = (ms: number): Wars => {
      const W: Delay = constant(ms);
      return { W, A: constant(0), R: constant(1), S: constant(1) };
    };
    const replicas = [at(0), at(10), at(20)];
    const chance = (readOrder: ReadOrder): number => {
      const [first] = predict({ replicas, readOrder, trials: 3000 }, Prng.fromSeed(2));
      return first === undefined ? -1 : visibility(first, 5);
    };
    expect(chance("nearest")).toBe(1);
    expect(chance("any")).toBeCloseTo(1 / 3, 1);
  });

  it("draws what was measured, and the same for the same seed", () => {
    const plan = { replicas: [LINKEDIN_SSD], readOrder: "fastest", trials: 10 } as const;
    const once = predict(plan, Prng.fromSeed(3));
    expect(predict(plan, Prng.fromSeed(3))).toEqual(once);
    expect(predict(plan, Prng.fromSeed(4))).not.toEqual(once);
    const drawn = new Set(Array.from({ length: 50 }, (_, i) => measured([1, 2])(Prng.fromSeed(i))));
    expect([...drawn].sort()).toEqual([1, 2]);
  });
});
