import { Decoder, Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedValue, readValue } from "../../core/msgpack-reader.ts";

const limits = { depthMax: 8, nodesMax: 1000 };
const encode = (value: unknown): Uint8Array => new Encoder().encode(value);

/** Why the bytes are not read; null when they are. */
function faultOf(bytes: Uint8Array): string | null {
  try {
    readValue(bytes, limits);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedValue);
    return (error as MalformedValue).message;
  }
}
const fault = (...bytes: number[]): string | null => faultOf(Uint8Array.from(bytes));

/** MessagePack's grammar read off the specification, step by step: the reader's oracle. */
function endOf(bytes: readonly number[], at: number, depth: number): number {
  const head = bytes[at];
  if (head === undefined) throw new Error("cut off");
  const big = (from: number, size: number): number => {
    const part = bytes.slice(from, from + size);
    if (part.length < size) throw new Error("cut off");
    return part.reduce((sum, byte) => sum * 256 + byte, 0);
  };
  const list = (from: number, count: number): number => {
    if (depth === 0) throw new Error("too deep");
    let next = from;
    for (let i = 0; i < count; i++) next = endOf(bytes, next, depth - 1);
    return next;
  };
  if (head <= 0x7f || head >= 0xe0) return at + 1;
  if (head >= 0x90 && head <= 0x9f) return list(at + 1, head - 0x90);
  if (head >= 0xa0 && head <= 0xbf) return at + 1 + head - 0xa0;
  if (head === 0xc0 || head === 0xc2 || head === 0xc3) return at + 1;
  const withLength: Record<number, number> = { 196: 1, 197: 2, 198: 4, 217: 1, 218: 2, 219: 4 };
  const lengthSize = withLength[head];
  if (lengthSize !== undefined) return at + 1 + lengthSize + big(at + 1, lengthSize);
  if (head === 0xdc) return list(at + 3, big(at + 1, 2));
  if (head === 0xdd) return list(at + 5, big(at + 1, 4));
  const fixed: Record<number, number> = {
    ...{ 202: 4, 203: 8, 204: 1, 205: 2, 206: 4, 207: 8, 208: 1, 209: 2, 210: 4, 211: 8 },
  };
  const size = fixed[head];
  if (size === undefined) throw new Error("refused");
  return at + 1 + size;
}

function oracle(bytes: Uint8Array): boolean {
  try {
    return endOf([...bytes], 0, limits.depthMax) === bytes.length;
  } catch {
    return false;
  }
}

const { value: arbitraryValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.double(),
    fc.string(),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(null, true, false),
    fc.array(tie("value"), { maxLength: 20 }),
  ),
}));

describe("what the reader refuses", () => {
  it.each([
    ["nothing at all", [], "cut off"],
    ["a byte after the value", [0x01, 0x02], "bytes after the end"],
    ["an empty map", [0x80], "maps are not taken"],
    ["a map with a 32-bit count", [0xdf, 0, 0, 0, 0], "maps are not taken"],
    ["a fixed extension", [0xd4, 1, 1], "extension types are not taken"],
    ["an extension with a length", [0xc7, 0, 1], "extension types are not taken"],
    ["the byte that the format never uses", [0xc1], "a byte that starts nothing"],
    ["a text shorter than it says", [0xa3, 0x61, 0x62], "shorter than it declares"],
    ["bytes of 4 GiB in five bytes", [0xc6, 255, 255, 255, 255], "shorter than it declares"],
    ["a length that is cut off", [0xc5, 1], "shorter than it declares"],
    ["an integer that is cut off", [0xcf, 1, 2], "shorter than it declares"],
    ["a list with an item missing", [0x92, 0x01], "shorter than it declares"],
    ["an inner list with an item missing", [0x92, 0x92, 0x01, 0x01], "shorter than it declares"],
    ["a list of 2^32 - 1 items", [0xdd, 255, 255, 255, 255], "too many values"],
  ])("%s", (_, bytes, reason) => {
    expect(fault(...bytes)).toBe(reason);
  });

  it("takes the deepest nesting allowed and not one more", () => {
    const nested = (depth: number): number[] => [...Array(depth).fill(0x91), 0xc0];
    expect(fault(...nested(8))).toBeNull();
    expect(fault(...nested(9))).toBe("nested too deeply");
    expect(fault(...nested(100_000))).toBe("nested too deeply");
    expect(fault(...Array(8).fill(0x91), 0x90)).toBe("nested too deeply");
  });

  it("counts values over all lists, and judges before the items have come", () => {
    const list = (count: number): number[] => [0xdc, count >> 8, count & 255];
    expect(fault(...list(999), ...Array(999).fill(0))).toBeNull();
    expect(fault(...list(1000), ...Array(1000).fill(0))).toBe("too many values");
    expect(fault(0x92, ...list(499), ...Array(499).fill(0), ...list(499))).toBe("too many values");
  });
});

describe("the reader", () => {
  it("gives what the reference implementation gives", () => {
    const reference = new Decoder();
    fc.assert(
      fc.property(arbitraryValue, (value) => {
        const bytes = encode(value);
        expect(readValue(bytes, limits)).toStrictEqual(reference.decode(bytes));
      }),
    );
  });

  it.each([
    ["8 bits", [0xcc, 200], 200],
    ["16 bits", [0xcd, 1, 2], 258],
    ["32 bits", [0xce, 255, 255, 255, 254], 2 ** 32 - 2],
    ["64 bits", [0xcf, 0, 31, 255, 255, 255, 255, 255, 255], 2 ** 53 - 1],
    ["8 bits, below zero", [0xd0, 0x80], -128],
    ["16 bits, below zero", [0xd1, 0x80, 0], -32_768],
    ["32 bits, below zero", [0xd2, 0x80, 0, 0, 0], -(2 ** 31)],
    ["64 bits, below zero", [0xd3, 255, 224, 0, 0, 0, 0, 0, 1], -(2 ** 53 - 1)],
    ["a small one in many bytes", [0xd3, 0, 0, 0, 0, 0, 0, 0, 7], 7],
    ["a float of 32 bits", [0xca, 0x3f, 0x80, 0, 0], 1],
    ["a float of 64 bits", [0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0], -1.5],
  ])("reads a number of %s", (_, bytes, number) => {
    expect(readValue(Uint8Array.from(bytes), limits)).toBe(number);
  });

  it("reads texts of every length that has a form of its own, ASCII or not", () => {
    for (const length of [0, 1, 24, 25, 31, 32, 255, 256, 65_535, 65_536]) {
      for (const text of ["a".repeat(length), `${"a".repeat(length)}é😀`, `\ufeff${length}`]) {
        expect(readValue(encode(text), limits)).toBe(text);
      }
    }
  });

  it("takes no more from a text that is no UTF-8 than its bytes", () => {
    expect(readValue(Uint8Array.of(0x92, 0xa2, 0x61, 0xe2, 0x07), limits)).toEqual(["a\ufffd", 7]);
  });

  it("accepts all that is well-formed, and no beginning of it", () => {
    fc.assert(
      fc.property(arbitraryValue, fc.nat(), (value, cut) => {
        const bytes = encode(value);
        expect(faultOf(bytes)).toBeNull();
        expect(faultOf(bytes.subarray(0, cut % bytes.length))).not.toBeNull();
        expect(faultOf(Uint8Array.from([...bytes, 0xc0]))).not.toBeNull();
      }),
    );
  });

  it("agrees with a recursive reading of the specification on any bytes", () => {
    // Weighted towards the heads of lists and lengths, or hardly anything would be well-formed.
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0x91, 0x92, 0x93, 0xdc, 0xdd, 0xc4, 0xd9, 0xda, 0xcd, 0, 1, 2, 3),
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 24 }), (list) => {
        const isFine = oracle(Uint8Array.from(list));
        expect(fault(...list) === null, String(list)).toBe(isFine);
        if (isFine) accepted++;
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });
});
