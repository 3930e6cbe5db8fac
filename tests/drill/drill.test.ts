import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { CHECKS, type CheckName, runDrill } from "./drill.ts";

it("keeps what was promised while nodes are killed, frozen, wiped and restarted", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const lines: string[] = [`seed ${seed}`];
  const checks = Object.keys(CHECKS) as CheckName[];
  const report = await runDrill({ seed, seconds: 8, checks, say: (line) => lines.push(line) });
  expect(report.failures, lines.join("\n")).toEqual([]);
  const { kill = 0, freeze = 0, restart = 0, wipe = 0 } = report.faults;
  expect(kill + freeze + restart + wipe).toBeGreaterThan(0);
  expect(report.summaries).toHaveLength(checks.length);
}, 180_000);

it("keeps bounds of staleness while clocks are set and wires are cut one way", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const lines: string[] = [`seed ${seed}`];
  const say = (line: string): void => void lines.push(line);
  const report = await runDrill({ seed, seconds: 10, checks: ["bounded"], strikes: "wires", say });
  expect(report.failures, lines.join("\n")).toEqual([]);
  expect(Object.values(report.faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
}, 180_000);

it.each([
  [["--strikes", "nothing"], /--strikes takes one of disks, wires/],
  [["--check", "nothing"], /--check takes all or one of register, appends, sessions, sets, /],
  [["--seconds", "0"], /--seconds takes a positive number/],
  [["--nonsense"], /nonsense/],
])("says how it is used when it is called with %s", (args, why) => {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const node = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
  const { status, stderr } = spawnSync(node, [main, ...args], { encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toMatch(why);
});
