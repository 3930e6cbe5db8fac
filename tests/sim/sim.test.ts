import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runSeeds } from "./fleet.ts";
import { ORACLES } from "./judge.ts";
import { planOf } from "./plan.ts";
import { type SimReport, simulate, simulatePlan } from "./run.ts";
import { sabotaged } from "./sabotage-hook.ts";
import { sabotages } from "./sabotages.ts";

// CI's share of the seeds; `npm run sim -- --seeds N --from K` runs more.
const SEED_COUNT = 300;

const told = ({ seed, failures }: SimReport): string[] =>
  failures.map(({ oracle, detail }) => `seed ${seed}: ${oracle}: ${detail}`);

describe("the simulator", () => {
  it("finds no promise broken", { timeout: 300_000 }, async () => {
    const failures: string[] = [];
    let seedCount = 0;
    let acknowledgedCount = 0;
    await runSeeds({
      seeds: { from: 1, count: SEED_COUNT },
      sabotage: "",
      threadCount: 2,
      take: (report) => {
        seedCount++;
        acknowledgedCount += report.acknowledgedCount;
        failures.push(...told(report));
        return false;
      },
    });
    expect(failures).toEqual([]);
    expect(seedCount).toBe(SEED_COUNT);
    expect(acknowledgedCount).toBeGreaterThan(100 * SEED_COUNT);
  });

  it("gives the same run to the byte for the same seed, also on another thread", async () => {
    const first = simulate(7);
    const elsewhere: SimReport[] = [];
    await runSeeds({
      seeds: { from: 7, count: 1 },
      sabotage: "",
      threadCount: 1,
      take: (report) => elsewhere.push(report) > 0,
    });
    expect(simulate(7).traceDigest).toBe(first.traceDigest);
    expect(elsewhere.map(({ traceDigest }) => traceDigest)).toEqual([first.traceDigest]);
    expect(simulate(8).traceDigest).not.toBe(first.traceDigest);
  });

  it("takes seeds up to 2^53", () => {
    expect(planOf(Number.MAX_SAFE_INTEGER)).not.toEqual(planOf(Number.MAX_SAFE_INTEGER - 1));
  });

  it("shifts nobody's dice when a fault or a client is left out", () => {
    const plan = planOf(11);
    const faults = plan.faults.slice(1);
    const lines: string[] = [];
    simulatePlan({ ...plan, faults }, (line) => lines.push(line));
    const struck = lines.filter((line) => line.includes(" fault ")).map((line) => line.slice(11));
    const before: string[] = [];
    simulatePlan(plan, (line) => before.push(line));
    const whole = before.filter((line) => line.includes(" fault ")).map((line) => line.slice(11));
    expect(struck).toEqual(whole.slice(1));
  });
});

describe("sabotages", () => {
  const root = new URL("../../", import.meta.url);

  it.each(sabotages)("$name still finds its place in $file", (sabotage) => {
    const source = readFileSync(new URL(sabotage.file, root), "utf8");
    expect(sabotaged(sabotage, source)).not.toBe(source);
    expect(Object.keys(ORACLES)).toContain(sabotage.oracle);
  });

  it("say so loudly when their place is gone", () => {
    const [sabotage] = sabotages;
    if (sabotage === undefined) throw new Error("there are sabotages");
    expect(() => sabotaged(sabotage, "nothing of it")).toThrow("0 times");
  });
});

// Seeds that once failed, with what was wrong. Each must go on passing.
describe("counterexamples", () => {
  it.each([
    [2, "a retried write whose operation was already overwritten was not found in its own answer"],
    [32, "a write minted twice came back after only its first version had been overwritten"],
    [61, "the same, with nothing but lost and repeated messages"],
    [153, "a hint that the disk gave once and not the next time had its counter minted again"],
  ])("seed %i: %s", (seed) => {
    expect(told(simulate(seed))).toEqual([]);
  });
});
