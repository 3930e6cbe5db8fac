import { expect, it } from "vitest";
import { runDrill } from "./drill.ts";

it("keeps every acknowledged element of a set while nodes are killed, frozen and restarted", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const lines: string[] = [`seed ${seed}`];
  const report = await runDrill({ seed, seconds: 8, say: (line) => lines.push(line) });
  expect(report.failures, lines.join("\n")).toEqual([]);
  const { kill, pause, restart } = report.faults;
  expect(kill + pause + restart).toBeGreaterThan(0);
  expect(report.acknowledgedCount).toBeGreaterThan(0);
}, 120_000);
