import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8Length } from "../../core/keys.ts";
import { checkKey, readKey, readNamespace, splitTarget } from "../../src/frontend/http/key-path.ts";
import { Problem } from "../../src/frontend/http/problems.ts";

const hex = (byte: number): string => `%${byte.toString(16).padStart(2, "0")}`;
const escapeAll = (text: string): string => [...new TextEncoder().encode(text)].map(hex).join("");
const key = fc
  .string({ unit: "binary", minLength: 1, maxLength: 200 })
  .filter((text) => utf8Length(text) <= 512);

/** A model of percent-decoding, by way of bytes. */
function model(part: string): string | null {
  const bytes: number[] = [];
  for (let i = 0; i < part.length; i++) {
    if (part[i] !== "%") bytes.push(part.charCodeAt(i));
    else {
      const digits = part.slice(i + 1, i + 3);
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) return null;
      bytes.push(Number.parseInt(digits, 16));
      i += 2;
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(bytes),
    );
  } catch {
    return null;
  }
}

function codeOf(read: () => unknown): string {
  try {
    read();
    return "none";
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

describe("keys in a path", () => {
  it("come through every way of escaping them", () => {
    fc.assert(
      fc.property(key, (text) => {
        expect(readKey(encodeURIComponent(text))).toBe(text);
        expect(readKey(escapeAll(text))).toBe(text);
        expect(readKey(escapeAll(text).toUpperCase())).toBe(text);
      }),
    );
  });

  it("are what the bytes say, or refused", () => {
    const piece = fc.oneof(
      fc.constantFrom("%", "%%", "%C3%BC", "%ed%a0%80", "%c0%af", "%f4%90%80%80", "%00", "+", "/"),
      fc.integer({ min: 0, max: 255 }).map(hex),
      fc.string({ unit: "grapheme-ascii", maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
        const part = pieces.join("");
        const expected = model(part);
        if (expected === null || expected === "") {
          expect(codeOf(() => readKey(part))).toBe("invalid-key");
        } else expect(readKey(part)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("keep a byte order mark, dots, a plus and a second escape", () => {
    for (const text of ["\ufeffx", "..", "a/../b", "./", "a+b", "%2F", "\0"]) {
      expect(readKey(escapeAll(text))).toBe(text);
    }
    expect(readKey("a+b/../c")).toBe("a+b/../c");
    expect(readKey("%252F")).toBe("%2F");
  });

  it("have 1 to 512 bytes of Unicode text", () => {
    expect(codeOf(() => readKey(""))).toBe("invalid-key");
    for (const unit of ["k", "ü", "€", "😀"]) {
      const most = Math.floor(512 / utf8Length(unit));
      expect(checkKey(unit.repeat(most))).toHaveLength(unit.length * most);
      expect(codeOf(() => checkKey(unit.repeat(most + 1)))).toBe("key-too-long");
    }
    for (const half of ["\ud800", "a\udfffb", "\udc00\ud800"]) {
      expect(codeOf(() => checkKey(half))).toBe("invalid-key");
    }
  });

  it("stand behind a namespace of its own alphabet", () => {
    for (const name of ["a", "0", "A_b-c.d", "n".repeat(64), "%61"]) {
      expect(readNamespace(name)).toBe(decodeURIComponent(name));
    }
    for (const name of ["", ".a", "-a", "_a", "a b", "ü", "a%00", "%FF", "n".repeat(65), "a%"]) {
      expect(codeOf(() => readNamespace(name))).toBe("invalid-key");
    }
  });
});

describe("request targets", () => {
  it("are cut at the first question mark, and nothing in them is resolved", () => {
    expect(splitTarget("/v1/kv/n/a/../b?r=1?2")).toEqual({
      path: "/v1/kv/n/a/../b",
      query: "r=1?2",
    });
    expect(splitTarget("http://localhost:1/v1/kv/n/%2e%2e#x")).toEqual({
      path: "/v1/kv/n/%2e%2e",
      query: "",
    });
    expect(splitTarget("http://h?r=1")).toEqual({ path: "/", query: "r=1" });
    expect(splitTarget("*")).toEqual({ path: "/*", query: "" });
    expect(splitTarget("//v1/kv")).toEqual({ path: "//v1/kv", query: "" });
  });

  it("are not cut at a # that stands on the request line", () => {
    expect(codeOf(() => splitTarget("/v1/kv/n/a#b"))).toBe("invalid-key");
  });
});
