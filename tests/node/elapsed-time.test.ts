import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ElapsedTime } from "../../src/node/knowledge/elapsed-time.ts";

const WALL = 1_750_000_000_000;

/** A machine with two clocks; the wall clock tells whole milliseconds. */
class Machine {
  readonly time = new ElapsedTime();
  awakeMs = 0;
  sleptMs = 0;
  setMs = 0;

  constructor() {
    this.step(0);
  }

  /** @returns by how much the time went on beyond the monotonic clock */
  step(ms: number): number {
    this.awakeMs += ms;
    const wall = Math.floor(WALL + this.awakeMs + this.sleptMs + this.setMs);
    return this.time.notice({ monotonic: this.awakeMs, wall });
  }
}

describe("the time that passed", () => {
  it("goes on as the clocks do, in steps however short", () => {
    for (const stepMs of [0.03, 0.1, 0.7, 1, 40]) {
      const machine = new Machine();
      while (machine.awakeMs < 10_000) machine.step(stepMs);
      expect(machine.time.now).toBeGreaterThanOrEqual(machine.awakeMs - 0.001);
      expect(machine.time.now).toBeLessThan(machine.awakeMs + 15);
    }
  });

  it("takes sleep along, and says so", () => {
    const machine = new Machine();
    machine.step(100);
    machine.sleptMs = 5000;
    expect(machine.step(10)).toBeGreaterThan(4990);
    expect(machine.step(10)).toBeLessThan(2);
    expect(machine.time.now).toBeGreaterThanOrEqual(5120);
  });

  it("takes sleep along right after a clock was set back", () => {
    const machine = new Machine();
    machine.step(100);
    machine.setMs = -3_600_000;
    machine.step(10);
    machine.sleptMs = 700;
    machine.step(10);
    expect(machine.time.now).toBeGreaterThanOrEqual(820);
    expect(machine.time.now).toBeLessThan(825);
  });

  it("is never less than what passed, whatever is set and whenever it sleeps", () => {
    const event = fc.record({
      stepMs: fc.double({ min: 0.01, max: 900, noNaN: true }),
      // Within one step the one hides the other.
      sleptMs: fc.oneof(fc.constant(0), fc.nat(5000)),
      setMs: fc.oneof(fc.constant(0), fc.integer({ min: -5000, max: 5000 })),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const machine = new Machine();
        for (const { stepMs, sleptMs, setMs } of events) {
          const before = machine.time.now;
          machine.sleptMs += setMs === 0 ? sleptMs : 0;
          machine.setMs += setMs;
          machine.step(stepMs);
          expect(machine.time.now).toBeGreaterThanOrEqual(before);
          // The wall clock tells whole milliseconds, and each sleep is told by it alone.
          const passedMs = machine.awakeMs + machine.sleptMs;
          expect(machine.time.now).toBeGreaterThan(passedMs - 1 - 2 * events.length);
        }
      }),
    );
  });
});
