import fc from "fast-check";
import siphash from "siphash";
import { describe, expect, it } from "vitest";
import { KeyedHash } from "../../core/keyed-hash.ts";

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

/** From the reference implementation of SipHash-2-4: messages 0, 1, 2, … under the key 0 to 15. */
const VECTORS = [
  "310e0edd47db6f72",
  "fd67dc93c539f874",
  "5a4fa9d909806c0d",
  "2d7efbd796666785",
  "b7877127e09427cf",
  "8da699cd64557618",
  "cee3fe586e46c9cb",
  "37d1018bf50002ab",
  "6224939a79f5f593",
  "b0e4a90bdf82009e",
  "f3b9dd94c5bb5d7a",
  "a7ad6b22462fb3f4",
  "fbe50e86bc8f1e75",
  "903d84c02756ea14",
  "eef27a8e90ca23f7",
  "e545be4961ca29a1",
];

const hash = new KeyedHash(counting(16));
const reversed = (hex: string): string => (hex.match(/../g) ?? []).reverse().join("");

describe("KeyedHash", () => {
  it.each(VECTORS.map((vector, length) => [length, vector] as const))(
    "is SipHash-2-4 on %i bytes",
    (length, vector) => {
      // The reference prints the 64 bits with the least significant byte first.
      expect(hash.hex(counting(length))).toBe(reversed(vector));
      const tagged = Uint8Array.of(...counting(length), ...new Uint8Array(8), 7);
      hash.tagInto(tagged, length);
      expect([...tagged.subarray(0, length)]).toEqual([...counting(length)]);
      expect(Buffer.from(tagged.subarray(length, -1)).toString("hex")).toBe(reversed(vector));
      expect(tagged.at(-1)).toBe(7);
    },
  );

  it("takes a text as its UTF-8 bytes, and 53 bits of the hash for a digest", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const hex = hash.hex(new TextEncoder().encode(text));
        expect(hash.hex(text)).toBe(hex);
        const low53 = BigInt(`0x${hex}`) & (2n ** 53n - 1n);
        expect(BigInt(hash.digest(text))).toBe(low53);
      }),
    );
  });

  it("is what the library says, for any bytes", () => {
    const key = new Uint32Array(counting(16).buffer);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(hash.hex(bytes)).toBe(siphash.hash_hex(key, bytes));
      }),
    );
  });

  it("depends on the key", () => {
    const other = new KeyedHash(new Uint8Array(16));
    expect(other.digest("a")).not.toBe(hash.digest("a"));
    expect(() => new KeyedHash(new Uint8Array(15))).toThrow(/16 bytes/);
  });

  it("reads a key that is a view into something larger", () => {
    const larger = new Uint8Array(40);
    larger.set(counting(16), 7);
    expect(new KeyedHash(larger.subarray(7, 23)).hex("")).toBe(hash.hex(""));
  });
});
