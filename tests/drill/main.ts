/**
 * `npm run drill -- [--check all] [--strikes disks] [--seconds 60] [--seed N]`: exit 0 when every
 * promise held, 1 when one was broken, 2 when it was called wrongly.
 */
import { parseArgs } from "node:util";
import { CHECKS, type CheckName, runDrill } from "./drill.ts";
import { STRIKES, type Strikes } from "./striker.ts";

const SEED_MAX = 2 ** 32;
const NAMES = Object.keys(CHECKS) as CheckName[];

function wrong(why: string): never {
  console.error(`drill: ${why}`);
  process.exit(2);
}

function flags() {
  try {
    return parseArgs({
      options: {
        check: { type: "string", default: "all" },
        strikes: { type: "string", default: "disks" },
        seconds: { type: "string", default: "60" },
        seed: { type: "string", default: String(Math.floor(Math.random() * SEED_MAX)) },
      },
    }).values;
  } catch (error) {
    return wrong(error instanceof Error ? error.message : "wrong usage");
  }
}

const values = flags();
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed) || seed < 0) {
  wrong("--seconds takes a positive number, --seed a whole one");
}
const checks = NAMES.filter((name) => values.check === "all" || values.check === name);
if (checks.length === 0) wrong(`--check takes all or one of ${NAMES.join(", ")}`);
const strikes = (Object.keys(STRIKES) as Strikes[]).find((name) => name === values.strikes);
if (strikes === undefined) wrong(`--strikes takes one of ${Object.keys(STRIKES).join(", ")}`);

// Node ends at once by itself, and tells nobody who would end the nodes.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const startedAt = Date.now();
console.log(`drill: seed ${seed}, ${seconds} s, 5 nodes, checks ${checks.join(", ")}`);
const say = (line: string): void => {
  console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`);
};
const { summaries, faults, failures } = await runDrill({ seed, seconds, checks, strikes, say });
for (const failure of failures) console.error(`drill: ${failure}`);
for (const line of summaries) console.log(`drill: ${line}`);
const struck = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
const verdict = failures.length === 0 ? "every promise held" : `${failures.length} FAILURES`;
console.log(`drill: ${struck.join(", ")}; seed ${seed}: ${verdict}`);
process.exit(failures.length === 0 ? 0 : 1);
