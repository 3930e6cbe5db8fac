import { describe, expect, it } from "vitest";
import { prefixesOf, urlPurge } from "../../src/door/purging.ts";

const cacheKey = { query: "all", headers: [] };
const site = { name: "s", settings: { cacheKey } } as unknown as Parameters<typeof urlPurge>[1];

describe("what a purge names in letters that are not ASCII", () => {
  it("is named as requests have it, in percent signs", () => {
    expect(prefixesOf("/\u00fc")).toEqual(["/%C3%BC"]);
    expect(prefixesOf("http://a.example/\u00fc?q=\u{1f600}")).toEqual([
      "http://a.example/%C3%BC?q=%F0%9F%98%80",
    ]);
    expect(urlPurge("http://a.example/\u00fc", site)?.keys).toEqual(["http://a.example/%C3%BC"]);
    expect(urlPurge("/\u00fc", site)?.epochs).toEqual([{ prefix: "/%C3%BC\n" }]);
  });

  it("may be half a letter: that names what no request asks for", () => {
    expect(prefixesOf("/\ud800")).toEqual(["/%EF%BF%BD"]);
  });

  it("leaves what is in percent signs already, and the host", () => {
    expect(prefixesOf("/%c3%bc")).toEqual(["/%c3%bc"]);
    expect(prefixesOf("http://\u00fc.example/a")?.[0]).toContain("\u00fc.example/a");
  });
});
