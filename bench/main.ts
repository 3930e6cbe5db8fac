/**
 * `npm run bench [-- --quick] [-- --only NAME]`: measures, prints a table, writes results.json.
 * `npm run bench:check` does the same and fails when a figure that machines do not decide (a ratio,
 * a count of messages or bytes) is more than 20 % worse than that in bench/recorded.json, and says
 * which have none there; `--record` writes that file. With `--of REF` the nodes are those of
 * another commit: to record what it does on this machine, beside the baselines of today.
 * `--against REF [--rounds 9] [--warm 1]` runs the working tree and another commit of it side by
 * side instead. README.md beside this explains each figure.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Figure, Suite } from "./lib/figures.ts";
import { checkOut, NoSuchCommit, type Worktree } from "./lib/worktree.ts";
import { runAgainst } from "./suites/against.ts";
import { boundedSuite } from "./suites/bounded.ts";
import { doorSuite } from "./suites/door.ts";
import { exchangeSuite } from "./suites/exchange.ts";
import { feedSuite } from "./suites/feed.ts";
import { loadSuite } from "./suites/load.ts";
import { logSuite } from "./suites/log.ts";
import { messagesSuite } from "./suites/messages.ts";
import { microSuite } from "./suites/micro.ts";
import { nodeSuite } from "./suites/node.ts";
import { pauseSuite } from "./suites/pause.ts";
import { workerSuite } from "./suites/worker.ts";
import { ycsbSuite } from "./suites/ycsb.ts";

const SUITES: readonly Suite[] = [
  nodeSuite,
  ycsbSuite,
  pauseSuite,
  loadSuite,
  feedSuite,
  boundedSuite,
  logSuite,
  microSuite,
  messagesSuite,
  exchangeSuite,
  workerSuite,
  doorSuite,
];
const RESULTS = new URL("results.json", import.meta.url);
const RECORDED = new URL("recorded.json", import.meta.url);
/** How much worse a ratio may be than the recorded one. */
const SLACK = 0.2;

const say = (line: string): void => console.error(line);

function number(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
}

const isReached = ({ value, target, better }: Figure): boolean =>
  target === undefined || (better === "higher" ? value >= target : value <= target);

function printTable(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const figure of figures) {
    const { name, value, unit, target, note = "" } = figure;
    const goal = target === undefined ? "" : `${isReached(figure) ? "ok" : "--"} ${number(target)}`;
    const shown = `${number(value)} ${unit}`.padEnd(16);
    console.log(`${name.padEnd(width)}  ${shown} ${goal.padEnd(10)} ${note}`.trimEnd());
  }
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

type Recorded = Readonly<Record<string, number>>;

/** What is compared between runs: what the machine does not decide. */
const isComparable = ({ unit, isContext }: Figure): boolean =>
  isContext !== true && (unit === "ratio" || unit === "bytes" || unit === "messages");

/** The figures that are too much worse than the recorded ones, in words. */
function regressions(figures: readonly Figure[], recorded: Recorded): readonly string[] {
  const worse: string[] = [];
  for (const figure of figures.filter(isComparable)) {
    const { name, value, better } = figure;
    const before = recorded[name];
    if (before === undefined) continue;
    const isWorse =
      better === "higher" ? value < before * (1 - SLACK) : value > before / (1 - SLACK);
    if (isWorse) worse.push(`${name}: ${number(value)}, recorded ${number(before)}`);
  }
  return worse;
}

function readRecorded(): Recorded {
  try {
    return JSON.parse(readFileSync(RECORDED, "utf8")) as Recorded;
  } catch {
    return {};
  }
}

function record(figures: readonly Figure[]): void {
  const values = figures.filter(isComparable).map(({ name, value }) => [name, value] as const);
  const rounded = values.map(([name, value]) => [name, Number(value.toPrecision(3))] as const);
  const all = { ...readRecorded(), ...Object.fromEntries(rounded) };
  writeFileSync(RECORDED, `${JSON.stringify(all, null, 2)}\n`);
}

/** Ends the process where it is the caller's mistake. */
function refuse(error: unknown): never {
  if (!(error instanceof NoSuchCommit)) throw error;
  say(error.message);
  process.exit(2);
}

function otherTree(ref: string): Worktree {
  try {
    return checkOut(ref);
  } catch (error) {
    return refuse(error);
  }
}

/** Of these names; all where none is named. Ends the process where there is no such suite. */
function chosen(only: readonly string[], suites: readonly Suite[]): readonly Suite[] {
  const unknown = only.find((name) => suites.every((suite) => suite.name !== name));
  if (unknown === undefined) {
    return only.length === 0 ? suites : suites.filter(({ name }) => only.includes(name));
  }
  say(`no suite "${unknown}"; there are:`);
  for (const { name, about } of suites) say(`  ${name.padEnd(10)} ${about}`);
  process.exit(2);
}

interface Measured {
  readonly quick: boolean;
  /** The commit whose nodes are measured; absent: the working tree. */
  readonly of: string | undefined;
}

async function measure(
  suites: readonly Suite[],
  { quick, of }: Measured,
): Promise<readonly Figure[]> {
  const other = of === undefined ? null : otherTree(of);
  const figures: Figure[] = [];
  if (other !== null) {
    process.once("exit", () => other.remove());
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  }
  for (const suite of suites) {
    say(`# ${suite.name}: ${suite.about}${other === null ? "" : ` at ${other.commit}`}`);
    figures.push(...(await suite.run({ quick, say, root: other?.root })));
  }
  return figures;
}

async function compareWith(
  ref: string,
  { quick, ...counts }: { readonly quick: boolean; readonly rounds: number; readonly warm: number },
): Promise<void> {
  for (const [name, count] of Object.entries(counts)) {
    if (Number.isInteger(count) && count >= 1) continue;
    say(`--${name} takes a whole number of at least 1`);
    process.exit(2);
  }
  const { rounds, warm: warmRounds } = counts;
  const size = quick ? { rounds: Math.min(rounds, 3), seconds: 1 } : { rounds, seconds: 2 };
  const figures = await runAgainst({ ref, warmRounds, ...size, say }).catch(refuse);
  printTable(figures);
  writeFileSync(
    RESULTS,
    `${JSON.stringify({ commit: commit(), against: ref, figures }, null, 2)}\n`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      check: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      against: { type: "string" },
      of: { type: "string" },
      rounds: { type: "string", default: "9" },
      warm: { type: "string", default: "1" },
    },
  });
  const { quick, only, against, of } = values;
  if (against !== undefined) {
    const [rounds, warm] = [Number(values.rounds), Number(values.warm)];
    return compareWith(against, { quick, rounds, warm });
  }
  const suites = chosen(only, of === undefined ? SUITES : SUITES.filter((one) => one.takesRoot));
  const figures = await measure(suites, { quick, of });
  printTable(figures);
  writeFileSync(RESULTS, `${JSON.stringify({ commit: commit(), of, quick, figures }, null, 2)}\n`);
  if (values.record) record(figures);
  if (!values.check) return;
  const recorded = readRecorded();
  const fresh = figures.filter((figure) => isComparable(figure) && !(figure.name in recorded));
  for (const { name } of fresh) say(`not recorded, so not compared: ${name}`);
  const worse = regressions(figures, recorded);
  for (const line of worse) say(`more than ${SLACK * 100} % worse: ${line}`);
  if (worse.length > 0) process.exitCode = 1;
}

await main();
