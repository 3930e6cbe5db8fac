/** `npm run sim -- [--seeds N] [--from K] [--seed K]`: runs seeds and says what failed. */
import { parseArgs } from "node:util";
import { type SimReport, simulate } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
  },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`sim: --${name} must be a whole number from 0 to 2^53 - 1, not ${text}\n`);
  process.exit(2);
}

function runOne(seed: number): SimReport | null {
  try {
    const report = simulate(seed);
    if (report.failures.length === 0) return report;
    process.stdout.write(`seed ${seed} FAILED: ${report.failures.join("; ")}\n`);
  } catch (error) {
    const text = error instanceof Error ? error.stack : String(error);
    process.stdout.write(`seed ${seed} FAILED: ${text}\n`);
  }
  process.stdout.write(`  replay: npm run sim -- --seed ${seed}\n`);
  return null;
}

const only = values.seed;
const from = wholeNumber("from", only ?? values.from);
const count = only === undefined ? wholeNumber("seeds", values.seeds) : 1;
const faults: Record<string, number> = {};
let operations = 0;
let acknowledged = 0;
let simulatedMs = 0;
let failed = 0;
for (let seed = from; seed < from + count; seed++) {
  const report = runOne(seed);
  if (report === null) {
    failed++;
    continue;
  }
  operations += report.operationCount;
  acknowledged += report.acknowledgedCount;
  simulatedMs += report.simulatedMs;
  for (const [kind, times] of Object.entries(report.faults)) {
    faults[kind] = (faults[kind] ?? 0) + times;
  }
}
const hours = (simulatedMs / 3_600_000).toFixed(2);
const kinds = Object.entries(faults).map(([kind, times]) => `${kind} ${times}`);
process.stdout.write(
  `${count} seeds, ${failed} failed, ${operations} operations (${acknowledged} writes ` +
    `acknowledged), ${hours} simulated hours, faults: ${kinds.join(", ")}\n`,
);
process.exit(failed === 0 ? 0 : 1);
