/** What the model predicts of five nodes in three zones, and what their canaries measure. */
import { expect, it } from "vitest";
import { forecast, rmseOf } from "../../src/staleness/forecast.ts";
import { FarFleet } from "./far-fleet.ts";

/** Some two thousand canaries; far-figures.ts makes far more. */
const SECONDS = 25;

it("predicts what canaries measure, over all r + w of at most n", () => {
  const fleet = new FarFleet({ seed: 1, canaryMs: 40 });
  fleet.pass(SECONDS * 1000);
  const { reports } = fleet.told();
  const { ring, ids } = fleet;
  const partitions = Array.from({ length: ring.partitionCount }, (_, p) => ring.primariesOf(p, 3));
  const { choices } = forecast({
    ...{ reports, partitions, writers: ids, readers: ids, from: "other", dw: 2 },
    ...{ times: [40, 50, 60, 80, 100], canaryDw: 2 },
  });
  const some = choices.filter(({ r, w }) => r + w <= 3);
  const probes = some.flatMap(({ measured }) => measured.map(({ count }) => count));
  expect(Math.min(...probes)).toBeGreaterThan(10);
  expect(some.flatMap(({ measured }) => measured).some(({ p }) => p < 0.95)).toBe(true);
  expect(rmseOf(some)).toBeLessThan(0.05);
});
