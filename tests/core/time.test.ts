import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLOCK_SKEW_MS_MAX, HybridClock, hlcFromMillis, millisOfHlc } from "../../core/time.ts";

const NOW = 1_785_369_600_000;

describe("HybridClock", () => {
  it("never repeats a time nor runs backwards, whatever the wall clock does in five minutes", () => {
    const step = fc.integer({ min: -6000, max: 6000 });
    const event = fc.record({ step, seen: fc.option(step) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const clock = new HybridClock();
        let wall = NOW;
        let highest = 0;
        for (const { step, seen } of events) {
          wall += step;
          if (seen !== null && clock.observe(hlcFromMillis(wall + seen), wall)) {
            highest = Math.max(highest, hlcFromMillis(wall + seen));
          }
          const time = clock.next(wall);
          expect(time).toBeGreaterThan(highest);
          expect(time).toBeGreaterThanOrEqual(hlcFromMillis(wall));
          highest = time;
        }
      }),
    );
  });

  it("follows a peer up to five minutes ahead, and refuses and counts what is further", () => {
    const clock = new HybridClock();
    const latest = hlcFromMillis(NOW + CLOCK_SKEW_MS_MAX);
    expect(clock.observe(latest, NOW)).toBe(true);
    expect(clock.next(NOW)).toBe(latest + 1);
    expect(clock.refusedCount).toBe(0);
    const other = new HybridClock();
    expect(other.observe(latest + 1, NOW)).toBe(false);
    expect(other.next(NOW)).toBe(hlcFromMillis(NOW));
    expect(other.refusedCount).toBe(1);
  });

  it("gives up times that nobody follows, once the clock that they came from is right", () => {
    const clock = new HybridClock();
    const ahead = clock.next(NOW + 3_600_000);
    const right = clock.next(NOW);
    expect(right).toBe(hlcFromMillis(NOW));
    expect(clock.next(NOW)).toBeGreaterThan(right);
    expect(clock.next(NOW + 3_600_000)).toBeGreaterThanOrEqual(ahead);
  });

  it("goes on after what it is told, however far behind the wall clock is", () => {
    const clock = new HybridClock();
    const after = hlcFromMillis(NOW + 3_600_000);
    const times = Array.from({ length: 5 }, () => clock.next(NOW, after));
    expect(times[0]).toBe(after + 1);
    expect(new Set(times).size).toBe(5);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
  });

  it("gives the milliseconds back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8_796_093_022_207 }), (ms) => {
        expect(millisOfHlc(hlcFromMillis(ms))).toBe(ms);
        expect(Number.isSafeInteger(hlcFromMillis(ms))).toBe(true);
      }),
    );
    expect(millisOfHlc(hlcFromMillis(NOW + 0.7) + 1023)).toBe(NOW);
  });
});
