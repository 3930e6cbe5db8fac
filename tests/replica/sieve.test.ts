import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { Sieve } from "../../replica/sieve.ts";
import { SieveReference } from "../support/sieve-reference.ts";
import { Zipf } from "../support/zipf.ts";

/** The policy as a cache of so many keys, so that it can be held against the reference. */
class Cache {
  readonly sieve = new Sieve(5);
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  access(key: string, evicted: string[] = []): boolean {
    if (this.sieve.touch(key)) return true;
    if (this.sieve.count === this.#capacity) {
      const victim = this.sieve.next(() => true) ?? "none";
      this.sieve.remove(victim);
      evicted.push(victim);
    }
    this.sieve.add(key);
    return false;
  }
}

const steps = fc.array(fc.record({ key: fc.integer({ min: 0, max: 30 }), goes: fc.boolean() }), {
  maxLength: 300,
});

describe("SIEVE", () => {
  it("hits, evicts and forgets as the reference does, step by step", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), steps, (capacity, all) => {
        const cache = new Cache(capacity);
        const reference = new SieveReference(capacity);
        for (const { key, goes } of all) {
          const name = `n\0${key}`;
          if (goes && key < 8) {
            cache.sieve.remove(name);
            reference.remove(name);
            continue;
          }
          const [ours, theirs]: [string[], string[]] = [[], []];
          expect(cache.access(name, ours)).toBe(reference.access(name, theirs));
          expect(ours).toEqual(theirs);
          expect(cache.sieve.count).toBe(reference.keys.length);
        }
        expect(reference.keys.every((key) => cache.sieve.has(key))).toBe(true);
      }),
    );
  });

  it("reaches the reference's hit ratio on a skewed workload, and more than first in first out", () => {
    const zipf = new Zipf(Prng.fromSeed(99), 10_000, 0.99);
    const cache = new Cache(500);
    const reference = new SieveReference(500);
    const queue: string[] = [];
    let [hits, expected, plain] = [0, 0, 0];
    for (let i = 0; i < 50_000; i++) {
      const key = `n\0${zipf.next()}`;
      if (cache.access(key)) hits++;
      if (reference.access(key)) expected++;
      if (queue.includes(key)) plain++;
      else if (queue.push(key) > 500) queue.shift();
    }
    expect(hits).toBe(expected);
    expect(hits / 50_000).toBeGreaterThan(plain / 50_000 + 0.05);
  });

  it("lets a scan pass by what is wanted", () => {
    const cache = new Cache(100);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 50; i++) cache.access(`hot ${i}`);
    }
    for (let i = 0; i < 1000; i++) {
      cache.access(`scan ${i}`);
      cache.access(`hot ${i % 50}`);
    }
    for (let i = 0; i < 50; i++) expect(cache.sieve.has(`hot ${i}`)).toBe(true);
  });

  it("passes over keys that may not go, and leaves their hits alone", () => {
    const sieve = new Sieve(5);
    for (const key of ["a", "b", "c"]) sieve.add(key);
    sieve.touch("a");
    const mayGo = (key: string): boolean => key !== "a";
    expect([sieve.next(mayGo), sieve.next(mayGo), sieve.next(mayGo)]).toEqual(["b", "c", "b"]);
    expect(sieve.takeTouch("a")).toBe(true);
    expect(sieve.takeTouch("a")).toBe(false);
    expect(sieve.next(() => false)).toBeUndefined();
    expect(sieve.next(() => true, 0)).toBeUndefined();
  });

  it("knows a bounded number of keys, the wanted ones among them", () => {
    const sieve = new Sieve(5, 100);
    for (let i = 0; i < 50; i++) sieve.add(`hot ${i}`);
    for (let i = 0; i < 1000; i++) {
      sieve.touch(`hot ${i % 50}`);
      sieve.add(`cold ${i}`);
      expect(sieve.count).toBeLessThanOrEqual(100);
    }
    for (let i = 0; i < 50; i++) expect(sieve.has(`hot ${i}`)).toBe(true);
    expect(sieve.forgottenCount).toBe(950);
  });
});
