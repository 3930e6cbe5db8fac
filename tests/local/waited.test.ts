import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Waited } from "../../src/local/process/waited.ts";

describe("what a message waited", () => {
  it("is what it took beyond the fastest one, whatever the two clocks say", () => {
    const offset = fc.integer({ min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(offset, fc.integer({ min: 0, max: 500 }), (clocks, wayMs) => {
        const waited = new Waited();
        const arrive = (sentAt: number, extraMs: number): number =>
          waited.of(sentAt, sentAt + clocks + wayMs + extraMs);
        expect(arrive(1000, 0)).toBe(0);
        expect(arrive(1100, 30)).toBe(30);
        expect(arrive(1200, 5000)).toBe(5000);
      }),
    );
  });

  it("is never more than the truth", () => {
    const message = fc.record({ gapMs: fc.nat(100_000), waitMs: fc.nat(10_000) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), fc.nat(100), (messages, wayMs) => {
        const waited = new Waited();
        let sentAt = 0;
        let arrivedAt = 0;
        for (const { gapMs, waitMs } of messages) {
          sentAt += gapMs;
          // A stream keeps its order: nothing overtakes what waits.
          arrivedAt = Math.max(arrivedAt, sentAt + wayMs + waitMs);
          expect(waited.of(sentAt, arrivedAt)).toBeLessThanOrEqual(arrivedAt - sentAt - wayMs);
        }
      }),
    );
  });

  it("is seen after a long stop, and forgets what clocks have drifted", () => {
    const waited = new Waited();
    waited.of(0, 0);
    expect(waited.of(1000, 601_000)).toBe(600_000);
    // A clock that runs slow by a thousandth for ten minutes is off by 600 ms, and nothing waited.
    const slow = new Waited();
    let most = 0;
    for (let ms = 0; ms <= 600_000; ms += 1000) most = Math.max(most, slow.of(ms * 0.999, ms));
    expect(most).toBeLessThanOrEqual(121);
  });
});
