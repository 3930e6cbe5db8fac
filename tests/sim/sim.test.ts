import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { runSeeds } from "./fleet.ts";
import { ORACLES } from "./judge.ts";
import { planOf } from "./planning.ts";
import { type SimReport, simulate, simulatePlan } from "./run.ts";
import { sabotaged } from "./sabotage-hook.ts";
import { sabotages } from "./sabotages.ts";

// CI's share of the seeds; `npm run sim -- --seeds N --from K` runs more.
const SEED_COUNT = 300;
const FIRST_SEED = 1;

const told = ({ seed, failures }: SimReport): string[] =>
  failures.map(({ oracle, detail }) => `seed ${seed}: ${oracle}: ${detail}`);

describe("the simulator", () => {
  it("finds no promise broken", { timeout: 300_000 }, async () => {
    const failures: string[] = [];
    let seedCount = 0;
    let acknowledgedCount = 0;
    await runSeeds({
      seeds: { from: FIRST_SEED, count: SEED_COUNT },
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

  it("ends where it is when it is stopped", async () => {
    const stop = new AbortController();
    const seeds: number[] = [];
    await runSeeds({
      seeds: { from: 1, count: 100_000 },
      sabotage: "",
      threadCount: 2,
      take: ({ seed }) => {
        seeds.push(seed);
        stop.abort();
        return false;
      },
      stop: stop.signal,
    });
    expect(seeds).toEqual([...seeds].sort((a, b) => a - b));
    expect([seeds[0], new Set(seeds).size]).toEqual([1, seeds.length]);
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
  it.each(sabotages)("$name names an oracle", ({ oracle }) => {
    expect(Object.keys(ORACLES)).toContain(oracle);
  });

  it("say so loudly when their place is gone", () => {
    const [sabotage] = sabotages;
    if (sabotage === undefined) throw new Error("there are sabotages");
    expect(() => sabotaged(sabotage, "nothing of it")).toThrow("0 times");
  });
});

// The rest takes minutes: docs/simulator.md says which seed catches which.
describe("a sabotage", () => {
  const fast = ["forget-the-session", "context-covers-unseen-siblings", "write-what-was-refused"];

  it.each(fast)("%s is caught by the oracle meant for it", { timeout: 120_000 }, async (name) => {
    const oracle = sabotages.find((sabotage) => sabotage.name === name)?.oracle;
    const oracles: string[] = [];
    const take = ({ failures }: SimReport): boolean => {
      oracles.push(...failures.map((failure) => failure.oracle));
      return oracles.some((other) => other === oracle);
    };
    await runSeeds({ seeds: { from: 1, count: 40 }, sabotage: name, threadCount: 2, take });
    expect(oracles).toContain(oracle);
  });
});

describe("npm run sim", () => {
  const sim = (...args: readonly string[]) =>
    spawnSync(process.execPath, [new URL("main.ts", import.meta.url).pathname, ...args], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });

  it("lists the sabotages, one a line", () => {
    const { stdout, status } = sim("--list-sabotages");
    expect([status, stdout]).toEqual([0, sabotages.map(({ name }) => `${name}\n`).join("")]);
  });

  it("ends with 1 and names the oracle and the seed that caught a sabotage", () => {
    const { stdout, status } = sim("--sabotage", "forget-the-session", "--seeds", "20");
    expect(status).toBe(1);
    expect(stdout).toMatch(/caught by oracle session at seed \d+/);
  });

  it("replays a seed in lines that can be read, and ends with what there was", () => {
    const { stdout, status } = sim("--seed", "9", "--verbose", "--faults", "1,2");
    expect(status).toBe(0);
    expect(stdout).toMatch(/fault 1: /);
    expect(stdout).toMatch(/\n1 seeds, 0 failed, \d+ operations .* simulated hours, .*\n$/);
  });

  it("runs the last seed there is, and refuses those after it", () => {
    const last = String(Number.MAX_SAFE_INTEGER);
    const { stdout, status } = sim("--seeds", "1", "--from", last);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^1 seeds, 0 failed, /)]);
    expect(sim("--seeds", "2", "--from", last).status).toBe(2);
  });

  it.each([
    ["--seeds", "many"],
    ["--seeds", "0"],
    ["--sabotage", "no-such-thing"],
    ["--sneeds", "3"],
  ])("refuses %s %s with one line and the usage", (...args) => {
    const { stderr, status } = sim(...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^sim: .*\nusage: /);
  });
});
