/** The time of a process's life, and what others know of it. */
import { describe, expect, it } from "vitest";
import { LifeTime } from "../../src/node/knowledge/life-time.ts";
import { PeerTimes } from "../../src/node/knowledge/peer-times.ts";

const WALL = 1_750_000_000_000;

describe("the time of a life", () => {
  it("goes on as the own time does, whatever is done to the wall clock", () => {
    const life = new LifeTime(0);
    life.notice({ monotonic: 1000, wall: WALL });
    const begun = life.now;
    life.notice({ monotonic: 1500.9, wall: WALL - 3_600_000 });
    expect(life.now).toBe(begun + 500);
    life.notice({ monotonic: 2000, wall: WALL - 3_599_450 });
    expect(life.now).toBe(begun + 1000);
  });

  it("takes along what the machine slept", () => {
    const life = new LifeTime(0);
    life.notice({ monotonic: 1000, wall: WALL });
    const begun = life.now;
    life.notice({ monotonic: 1010, wall: WALL + 60_010 });
    expect(life.now).toBe(begun + 60_010);
  });

  it("begins where no other does, and is a safe integer", () => {
    const [a, b] = [new LifeTime(2 ** 32 - 1), new LifeTime(2 ** 32 - 2)];
    for (const life of [a, b]) life.notice({ monotonic: WALL, wall: WALL });
    expect(Number.isSafeInteger(a.now)).toBe(true);
    expect(a.now).toBeGreaterThan(b.now + 1_000_000);
    expect(new LifeTime(0).now).toBeGreaterThan(0);
  });
});

describe("what is known of a peer's life", () => {
  const run = "a";

  it("is nothing before it was heard of", () => {
    const times = new PeerTimes();
    times.heard("r1", { run, life: 0 }, 1000);
    expect(times.of("r1", 1000)).toBe(0);
  });

  it("is the word that came fastest, and what has passed since", () => {
    const times = new PeerTimes();
    times.heard("r1", { run, life: 50_000 }, 1000);
    expect(times.of("r1", 1200)).toBeLessThanOrEqual(50_200);
    expect(times.of("r1", 1200)).toBeGreaterThan(50_197);
    times.heard("r1", { run, life: 50_300 }, 1900);
    expect(times.of("r1", 1900)).toBeGreaterThan(50_897);
    times.heard("r1", { run, life: 51_020 }, 2000);
    expect(times.of("r1", 2000)).toBe(51_020);
  });

  it("is never more than the truth, with clocks that drift", () => {
    const times = new PeerTimes();
    times.heard("r1", { run, life: 1000 }, 1000);
    const hour = 3_600_000;
    expect(times.of("r1", 1000 + hour)).toBeLessThan(1000 + hour * (1 - 1 / 10_000));
  });

  it("ends with that life", () => {
    const times = new PeerTimes();
    times.heard("r1", { run, life: 9_000_000 }, 1000);
    times.heard("r1", { run: "b", life: 700 }, 1000);
    expect(times.of("r1", 1000)).toBe(700);
  });
});
