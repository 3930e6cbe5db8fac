/** Cache keys, and references to other URLs: RFC 9111, 2, and RFC 3986, 5.2. */
import { describe, expect, it } from "vitest";
import { cacheKey, parseAbsolute, resolveReference, urlOf } from "../../../src/cache/cache-key.ts";
import type { Fields } from "../../../src/cache/fields.ts";
import { siteOf } from "./exchange.ts";

describe("cache keys", () => {
  const located = { scheme: "http", host: "a.test", path: "/p", query: "b=2&a=1&b=1" } as const;
  const keyOf = (query: unknown, headers: string[] = [], asked: Fields = []): string =>
    cacheKey(located, asked, siteOf({ cacheKey: { query, headers } }).cacheKey);

  it("hold scheme, host, path and what of the query the site counts", () => {
    expect(keyOf("all")).toBe("http://a.test/p?b=2&a=1&b=1");
    expect(keyOf("sorted")).toBe("http://a.test/p?a=1&b=2&b=1");
    expect(keyOf("none")).toBe("http://a.test/p");
    expect(keyOf(["b"])).toBe("http://a.test/p?b=2&b=1");
    expect(keyOf(["z"])).toBe("http://a.test/p");
  });

  it("tell a field that is absent from one that is empty", () => {
    const keys = [[], [["X-Device", ""]], [["x-device", "tv"]]].map((asked) =>
      keyOf("none", ["X-Device"], asked as unknown as Fields),
    );
    expect(new Set(keys).size).toBe(3);
  });

  it("resolve references as RFC 3986 has it", () => {
    const base = parseAbsolute("http://a/b/c/d?q");
    if (base === null) throw new Error("the base is a URL");
    const resolved = (text: string): string | null => {
      const found = resolveReference(base, text);
      return found === null ? null : urlOf(found);
    };
    expect(resolved("g")).toBe("http://a/b/c/g");
    expect(resolved("./g/")).toBe("http://a/b/c/g/");
    expect(resolved("/g")).toBe("http://a/g");
    expect(resolved("//g")).toBe("http://g/");
    expect(resolved("?y")).toBe("http://a/b/c/d?y");
    expect(resolved("../../../g")).toBe("http://a/g");
    expect(resolved("..")).toBe("http://a/b/");
    expect(resolved("")).toBe("http://a/b/c/d?q");
    expect(resolved("mailto:a@b")).toBe(null);
    expect(resolved("HTTPS://X:443/y#z")).toBe("https://x/y");
  });
});
