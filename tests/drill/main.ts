/** `npm run drill -- [--seconds 60] [--seed N]`: exit 0 when every promise held, else 1. */
import { parseArgs } from "node:util";
import { runDrill } from "./drill.ts";

const SEED_MAX = 2 ** 32;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * SEED_MAX)) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed) || seed < 0) {
  console.error("drill: --seconds takes a positive number, --seed a whole one");
  process.exit(2);
}

const startedAt = Date.now();
console.log(`drill: seed ${seed}, ${seconds} s, 5 nodes, 8 clients`);
const say = (line: string): void => {
  console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`);
};
const { acknowledgedCount, unknownCount, faults, failures } = await runDrill({
  seed,
  seconds,
  say,
});
for (const failure of failures) console.error(`drill: ${failure}`);
const { kill, pause, restart } = faults;
console.log(
  `drill: ${acknowledgedCount} elements acknowledged, ${unknownCount} unknown; ` +
    `${kill} kills, ${pause} pauses, ${restart} restarts; ${failures.length} failures`,
);
process.exit(failures.length === 0 ? 0 : 1);
