import { describe, expect, it } from "vitest";
import { simulate } from "./run.ts";

// CI's share of the seeds; `npm run sim -- --seeds N --from K` runs more.
const SEED_COUNT = 60;

describe("the simulator", () => {
  it("finds no lost write, no resurrection and no divergence", () => {
    const failures: string[] = [];
    for (let seed = 1; seed <= SEED_COUNT; seed++) {
      const report = simulate(seed);
      expect(report.acknowledgedCount, `seed ${seed} acknowledged nothing`).toBeGreaterThan(0);
      for (const failure of report.failures) failures.push(`seed ${seed}: ${failure}`);
    }
    expect(failures).toEqual([]);
  });

  it("gives the same run to the byte for the same seed", () => {
    const first = simulate(7);
    const second = simulate(7);
    expect(second.traceDigest).toBe(first.traceDigest);
    expect(simulate(8).traceDigest).not.toBe(first.traceDigest);
  });
});

// Seeds that once failed, with what was wrong. Each must go on passing.
describe("counterexamples", () => {
  it.each([
    [2, "a retried write whose operation was already overwritten was not found in its own answer"],
    [32, "a write minted twice came back after only its first version had been overwritten"],
    [61, "the same, with nothing but lost and repeated messages"],
  ])("seed %i: %s", (seed) => {
    expect(simulate(seed).failures).toEqual([]);
  });
});
