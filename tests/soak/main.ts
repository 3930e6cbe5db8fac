/**
 * `npm run soak -- [--seconds 600] [--rate 2000] [--seed 1]`: exit 0 when what three nodes take up
 * stops growing, 1 when it does not, 2 when it was called wrongly.
 */
import { parseArgs } from "node:util";
import { verdictsOf } from "./judge.ts";
import { runSoak } from "./soak.ts";

const SECONDS_MIN = 40;
const SECONDS_MAX = 3600;
const RATE_MAX = 20_000;

function wrong(why: string): never {
  console.error(`soak: ${why}`);
  process.exit(2);
}

function flags() {
  try {
    return parseArgs({
      options: {
        seconds: { type: "string", default: "600" },
        rate: { type: "string", default: "2000" },
        seed: { type: "string", default: "1" },
      },
    }).values;
  } catch (error) {
    return wrong(error instanceof Error ? error.message : "wrong usage");
  }
}

const values = flags();
const [seconds, rate, seed] = [values.seconds, values.rate, values.seed].map(Number);
const isWithin = (value = Number.NaN, least: number, most: number): value is number =>
  value >= least && value <= most;
if (!isWithin(seconds, SECONDS_MIN, SECONDS_MAX)) {
  wrong(`--seconds takes a number from ${SECONDS_MIN} to ${SECONDS_MAX}`);
} else if (!isWithin(rate, 1, RATE_MAX)) {
  wrong(`--rate takes operations a second, from 1 to ${RATE_MAX}`);
} else if (!isWithin(seed, 0, 2 ** 32) || !Number.isSafeInteger(seed)) {
  wrong("--seed takes a whole number");
} else {
  const say = (line: string): void => console.log(line);
  const { samples, operationCount, failures } = await runSoak({ seconds, rate, seed, say });
  const verdicts = verdictsOf(samples);
  for (const { name, before, after, isFlat } of verdicts) {
    const change = `${Math.round(before)}, then ${Math.round(after)}`;
    console.log(`soak: ${name}: ${change}: ${isFlat ? "flat" : "GROWS"}`);
  }
  const failedCount = [...failures.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...failures].map(([kind, count]) => `${count} × ${kind}`).join(", ");
  const told = kinds === "" ? "" : ` (${kinds})`;
  console.log(`soak: ${operationCount} operations, ${failedCount} failed${told}`);
  process.exit(verdicts.every(({ isFlat }) => isFlat) ? 0 : 1);
}
