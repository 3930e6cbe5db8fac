import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isActorId, isReplicaId, newActorId, newOpId } from "../../core/ids.ts";
import { Prng } from "../../core/prng.ts";

const draws = (prng: Prng, count: number): number[] =>
  Array.from({ length: count }, () => prng.u32());

describe("Prng", () => {
  it("is xoshiro128**: the first numbers from the state 1, 2, 3, 4", () => {
    expect(draws(new Prng([1, 2, 3, 4]), 4)).toEqual([11520, 0, 5927040, 70819200]);
  });

  it("gives the same numbers for the same seed, others for another", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 1000 }), (seed, apart) => {
        const first = draws(Prng.fromSeed(seed), 8);
        expect(draws(Prng.fromSeed(seed), 8)).toEqual(first);
        const other = seed >= apart ? seed - apart : seed + apart;
        expect(draws(Prng.fromSeed(other), 8)).not.toEqual(first);
      }),
    );
  });

  it("is about uniform: chi squared over 64 cells stays within its bounds", () => {
    // 63 degrees of freedom: below 36 or above 103 happens to one seed in a thousand. Fixed seeds.
    for (const seed of [1, 2, 3, 2 ** 40]) {
      const prng = Prng.fromSeed(seed);
      const cells = new Array<number>(64).fill(0);
      for (let i = 0; i < 64_000; i++) {
        const cell = prng.below(64);
        cells[cell] = (cells[cell] ?? 0) + 1;
      }
      const chi = cells.reduce((sum, seen) => sum + (seen - 1000) ** 2 / 1000, 0);
      expect(chi).toBeGreaterThan(36);
      expect(chi).toBeLessThan(103);
    }
  });

  it("stays below its bound, and reaches all that is below it", () => {
    const prng = Prng.fromSeed(9);
    for (const bound of [1, 2, 3, 7, 2 ** 32]) {
      for (let i = 0; i < 200; i++) {
        const drawn = prng.below(bound);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true);
      }
    }
    expect(new Set(Array.from({ length: 100 }, () => prng.below(3)))).toEqual(new Set([0, 1, 2]));
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => prng.below(bound)).toThrow();
  });

  it("throws a coin with the odds that it was told", () => {
    const prng = Prng.fromSeed(4);
    const heads = Array.from({ length: 10_000 }, () => prng.chance(1, 4)).filter(Boolean).length;
    expect(heads).toBeGreaterThan(2300);
    expect(heads).toBeLessThan(2700);
    expect(prng.chance(0, 5) || !prng.chance(5, 5)).toBe(false);
    expect(() => prng.chance(2, 1)).toThrow();
  });

  it("forks a generator whose draws do not shift its own", () => {
    const plain = Prng.fromSeed(5);
    plain.fork();
    const forked = Prng.fromSeed(5);
    draws(forked.fork(), 100);
    expect(draws(forked, 4)).toEqual(draws(plain, 4));
  });

  it("does not stand still on a seed of zeros", () => {
    expect(new Set(draws(new Prng([0, 0, 0, 0]), 50)).size).toBeGreaterThan(40);
  });
});

describe("ids", () => {
  it("are well-formed and, drawn at random, distinct", () => {
    const prng = Prng.fromSeed(1);
    const actors = Array.from({ length: 2000 }, () => newActorId(prng));
    expect(actors.every(isActorId)).toBe(true);
    expect(new Set(actors).size).toBe(2000);
    expect(newOpId(prng)).toMatch(/^[\w-]{10}$/);
  });

  it.each([
    ["r1", true],
    ["Node_7.a-b", true],
    ["a".repeat(32), true],
    ["a".repeat(33), false],
    ["", false],
    ["-a", false],
    ["r 1", false],
    ["r/1", false],
    ["r1\n", false],
  ])("%j names a replica: %s", (text, isOne) => {
    expect(isReplicaId(text)).toBe(isOne);
  });
});
