import { describe, expect, it } from "vitest";
import { decodeWithTexts } from "../../src/frontend/http/msgpack-texts.ts";

/** By what a text and bytes begin with, where their length takes one, two or four bytes. */
const HEADS = [
  [1, 0xd9, 0xc4],
  [2, 0xda, 0xc5],
  [4, 0xdb, 0xc6],
] as const;
/** Lengths whose own bytes look like heads are among them. */
const LENGTHS = [0, 1, 31, 32, 0xa1, 0xc4, 0xd9, 255, 256, 0xc4c4, 0xd9d9, 0xdada, 65_535, 65_536];

function written(head: number, lengthSize: number, content: Uint8Array): Uint8Array {
  const length = Array.from({ length: lengthSize }, (_, i) =>
    Math.floor(content.length / 256 ** (lengthSize - 1 - i)),
  );
  return Uint8Array.from([0x91, head, ...length, ...content]);
}

describe("MessagePack from outside", () => {
  it.each(HEADS)("has texts and bytes told apart by their heads: lengths of %i", (...heads) => {
    const [lengthSize, text, bytes] = heads;
    for (const length of LENGTHS.filter((known) => known < 256 ** lengthSize)) {
      const content = new Uint8Array(length).fill(0x78);
      content.set([0xef, 0xbb, 0xbf].slice(0, length < 3 ? 0 : 3));
      const [asText] = decodeWithTexts(written(text, lengthSize, content)) as unknown[];
      expect([typeof asText, new TextEncoder().encode(asText as string)]).toEqual([
        "string",
        content,
      ]);
      const [asBytes] = decodeWithTexts(written(bytes, lengthSize, content)) as unknown[];
      expect(asBytes).toEqual(content);
    }
  });

  it("has short texts, and names of members, as they are, also in a part of a buffer", () => {
    const name = [0xa4, 0xef, 0xbb, 0xbf, 0x78];
    const bytes = Uint8Array.from([0xc4, 0xd9, 0x82, ...name, 0xa0, 0xa1, 0x61, 0xc4, 1, 0xa0]);
    const value = decodeWithTexts(bytes.subarray(2));
    expect(value).toEqual({ "\ufeffx": "", a: Uint8Array.of(0xa0) });
  });

  it.each([
    ["a text that is not UTF-8", [0x91, 0xa1, 0xff]],
    ["a name that is not UTF-8", [0x81, 0xa1, 0xff, 1]],
    ["an extension of nothing", [0x91, 0xc7, 0, 0xa0]],
    ["something behind it", [0xa1, 0x61, 0]],
  ])("is refused with %s", (_, bytes) => {
    expect(() => decodeWithTexts(Uint8Array.from(bytes), { maxExtLength: 0 })).toThrow();
  });
});
