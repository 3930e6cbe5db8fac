import { describe, expect, it, vi } from "vitest";
import xxhash from "xxhash-wasm";
import { Pieces } from "../../core/pieces.ts";
import { checksumBy } from "../../src/local/log/checksum.ts";

const hasher = await xxhash();
const KIB = 1024;

describe("the log's checksum", () => {
  it("is the xxHash32 of the whole, however long", () => {
    const bytes = Uint8Array.from({ length: 300 * KIB }, (_, i) => (i * 7919) % 251);
    const checksum = checksumBy(hasher);
    for (const near of [0, 64 * KIB, 128 * KIB, 200 * KIB, 299 * KIB]) {
      for (const length of [near, near + 1, near + 15, near + 1023]) {
        const some = bytes.subarray(0, length);
        for (const seed of [0, 1, 0xffff_ffff]) {
          expect(checksum(some, seed)).toBe(hasher.h32Raw(some, seed));
          const middle = Math.max(9, near);
          const parts = [some.subarray(0, 9), some.subarray(9, middle), some.subarray(middle)];
          expect(checksum(new Pieces(parts), seed)).toBe(hasher.h32Raw(some, seed));
        }
      }
    }
  });

  it("never hands over a long record at once: WebAssembly's memory would keep its length", () => {
    const h32Raw = vi.fn(hasher.h32Raw);
    const create32 = vi.fn((seed?: number) => {
      const hash = hasher.create32(seed);
      const update = vi.fn((bytes: Uint8Array) => {
        expect(bytes.length).toBeLessThanOrEqual(64 * KIB);
        return hash.update(bytes);
      });
      return { update, digest: () => hash.digest() };
    });
    checksumBy({ h32Raw, create32 })(new Uint8Array(2_000_000), 5);
    expect(h32Raw).not.toHaveBeenCalled();
    expect(create32).toHaveBeenCalledTimes(1);
  });
});
