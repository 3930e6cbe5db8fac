import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode } from "../../core/codec.ts";
import { scanFault } from "../../core/msgpack-scan.ts";

const limits = { depthMax: 8, nodesMax: 1000 };
const fault = (...bytes: number[]): string | null => scanFault(Uint8Array.from(bytes), limits);

/** MessagePack's grammar read off the specification, recursively: the scan's oracle. */
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

describe("what the scan refuses", () => {
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

describe("the scan", () => {
  it("accepts all that the encoder writes, and no beginning of it", () => {
    fc.assert(
      fc.property(arbitraryValue, fc.nat(), (value, cut) => {
        const bytes = encode(value);
        expect(scanFault(bytes, limits)).toBeNull();
        expect(scanFault(bytes.subarray(0, cut % bytes.length), limits)).not.toBeNull();
        expect(scanFault(Uint8Array.from([...bytes, 0xc0]), limits)).not.toBeNull();
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
        const bytes = Uint8Array.from(list);
        const isFine = oracle(bytes);
        expect(scanFault(bytes, limits) === null, String(list)).toBe(isFine);
        if (isFine) {
          accepted++;
          expect(() => decode(bytes)).not.toThrow();
        }
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });
});
