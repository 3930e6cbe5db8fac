import { Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isLasting, writeBriefly, writeOwned, writePieces } from "../../core/msgpack-writer.ts";

const written = (value: unknown): Uint8Array => writeBriefly(value).slice();
const reference = (value: unknown): Uint8Array => new Encoder().encode(value);

const integer = fc.oneof(
  fc.maxSafeInteger(),
  // Numbers on both sides of each point where one needs more bytes.
  fc
    .tuple(fc.constantFrom(5, 7, 8, 15, 16, 31, 32, 52), fc.integer({ min: -2, max: 2 }))
    .chain(([bits, near]) => fc.constantFrom(2 ** bits + near, -(2 ** bits) + near)),
);

const { value: arbitraryValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    integer,
    fc.double(),
    fc.string({ unit: "binary" }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(null, undefined, true, false, -0),
    fc.array(tie("value"), { maxLength: 20 }),
  ),
}));

/** How many bytes of memory are asked for while something is done. */
function allocatedBy(work: () => void): number {
  let byteCount = 0;
  const Counting = new Proxy(Uint8Array, {
    construct(target, args: readonly unknown[]): Uint8Array {
      if (typeof args[0] === "number") byteCount += args[0];
      return Reflect.construct(target, args) as Uint8Array;
    },
  });
  vi.stubGlobal("Uint8Array", Counting);
  work();
  vi.unstubAllGlobals();
  return byteCount;
}

describe("the writer", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("writes what the reference implementation writes", () => {
    fc.assert(
      fc.property(arbitraryValue, (value) => {
        expect(written(value)).toEqual(reference(value));
      }),
      { numRuns: 2000 },
    );
  });

  it("has the form of the format for every length", () => {
    for (const length of [0, 1, 15, 16, 31, 32, 40, 41, 255, 256, 65_535, 65_536, 200_000]) {
      const text = "a".repeat(length);
      for (const value of [text, `${text}é`, new Uint8Array(length), new Array(length).fill(7)]) {
        expect(written([value, 1])).toEqual(reference([value, 1]));
      }
    }
  });

  it("gives bytes that hold until it is next used", () => {
    const first = writeBriefly(["a", 1]);
    expect(first).toEqual(reference(["a", 1]));
    writeBriefly(["b", 2]);
    expect(first).toEqual(reference(["b", 2]));
  });

  it("writes after a value that was long, and after one that it does not take", () => {
    expect(written(new Uint8Array(5_000_000)).length).toBe(5_000_005);
    expect(written([1, "a"])).toEqual(reference([1, "a"]));
    for (const value of [{ a: 1 }, new Map(), 1n, Symbol("a"), [[() => 1]]]) {
      expect(() => writeBriefly(value)).toThrow(/numbers, texts/);
    }
    const endless: unknown[] = [];
    endless.push(endless);
    expect(() => writeBriefly(endless)).toThrow(/has an end/);
    expect(written([1, "a"])).toEqual(reference([1, "a"]));
  });

  it("gives bytes that are the caller's own, whatever is written after them", () => {
    for (const byteCount of [10, 100_000, 6_000_000]) {
      const written = writeOwned(new Uint8Array(byteCount).fill(7));
      const before = written.slice();
      writeBriefly(new Uint8Array(byteCount).fill(8));
      expect(Buffer.compare(written, before)).toBe(0);
    }
  });

  it("says of bytes whether they hold for good", () => {
    const brief = writeBriefly(new Uint8Array(100_000).fill(7));
    expect(isLasting(brief)).toBe(false);
    expect(isLasting(new Uint8Array(5))).toBe(true);
    expect(isLasting(writeOwned([1]))).toBe(true);
    for (const byteCount of [4_194_304, 6_000_000]) {
      const written = writeBriefly(new Uint8Array(byteCount).fill(7));
      const before = written.slice();
      expect(isLasting(written)).toBe(true);
      for (const next of [1, 100_000, byteCount]) writeBriefly(new Uint8Array(next).fill(8));
      expect(Buffer.compare(written, before)).toBe(0);
    }
  });

  it("gives in pieces what it writes as a whole, with long bytes as they are", () => {
    const long = new Uint8Array(65_536).fill(7);
    const longer = new Uint8Array(3_000_000).fill(8);
    const short = new Uint8Array(65_535).fill(9);
    const text = "a".repeat(100_000);
    const values = [
      ...[7, [], [long], long, [long, longer], [[1, long], "b", [short, [longer]], text, 5]],
      ...[[short, short, long, text, text, longer, short]],
    ];
    for (const value of values) {
      const pieces = writePieces(value).map((piece) => (isLasting(piece) ? piece : piece.slice()));
      expect(Buffer.compare(Buffer.concat(pieces), reference(value))).toBe(0);
      const given = [value].flat(3).filter((item) => item === long || item === longer);
      expect(pieces.filter((piece) => piece === long || piece === longer)).toEqual(given);
      writeBriefly(new Uint8Array(200_000));
      expect(Buffer.compare(Buffer.concat(pieces), reference(value))).toBe(0);
    }
    expect(writePieces([1, 2])).toHaveLength(1);
  });

  it("asks for no memory for long bytes that it gives as they are", () => {
    const long = new Uint8Array(1024 * 1024);
    const value = ["a".repeat(70_000), long, long, 5];
    const allocated = allocatedBy(() => void writePieces(value));
    expect(allocated).toBeLessThan(long.length / 2);
  });

  it("copies nothing of what is long, for the caller to own it", () => {
    const slice = vi.spyOn(Uint8Array.prototype, "slice");
    expect(writeOwned(new Uint8Array(6_000_000)).length).toBe(6_000_005);
    expect(slice).not.toHaveBeenCalled();
  });

  it("asks once for the memory of what is long", () => {
    const long = new Uint8Array(1024 * 1024).fill(7);
    const siblings = ["key", Array.from({ length: 20 }, (_, i) => ["text", i, [null, long]])];
    const expected = reference(siblings);
    const allocated = allocatedBy(() => {
      expect(Buffer.compare(writeBriefly(siblings), expected)).toBe(0);
    });
    expect(allocated).toBeGreaterThan(20 * long.length);
    expect(allocated).toBeLessThan(1.1 * 20 * long.length);
  });

  it("asks for little where what it writes has many small parts", () => {
    const counts = Array.from({ length: 300_000 }, (_, i) => i % 100);
    const allocated = allocatedBy(() => {
      expect(Buffer.compare(writeBriefly(counts), reference(counts))).toBe(0);
    });
    expect(allocated).toBeLessThan(4 * counts.length);
  });
});
