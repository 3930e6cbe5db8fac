import fc from "fast-check";
import { describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { isPartitionCount, isSeed, partitionOf, shiftOf } from "../../ring/partition.ts";

const hasher = await xxhash();
const partitionIn = (count: number, key: string, seed = 0n): number =>
  partitionOf(hasher, key, { seed, shift: shiftOf(count) });

describe("partitionOf", () => {
  it("takes the top bits of XXH64 of the key's UTF-8", () => {
    // XXH64("") with seed 0 is ef46db3751d8e999, by the algorithm's published test vector.
    expect(hasher.h64("", 0n)).toBe(0xef46db3751d8e999n);
    expect(partitionIn(256, "")).toBe(0xef);
    expect(partitionIn(16, "")).toBe(0xe);
    expect(partitionIn(65_536, "")).toBe(0xef46);
    const utf8 = new TextEncoder().encode("demo\0ключ 🐦");
    expect(partitionIn(256, "demo\0ключ 🐦")).toBe(Number(hasher.h64Raw(utf8, 0n) >> 56n));
  });

  it("puts every key of a ring of one into partition 0", () => {
    fc.assert(fc.property(fc.string(), (key) => partitionIn(1, key) === 0));
  });

  it("splits a partition in two when there are twice as many", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 15 }), (key, bits) => {
        const half = partitionIn(2 ** (bits + 1), key) >> 1;
        expect(half).toBe(partitionIn(2 ** bits, key));
      }),
    );
  });

  it("takes a hash of any sign for its 64 bits", () => {
    const signed = { h64: () => -1n };
    expect(partitionOf(signed, "k", { seed: 0n, shift: shiftOf(256) })).toBe(255);
  });

  it("spreads keys evenly, and otherwise under another seed", () => {
    const counts = new Array<number>(16).fill(0);
    let sameCount = 0;
    for (let i = 0; i < 16_000; i++) {
      const partition = partitionIn(16, `demo\0key-${i}`, 1n);
      counts[partition] = (counts[partition] ?? 0) + 1;
      if (partition === partitionIn(16, `demo\0key-${i}`, 2n)) sameCount++;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(Math.abs(sameCount - 1000)).toBeLessThan(150);
  });
});

describe("isPartitionCount and isSeed", () => {
  it("accept powers of two up to 65,536 and nothing else", () => {
    const accepted = Array.from({ length: 70_000 }, (_, i) => i).filter(isPartitionCount);
    expect(accepted).toEqual(Array.from({ length: 17 }, (_, bits) => 2 ** bits));
    for (const count of [-4, 0.5, Number.NaN, 131_072, 2 ** 32]) {
      expect(isPartitionCount(count)).toBe(false);
    }
    expect(() => shiftOf(12)).toThrow("power of two");
  });

  it("accept unsigned 64-bit numbers in their one decimal form", () => {
    for (const seed of ["0", "42", "18446744073709551615"]) expect(isSeed(seed)).toBe(true);
    for (const seed of ["", "-1", "01", "1.5", "0x1", "1n", " 1", "18446744073709551616"]) {
      expect(isSeed(seed)).toBe(false);
    }
  });
});
