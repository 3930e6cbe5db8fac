import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { verdictsOf } from "./judge.ts";
import { runSoak, type Sample } from "./soak.ts";

const line = (of: (i: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 120 }, (_, i) => {
    const full = { rss: 3e8, disk: 3e8, keys: 30_000, deadKeys: 3000 };
    return { atMs: 5000 * i, ...full, ...of(i) };
  });
const growing = (samples: readonly Sample[]): string[] =>
  verdictsOf(samples).flatMap(({ name, isFlat }) => (isFlat ? [] : [name]));

describe("a soak", () => {
  it("tells a line that is flat, however it began and whatever its teeth, from one that rises", () => {
    expect(
      growing(line((i) => ({ disk: 3e8 + 1e8 * (i % 7), keys: Math.min(i, 40) * 1000 }))),
    ).toEqual([]);
    expect(growing(line((i) => ({ keys: 28_000 + 1000 * i, deadKeys: 900 * i })))).toEqual([
      "keys",
      "dead keys",
    ]);
    expect(growing(line((i) => ({ rss: 2.2e8 + 4e6 * i })))).toEqual(["rss"]);
    expect(growing(line((i) => ({ disk: 3e8 + 2e7 * i })))).toEqual(["disk"]);
  });

  it("loads three nodes, and sees what has ended go", async () => {
    const lines: string[] = [];
    const say = (text: string): void => void lines.push(text);
    const { samples, operationCount } = await runSoak({ seconds: 6, rate: 100, seed: 1, say });
    expect(operationCount).toBeGreaterThan(100);
    expect(samples.length).toBe(lines.length);
    expect(samples.at(-1)?.keys).toBeGreaterThan(0);
    expect(samples.at(-1)?.disk).toBeGreaterThan(0);
  }, 60_000);

  it.each([
    [["--seconds", "5"], /--seconds takes a number from 40/],
    [["--rate", "many"], /--rate takes operations a second/],
    [["--seed", "0.5"], /--seed takes a whole number/],
    [["--nonsense"], /nonsense/],
  ])("says how it is used when it is called with %s", (args, why) => {
    const main = fileURLToPath(new URL("./main.ts", import.meta.url));
    const node = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
    const { status, stderr } = spawnSync(node, [main, ...args], { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toMatch(why);
  });
});
