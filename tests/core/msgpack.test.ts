import { decode as libraryDecode, encode as libraryEncode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readValue } from "../../core/msgpack-read.ts";
import { scanFault } from "../../core/msgpack-scan.ts";
import { writeValue } from "../../core/msgpack-write.ts";

const edges = [31, 32, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2 ** 31, 2 ** 32];
const numbers = edges.flatMap((edge) => [edge - 1, edge, edge + 1]);
const integers = [...numbers, ...numbers.map((number) => -number), 0, 2 ** 53 - 1, 1 - 2 ** 53];

const { value: arbitraryValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.constantFrom(...integers),
    fc.double(),
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.string({ maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(null, true, false),
    fc.array(tie("value"), { maxLength: 20 }),
  ),
}));

describe("MessagePack as it is written and read here", () => {
  it("is byte by byte what the library writes, and reads back", () => {
    fc.assert(
      fc.property(arbitraryValue, (value) => {
        const bytes = writeValue(value);
        expect(bytes).toEqual(libraryEncode(value));
        expect(readValue(bytes)).toEqual(libraryDecode(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it("does so at every edge between two lengths", () => {
    for (const value of integers) {
      expect(writeValue(value)).toEqual(libraryEncode(value));
      expect(readValue(writeValue(value))).toBe(value);
    }
    for (const length of edges.filter((edge) => edge <= 65_536)) {
      for (const value of ["x".repeat(length), "é".repeat(length), new Uint8Array(length)]) {
        expect(Buffer.compare(writeValue(value), libraryEncode(value))).toBe(0);
        expect(readValue(writeValue(value))).toEqual(value);
      }
      const list = new Array<number>(length).fill(1);
      expect(Buffer.compare(writeValue(list), libraryEncode(list))).toBe(0);
      expect(readValue(writeValue(list))).toEqual(list);
    }
  });

  it("reads whatever the scan lets pass as the library does", () => {
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x91, 0x92, 0x93, 0xdc, 0xc4, 0xd9, 0xca, 0xcb, 0xcf, 0xd3, 0, 1, 2),
    );
    const limits = { depthMax: 8, nodesMax: 1000 };
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 24 }), (list) => {
        const bytes = Uint8Array.from(list);
        // Texts are compared where they are well-formed: of others each makes what it will.
        const isText = list.some((head) => head >= 0x80);
        if (scanFault(bytes, limits) !== null) return;
        const read = readValue(bytes);
        if (!isText || !JSON.stringify(read).includes("\ufffd")) {
          expect(read).toEqual(libraryDecode(bytes));
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it("refuses what it does not write, and goes on after it", () => {
    expect(() => writeValue([1, undefined])).toThrow(/not encoded/);
    expect(() => writeValue({ a: 1 })).toThrow(/not encoded/);
    expect(writeValue(1)).toEqual(Uint8Array.of(1));
  });
});
