import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PHI_SUSPECT, Phi } from "../../ring/phi.ts";

const PAUSE_MS = 60_000;

function fed(intervals: readonly number[]): { phi: Phi; last: number } {
  const phi = new Phi();
  let last = 1000;
  phi.beat(last, PAUSE_MS);
  for (const interval of intervals) {
    last += interval;
    phi.beat(last, PAUSE_MS);
  }
  return { phi, last };
}

/** The silence after which it suspects, by halving. */
function silenceToSuspect({ phi, last }: ReturnType<typeof fed>): number {
  let low = 0;
  let high = 1_000_000;
  while (high - low > 1) {
    const middle = (low + high) / 2;
    if (phi.at(last + middle) >= PHI_SUSPECT) high = middle;
    else low = middle;
  }
  return high;
}

describe("phi", () => {
  it("is zero while too little is known, and never falls while silence lasts", () => {
    expect(fed([100, 100]).phi.at(1_000_000)).toBe(0);
    const steps = fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 2, maxLength: 20 });
    const intervals = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 3, maxLength: 300 });
    fc.assert(
      fc.property(intervals, steps, (given, silences) => {
        const { phi, last } = fed(given);
        const levels = silences.sort((a, b) => a - b).map((ms) => phi.at(last + ms));
        expect(levels.every((level, i) => i === 0 || level >= (levels[i - 1] as number))).toBe(
          true,
        );
        expect(levels.every((level) => level >= 0)).toBe(true);
      }),
    );
  });

  it("follows the rhythm: soon where it is steady, later where it is not", () => {
    const steady = fed(Array.from({ length: 50 }, (_, i) => 1000 + (i % 3)));
    const uneven = fed(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 400 : 1600)));
    // A deviation of a tenth of the mean, 5.6 of them: 10^-8 of a normal distribution's tail.
    expect(silenceToSuspect(steady)).toBeGreaterThan(1500);
    expect(silenceToSuspect(steady)).toBeLessThan(1650);
    expect(silenceToSuspect(uneven)).toBeGreaterThan(3500);
  });

  it("agrees with the normal distribution's tail", () => {
    const { phi, last } = fed(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 900 : 1100)));
    // Mean 1000, deviation 100: one, two and three deviations late.
    const tails = [0.158655, 0.02275, 0.00135];
    for (const [i, tail] of tails.entries()) {
      expect(phi.at(last + 1100 + 100 * i)).toBeCloseTo(-Math.log10(tail), 1);
    }
  });

  it("forgets what is older than its window, and an absence altogether", () => {
    const { phi, last } = fed([...Array(100).fill(5000), ...Array(100).fill(100)]);
    expect(silenceToSuspect({ phi, last })).toBeLessThan(200);
    phi.beat(last + PAUSE_MS + 1, PAUSE_MS);
    expect(silenceToSuspect({ phi, last: last + PAUSE_MS + 1 })).toBeLessThan(200);
  });
});
