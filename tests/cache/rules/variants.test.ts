/** Which variant answers: RFC 9111, 4.1. */
import { describe, expect, it } from "vitest";
import type { Fields } from "../../../src/cache/fields.ts";
import { matches, normalisedEncoding, selectionOf } from "../../../src/cache/vary.ts";

describe("variants (RFC 9111, 4.1)", () => {
  const match = (vary: string, stored: Fields, asked: Fields, answered: Fields = []): boolean => {
    const fields: Fields = [["Vary", vary], ...answered];
    return matches(selectionOf(fields, stored), fields, asked);
  };

  it("answer requests that say the same in all fields that Vary names", () => {
    expect(
      match(
        "Foo",
        [["foo", "1"]],
        [
          ["FOO", "1"],
          ["Bar", "x"],
        ],
      ),
    ).toBe(true);
    expect(match("Foo", [["foo", "1"]], [["foo", "2"]])).toBe(false);
    expect(match("Foo", [["foo", "1"]], [])).toBe(false);
    expect(match("Foo, Bar", [["foo", "1"]], [["foo", "1"]])).toBe(true);
    expect(
      match(
        "Foo",
        [["foo", "1,2"]],
        [
          ["foo", "1"],
          ["foo", " 2 "],
        ],
      ),
    ).toBe(true);
  });

  it("take languages by meaning, not by spelling", () => {
    const said = (text: string): Fields => [["Accept-Language", text]];
    expect(match("Accept-Language", said("en, de"), said("DE ,  en"))).toBe(true);
    expect(match("Accept-Language", said("en, de;q=0.5"), said("en, de"))).toBe(false);
    const german: Fields = [["Content-Language", "de"]];
    const wanted = said("fr;q=0.5, de;q=1.0");
    expect(match("Accept-Language", said("en, de"), wanted, german)).toBe(true);
    expect(match("Accept-Language", said("en, de"), said("fr, de"), german)).toBe(false);
  });

  it("share what clients say of encodings that matter", () => {
    expect(normalisedEncoding("gzip, deflate, br, zstd")).toBe("br, gzip");
    expect(normalisedEncoding("br;q=0.1,gzip;q=1")).toBe("br, gzip");
    expect(normalisedEncoding("gzip;q=0, br")).toBe("br");
    expect(normalisedEncoding("*")).toBe("br, gzip");
    expect(normalisedEncoding("*, br;q=0")).toBe("gzip");
    expect(normalisedEncoding("identity")).toBe(null);
    expect(normalisedEncoding("*, br;q=0;level=1")).toBe("gzip");
    expect(normalisedEncoding(null)).toBe(null);
  });

  it("take a field of any length and shape in one walk", () => {
    // A matcher that starts over at each place would not come to its end here.
    const long = 4_000_000;
    const apart: Fields = [["Foo", `1${"\t".repeat(long)}2 \t,\t 3`]];
    expect(match("Foo", apart, [["Foo", `1${"\t".repeat(long)}2,3`]])).toBe(true);
    expect(normalisedEncoding(`gzip, ${"1-".repeat(long)}`)).toBe("gzip");
    expect(normalisedEncoding(`br${" ".repeat(long)};q=0, *`)).toBe("gzip");
  });
});
