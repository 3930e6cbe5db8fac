import { describe, expect, it } from "vitest";
import { Progress } from "./progress.ts";

function progressOf(seedCount: number) {
  const lines: string[] = [];
  let at = Date.parse("2026-01-01T12:00:00Z");
  const progress = new Progress({ seedCount, now: () => at, print: (line) => lines.push(line) });
  /** Runs seeds that take `seconds` each, of which some fail. */
  const run = (count: number, seconds: number, failing: readonly number[] = []): void => {
    for (let i = 0; i < count; i++) {
      at += seconds * 1000;
      progress.done(failing.includes(i));
    }
  };
  return { lines, run, progress };
}

describe("a long run", () => {
  it("says every ten seconds how far it is, how fast, and when it ends", () => {
    const { lines, run } = progressOf(600);
    run(29, 0.5, [3, 7]);
    expect(lines).toEqual([
      "20 of 600 seeds, 2 failed, 120 a minute, expected end 2026-01-01T12:05Z",
    ]);
    run(11, 0.5);
    expect(lines[1]).toMatch(/^40 of 600 seeds, 2 failed, 120 a minute, /);
  });

  it("says so once where many seeds are handed out at once after a slow one", () => {
    const { lines, run } = progressOf(100);
    run(1, 65);
    run(8, 0);
    expect(lines).toHaveLength(1);
  });

  it("leaves the last word to the line of totals, and says nothing in a short one", () => {
    const { lines, run, progress } = progressOf(2);
    run(1, 9.9);
    run(1, 30);
    expect([lines, progress.counts]).toEqual([[], "2 of 2 seeds, 0 failed"]);
  });
});
