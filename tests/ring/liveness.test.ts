import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { Liveness, livenessDefaults } from "../../ring/liveness.ts";

const { silenceCountMax, probeMs, hedgeMsMin, hedgeMsMax } = livenessDefaults;

function suspected(): Liveness {
  const liveness = new Liveness();
  liveness.refused("r1", 1000);
  return liveness;
}

describe("Liveness", () => {
  it("suspects after silences in a row, and not for one between answers", () => {
    const liveness = new Liveness();
    for (let i = 1; i < silenceCountMax; i++) liveness.silent("r1", 1000);
    expect(liveness.isSuspect("r1")).toBe(false);
    liveness.answered("r1", 5, 0);
    for (let i = 1; i < silenceCountMax; i++) liveness.silent("r1", 2000);
    expect(liveness.isSuspect("r1")).toBe(false);
    liveness.silent("r1", 2000);
    expect(liveness.isSuspect("r1")).toBe(true);
    expect(liveness.isSuspect("r2")).toBe(false);
  });

  it("suspects a member at once when it refuses, and trusts it again when it answers", () => {
    const liveness = suspected();
    expect(liveness.isSuspect("r1")).toBe(true);
    liveness.answered("r1", 5, 0);
    expect(liveness.isSuspect("r1")).toBe(false);
  });

  it("lets one probe through a pause", () => {
    const liveness = suspected();
    expect(liveness.takeProbe("r1", 1000 + probeMs - 1)).toBe(false);
    expect(liveness.takeProbe("r1", 1000 + probeMs)).toBe(true);
    expect(liveness.takeProbe("r1", 1000 + probeMs)).toBe(false);
    expect(liveness.takeProbe("r1", 1000 + 2 * probeMs)).toBe(true);
    expect(liveness.takeProbe("r2", 1_000_000)).toBe(false);
  });

  it("puts the healthy before the suspected and the near before the far", () => {
    const liveness = suspected();
    liveness.answered("far", 80, 0);
    for (let i = 0; i < 50; i++) liveness.answered("near", 1, 0);
    const order = ["r1", "far", "unknown", "near"].sort((a, b) => liveness.compare(a, b, 0));
    expect(order).toEqual(["near", "unknown", "far", "r1"]);
  });

  it("puts one that owes answers and says nothing behind the others, until it speaks", () => {
    const liveness = new Liveness();
    for (let i = 0; i < 5000; i++) liveness.answered("near", 1, 0);
    liveness.answered("far", 80, 0);
    liveness.asked("near", 1000);
    liveness.asked("near", 1000 + hedgeMsMin);
    expect(liveness.compare("near", "far", 1000 + hedgeMsMin)).toBeLessThan(0);
    expect(liveness.compare("near", "far", 1001 + hedgeMsMin)).toBeGreaterThan(0);
    expect(liveness.isSuspect("near")).toBe(false);
    liveness.heard("near");
    expect(liveness.compare("near", "far", 1001 + hedgeMsMin)).toBeLessThan(0);
  });

  it("holds silence against nobody once all who asked have given up", () => {
    const liveness = new Liveness();
    liveness.answered("far", 80, 0);
    liveness.asked("near", 1000);
    liveness.asked("near", 1000);
    liveness.ended("near");
    expect(liveness.compare("near", "far", 5000)).toBeGreaterThan(0);
    liveness.ended("near");
    expect(liveness.compare("near", "far", 5000)).toBeLessThan(0);
  });

  it("hedges near the 95th percentile, within its bounds", () => {
    const liveness = new Liveness();
    for (let i = 0; i < 5000; i++) liveness.answered("r1", i % 10 === 0 ? 120 : 20, 0);
    // One answer in ten takes 120 ms, so 20 ms would hedge too often: the estimate goes up to it.
    expect(Math.abs(liveness.hedgeMs - 120)).toBeLessThan(30);
    for (let i = 0; i < 5000; i++) liveness.answered("r1", 1, 0);
    expect(liveness.hedgeMs).toBe(hedgeMsMin);
    for (let i = 0; i < 5000; i++) liveness.answered("r1", 10_000, 0);
    expect(liveness.hedgeMs).toBe(hedgeMsMax);
  });

  it("hedges a busy node's requests no oftener, though its disk is as it pleases", () => {
    const liveness = new Liveness();
    const prng = new Prng([1, 2, 3, 4]);
    const answers = new Map<number, number[]>();
    let hedgedCount = 0;
    let latencyMs = 0;
    // 10,000 requests a second; every 20 ms another group waits for the disk, 10 ms in the mean.
    for (let now = 0; now < 20_000; now++) {
      for (const told of answers.get(now) ?? []) liveness.answered("r1", told, now);
      if (now % 20 === 0) latencyMs = 1 + Math.ceil(-10 * Math.log(1 - prng.below(1000) / 1000));
      const due = answers.get(now + latencyMs) ?? [];
      for (let i = 0; i < 10; i++) due.push(latencyMs);
      answers.set(now + latencyMs, due);
      if (now >= 5000 && latencyMs > liveness.hedgeMs) hedgedCount += 10;
    }
    expect(hedgedCount / 150_000).toBeLessThan(0.1);
  });

  it("suspects by the heartbeats' rhythm, within half and all of the time given", () => {
    const steady = new Liveness();
    const uneven = new Liveness();
    for (let i = 0; i < 20; i++) {
      steady.beat("r1", 3000, 1000 * i);
      uneven.beat("r1", 3000, 1000 * i + (i % 2) * 900);
    }
    const steadyAt = suspectedAt(steady, 19_000);
    const unevenAt = suspectedAt(uneven, 19_900);
    expect(steadyAt).toBeGreaterThanOrEqual(1500);
    expect(steadyAt).toBeLessThan(1700);
    expect(unevenAt).toBe(3000);
    expect(steady.suspicionCount).toBe(1);
  });

  it("judges no member that it has never heard of", () => {
    const liveness = new Liveness();
    liveness.answered("r1", 5, 0);
    liveness.review(3000, 1_000_000);
    expect(liveness.isSuspect("r1")).toBe(false);
  });
});

/** How much silence it took, looked at every 10 ms. */
function suspectedAt(liveness: Liveness, lastBeatAt: number): number {
  for (let silentMs = 0; ; silentMs += 10) {
    liveness.review(3000, lastBeatAt + silentMs);
    if (liveness.isSuspect("r1")) return silentMs;
  }
}
