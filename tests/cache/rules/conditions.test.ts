/** Conditions, ranges and what a 304 freshens: RFC 9110, 13 and 14, and RFC 9111, 3.2. */
import { describe, expect, it } from "vitest";
import { isNotModified, rangeApplies, updatedFields } from "../../../src/cache/conditional.ts";
import type { Fields } from "../../../src/cache/fields.ts";
import { readRange } from "../../../src/cache/range.ts";
import { at, NOW } from "./exchange.ts";

describe("conditions and ranges (RFC 9110, 13 and 14)", () => {
  const stored = {
    fields: [
      ["ETag", '"a"'],
      ["Last-Modified", at(-100)],
    ] as Fields,
    respondedAt: NOW,
  };

  it("compare tags weakly, before dates", () => {
    expect(isNotModified([["If-None-Match", '"x", W/"a"']], stored)).toBe(true);
    expect(isNotModified([["If-None-Match", "*"]], stored)).toBe(true);
    const both: Fields = [
      ["If-None-Match", '"b"'],
      ["If-Modified-Since", at(0)],
    ];
    expect(isNotModified(both, stored)).toBe(false);
    expect(isNotModified([["If-Modified-Since", at(-100)]], stored)).toBe(true);
    expect(isNotModified([["If-Modified-Since", at(-101)]], stored)).toBe(false);
    expect(isNotModified([["If-Modified-Since", "yesterday"]], stored)).toBe(false);
    expect(isNotModified([], stored)).toBe(false);
  });

  it("give a part only of the very version that If-Range names", () => {
    const of = (text: string): boolean => rangeApplies([["If-Range", text]], stored.fields);
    expect([of('"a"'), of('W/"a"'), of('"b"'), of(at(-100)), of(at(-99))]).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
  });

  it("read one range of bytes and take all else for the whole", () => {
    const read = (text: string | null): unknown => {
      const verdict = readRange(text, 10);
      return verdict.kind === "range" ? [verdict.range.from, verdict.range.to] : verdict.kind;
    };
    expect(read("bytes=0-1")).toEqual([0, 2]);
    expect(read("bytes=8-")).toEqual([8, 10]);
    expect(read("bytes=-3")).toEqual([7, 10]);
    expect(read("bytes=-30")).toEqual([0, 10]);
    expect(read("bytes=5-99")).toEqual([5, 10]);
    for (const text of ["bytes=10-", "bytes=-0"])
      expect([text, read(text)]).toEqual([text, "unsatisfiable"]);
    for (const text of [null, "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=-", "bytes=a-b"]) {
      expect([text, read(text)]).toEqual([text, "whole"]);
    }
  });

  it("freshen all fields but those of the stored bytes (RFC 9111, 3.2)", () => {
    const before: Fields = [
      ["ETag", '"a"'],
      ["Content-Length", "5"],
      ["X", "1"],
      ["Y", "1"],
    ];
    const told: Fields = [
      ["Content-Length", "0"],
      ["X", "2"],
      ["ETag", '"b"'],
    ];
    expect(updatedFields(before, told)).toEqual([
      ["ETag", '"a"'],
      ["Content-Length", "5"],
      ["Y", "1"],
      ["X", "2"],
    ]);
  });
});
