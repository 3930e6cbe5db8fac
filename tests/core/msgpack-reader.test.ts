import { decode as decodeByLibrary, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode } from "../../core/codec.ts";
import { MESSAGE_DEPTH_MAX } from "../../core/limits.ts";
import { readScanned } from "../../core/msgpack-reader.ts";
import { scanFault } from "../../core/msgpack-scan.ts";

const limits = { depthMax: MESSAGE_DEPTH_MAX, nodesMax: 1000 };
const read = (...bytes: number[]): unknown => readScanned(Uint8Array.from(bytes));

const { value: arbitraryValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.double(),
    fc.string({ maxLength: 80 }),
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(null, true, false, "\uFEFFa", "x".repeat(70_000)),
    fc.array(tie("value"), { maxLength: 20 }),
  ),
}));

describe("the reader", () => {
  it("gives what the library gives, for all that the encoder writes", () => {
    fc.assert(
      fc.property(arbitraryValue, (value) => {
        const bytes = encode(value);
        if (scanFault(bytes, limits) !== null) return;
        expect(readScanned(bytes)).toEqual(decodeByLibrary(bytes));
      }),
    );
  });

  it("gives what the library gives for any bytes that the scan lets through", () => {
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x91, 0x92, 0x93, 0xdc, 0xdd, 0xc4, 0xd9, 0xca, 0xcb, 0xcf, 0xd3, 0, 1, 2, 3),
    );
    let readCount = 0;
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 24 }), (list) => {
        const bytes = Uint8Array.from(list);
        // The library makes something else of texts that are not UTF-8, and of those alone.
        if (scanFault(bytes, limits) !== null || /[^\0-\x7f]/.test(String(readScanned(bytes))))
          return;
        readCount++;
        expect(readScanned(bytes)).toEqual(decodeByLibrary(bytes));
      }),
      { numRuns: 20_000 },
    );
    expect(readCount).toBeGreaterThan(500);
  });

  it.each<[string, number[], unknown]>([
    ["the lowest of one byte", [0xd0, 0x80], -128],
    ["the lowest of four bytes", [0xd2, 0x80, 0, 0, 0], -(2 ** 31)],
    ["-1 in eight bytes", [0xd3, 255, 255, 255, 255, 255, 255, 255, 255], -1],
    ["2^53 - 1", [0xcf, 0, 0x1f, 255, 255, 255, 255, 255, 255], 2 ** 53 - 1],
    ["the highest of eight bytes", [0xcf, 255, 255, 255, 255, 255, 255, 255, 255], 2 ** 64],
    ["a short float", [0xca, 0x3f, 0xc0, 0, 0], 1.5],
    ["a text that is not UTF-8", [0xa2, 0x61, 0xff], "a\uFFFD"],
    ["a text of no units", [0xd9, 0], ""],
  ])("reads %s", (_, bytes, value) => {
    expect(read(...bytes)).toBe(value);
  });

  it("gives bytes as views, and keeps nothing of its input", () => {
    const bytes = Uint8Array.of(0x91, 0xc4, 2, 7, 8);
    const [view] = decode(bytes) as [Uint8Array];
    bytes[4] = 9;
    expect([...view]).toEqual([7, 9]);
    expect(view.buffer).toBe(bytes.buffer);
  });
});
