/**
 * `npm run sim`: runs seeds and says what failed; see docs/simulator.md. Exits 0 when all is well,
 * 1 when a seed failed (with a sabotage: when it was caught), 2 for a mistake in the arguments,
 * 130 or 143 when a signal ended it before.
 *
 * Whatever loads the product is imported late, so that a sabotage can be built in first.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { outliveReaders, say, warn } from "../../src/cli/output.ts";
import { type FleetParts, runSeeds } from "./fleet.ts";
import type { Plan } from "./plan.ts";
import { Progress } from "./progress.ts";
import { reportLines, Totals, told } from "./report.ts";
import type { SimReport } from "./run.ts";
import { applySabotage } from "./sabotage-hook.ts";
import { sabotages } from "./sabotages.ts";

const USAGE = `usage: npm run sim -- [--seeds N] [--from K] [--sabotage NAME]
       npm run sim -- --seed K [--verbose] [--faults I,J,…] [--clients I,J,…] [--no-noise]
       npm run sim -- --list-sabotages`;

/** For failing seeds beyond these, only the failure is told. */
const SHRUNK_MAX = 3;

function refuse(problem: string): never {
  warn(`sim: ${problem}\n${USAGE}`);
  process.exit(2);
}

function argumentsGiven() {
  try {
    return parseArgs({
      options: {
        seeds: { type: "string", default: "200" },
        from: { type: "string", default: "1" },
        seed: { type: "string" },
        verbose: { type: "boolean", default: false },
        faults: { type: "string" },
        clients: { type: "string" },
        "no-noise": { type: "boolean", default: false },
        sabotage: { type: "string", default: "" },
        "list-sabotages": { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string, least = 0): number {
  const value = text === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`--${name} is a whole number from ${least} to 2^53 - 1, not ${text}`);
}

const values = argumentsGiven();

/** The items with these indexes; all when none are named. */
function chosen<T extends { readonly index: number }>(
  items: readonly T[],
  name: "faults" | "clients",
): readonly T[] {
  const list = values[name];
  if (list === undefined) return items;
  const indexes = list.split(",").filter((text) => text !== "");
  const numbers = indexes.map((text) => wholeNumber(name, text));
  return items.filter(({ index }) => numbers.includes(index));
}

async function runOne(seed: number): Promise<number> {
  if (values.sabotage !== "") applySabotage(values.sabotage);
  const { NO_NOISE } = await import("./plan.ts");
  const { planOf } = await import("./planning.ts");
  const { simulatePlan } = await import("./run.ts");
  const whole = planOf(seed);
  const plan: Plan = {
    ...whole,
    faults: chosen(whole.faults, "faults"),
    clients: chosen(whole.clients, "clients"),
    noise: values["no-noise"] ? NO_NOISE : whole.noise,
  };
  const totals = new Totals();
  const report = simulatePlan(plan, values.verbose ? say : null);
  totals.add(report);
  if (!values.verbose) for (const line of await reportLines(plan, report)) say(line);
  say(`trace digest ${report.traceDigest}`);
  say(totals.line);
  return report.failures.length === 0 ? 0 : 1;
}

/** A signal ends a run where it is; a second one ends the process as ever. */
const ENDINGS = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs seeds on all cores and says on stderr how far they are.
 *
 * @returns what to exit with when a signal ended it; null when it went on to its end
 */
async function runAll(
  parts: Pick<FleetParts, "seeds" | "sabotage" | "take">,
): Promise<number | null> {
  const stopping = new AbortController();
  let ending: number | null = null;
  for (const [signal, exit] of Object.entries(ENDINGS)) {
    process.once(signal, () => {
      ending ??= exit;
      stopping.abort();
    });
  }
  const tell = (line: string): void => warn(`sim: ${line}`);
  const progress = new Progress({ seedCount: parts.seeds.count, now: Date.now, print: tell });
  const take = (report: SimReport): boolean => {
    progress.done(report.failures.length > 0);
    return parts.take(report);
  };
  await runSeeds({ ...parts, take, threadCount: availableParallelism(), stop: stopping.signal });
  for (const signal of Object.keys(ENDINGS)) process.removeAllListeners(signal);
  if (ending !== null) tell(`interrupted after ${progress.counts}`);
  return ending;
}

async function runMany(seeds: { from: number; count: number }): Promise<number> {
  const { planOf } = await import("./planning.ts");
  const totals = new Totals();
  const failed: SimReport[] = [];
  const take = (report: SimReport): boolean => {
    totals.add(report);
    if (report.failures.length === 0) return false;
    failed.push(report);
    // At once: the rest may take an hour, and may not come to its end.
    warn(`sim: seed ${report.seed} FAILED`);
    return false;
  };
  const ending = await runAll({ seeds, sabotage: "", take });
  // To shrink a seed takes long, and somebody wants the run to end.
  const shrunkCount = ending === null ? SHRUNK_MAX : 0;
  for (const [i, report] of failed.entries()) {
    const lines = i < shrunkCount ? await reportLines(planOf(report.seed), report) : told(report);
    for (const line of lines) say(line);
  }
  say(totals.line);
  return ending ?? (failed.length === 0 ? 0 : 1);
}

/** Runs until the oracle meant for it sees the sabotage; what others saw before is told too. */
async function hunt(name: string, seeds: { from: number; count: number }): Promise<number> {
  const sabotage = sabotages.find((other) => other.name === name);
  if (sabotage === undefined) return refuse(`no sabotage ${name}: see --list-sabotages`);
  const totals = new Totals();
  let caughtBy = "";
  const take = (report: SimReport): boolean => {
    totals.add(report);
    const oracles = [...new Set(report.failures.map(({ oracle }) => oracle))];
    if (oracles.length === 0) return false;
    caughtBy = oracles.includes(sabotage.oracle) ? sabotage.oracle : "";
    const first = report.failures.find(({ oracle }) => caughtBy === "" || oracle === caughtBy);
    const verdict = caughtBy === "" ? "seen, not yet as it should be," : "caught";
    say(`sabotage ${name}: ${verdict} by oracle ${first?.oracle} at seed ${report.seed}`);
    say(`  ${first?.detail.split("\n", 1)[0]}`);
    return caughtBy !== "";
  };
  const ending = await runAll({ seeds, sabotage: name, take });
  if (caughtBy === "" && ending === null)
    say(`sabotage ${name}: NOT CAUGHT by oracle ${sabotage.oracle}`);
  say(totals.line);
  return ending ?? (caughtBy === "" ? 0 : 1);
}

async function main(): Promise<number> {
  if (values["list-sabotages"]) {
    for (const { name } of sabotages) say(name);
    return 0;
  }
  const count = wholeNumber("seeds", values.seeds, 1);
  const from = wholeNumber("from", values.from);
  if (count - 1 > Number.MAX_SAFE_INTEGER - from) return refuse("seeds end at 2^53 - 1");
  if (values.seed !== undefined) return runOne(wholeNumber("seed", values.seed));
  return values.sabotage === "" ? runMany({ from, count }) : hunt(values.sabotage, { from, count });
}

// No exit by force: what was printed may still be on its way through a pipe.
outliveReaders();
process.exitCode = await main();
