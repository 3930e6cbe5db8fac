/** What `starling staleness` makes of an answer. */
import { describe, expect, it } from "vitest";
import { reportText, type StalenessReport } from "../../src/cli/staleness.ts";

const choice = (r: number, w: number, more: Partial<StalenessReport["choices"][number]> = {}) => ({
  ...{ n: 3, r, w },
  predicted: [
    { t: 0, p: 0.5 },
    { t: 10, p: 0.9995 },
  ],
  measured: [],
  latency: { read: { p50: 0.52, p99: 9 }, write: { p50: 3, p99: 10.25 } },
  ...more,
});

const reportOf = (more: Partial<StalenessReport> = {}): StalenessReport => ({
  model: { samples: { reads: 60, stores: 70 }, assumed: ["ways are halves"] },
  choices: [choice(1, 1, { measured: [{ t: 0, p: 0.25, count: 8 }] }), choice(2, 1)],
  rmse: 0.25,
  lag: { r1: { r2: 0.5 }, r2: { r1: 1.25 } },
  ...more,
});

describe("the table", () => {
  it("has what is predicted, behind it what was measured, and what both cost", () => {
    const [head, first, second] = reportText(reportOf(), {}).split("\n");
    expect(head).toMatch(/^r {2}w {2}0 ms +10 ms +read p50 +p99 +write p50 +p99/);
    expect(first).toMatch(/^1 {2}1 {2}50\.0 % \/ 25\.0 % +99\.950 % +0\.5 +9\.0 +3\.0 +10\.3/);
    expect(second).toMatch(/^2 {2}1 {2}50\.0 % +99\.950 %/);
  });

  it("says from how much, how far off, who lags, and what is assumed", () => {
    const text = reportText(reportOf(), {});
    expect(text).toContain("predicted from 60\nreads and 70 stores");
    expect(text).toContain("8 to 8 canary reads a point have measured; predictions are 25.0 % off");
    expect(text).toContain("r2 is the last, 1.3 s behind r1.");
    expect(text).toMatch(/It is assumed:\n {2}ways are halves$/);
  });

  it("says so where nothing was measured, or a member knows nothing of another", () => {
    const lag = { r1: { r2: null }, r2: { r1: 9 } };
    const text = reportText(reportOf({ choices: [choice(1, 1)], rmse: null, lag }), {});
    expect(text).toContain("Nothing was measured");
    expect(text).toContain("r1 knows nothing of r2 yet.");
  });

  it("fails in one line where nothing was measured to predict from", () => {
    const unknown = choice(1, 1, { predicted: [], latency: { read: null, write: null } });
    expect(() => reportText(reportOf({ choices: [unknown] }), {})).toThrow(
      /^nothing was measured: .* ask again after some traffic$/,
    );
  });
});

describe("the plot", () => {
  it("has a bar a time, with a mark where the measured share is", () => {
    const lines = reportText(reportOf(), { plot: true }).split("\n");
    expect(lines[0]).toBe("r=1, w=1: reads 0.5 ms, p99 9.0; writes 3.0 ms, p99 10.3");
    const bar = `${"█".repeat(9)}◆${"█".repeat(10)}${"·".repeat(20)}`;
    expect(lines[1]).toBe(`   0 ms ${bar} 50.0 %  ◆ 25.0 % of 8`);
    expect(lines[2]).toBe(`  10 ms ${"█".repeat(40)} 99.950 %`);
  });
});
