/** Directives and targeted fields: RFC 9111, 5.2, and RFC 9213. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDirectives, secondsOf } from "../../../src/cache/directives.ts";
import type { Fields } from "../../../src/cache/fields.ts";
import { at, cc, lifetime, refusal } from "./exchange.ts";

describe("directives (RFC 9111, 5.2)", () => {
  it("are read with their arguments, quoted or not, the first one counting", () => {
    const said = parseDirectives('Max-Age="60", no-cache="a, b", x=\\, max-age=5, private');
    expect([...said]).toEqual([
      ["max-age", "60"],
      ["no-cache", "a, b"],
      ["x", "\\"],
      ["private", null],
    ]);
  });

  it("are not found within the argument of another one", () => {
    expect(parseDirectives('extension="max-age=3600", max-age=1').get("max-age")).toBe("1");
    expect(parseDirectives('a="\\", max-age=9", b').has("max-age")).toBe(false);
  });

  it("with a space before or behind the sign are no directives of that name, or have none", () => {
    expect(secondsOf(parseDirectives("max-age =60"), "max-age")).toBe(null);
    expect(secondsOf(parseDirectives("max-age= 60"), "max-age")).toBe(Number.NaN);
  });

  it("that are numbers are whole, and bounded", () => {
    for (const text of ["-1", "1.5", "a1", "1a", "'1'"]) {
      expect([text, lifetime({ answered: cc(`max-age=${text}`) })]).toEqual([text, 0]);
    }
    expect(lifetime({ answered: cc("max-age=003600") })).toBe(3600);
    expect(lifetime({ answered: cc("max-age=99999999999") })).toBe(2 ** 31);
  });

  it("survive any text", () => {
    fc.assert(fc.property(fc.string(), (text) => parseDirectives(text).size >= 0));
  });
});

describe("targeted fields (RFC 9213)", () => {
  const both: Fields = [
    ["Cache-Control", "max-age=10"],
    ["Expires", at(20)],
  ];

  it("silence Cache-Control and Expires, the first of a site's list before the others", () => {
    const cdn: Fields = [...both, ["CDN-Cache-Control", "max-age=30"]];
    expect(lifetime({ answered: cdn })).toBe(30);
    const own: Fields = [...cdn, ["Starling-Cache-Control", "max-age=40"]];
    expect(lifetime({ answered: own })).toBe(40);
    expect(refusal({ answered: [...both, ["CDN-Cache-Control", "no-store"]] })).toBe("no-store");
    expect(refusal({ answered: [...cc("no-store"), ["CDN-Cache-Control", "max-age=1"]] })).toBe(
      null,
    );
    const bare: Fields = [
      ["CDN-Cache-Control", "foo"],
      ["Expires", at(20)],
    ];
    expect(lifetime({ answered: bare })).toBe(0);
  });

  it("that are no structured fields are as if they were not there", () => {
    for (const text of ["max-age=30, &&&", 'max-age="30"', "max-age=1.5", "MaX-aGe=30", ""]) {
      const answered: Fields = [...both, ["CDN-Cache-Control", text]];
      expect([text, lifetime({ answered })]).toEqual([text, 10]);
    }
  });
});
