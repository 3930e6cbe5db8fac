/** The rules of caching as values: each test names the section that it is about. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INLINE_SUM_BYTES_MAX, VARIANTS_COUNT_MAX } from "../../core/limits.ts";
import { checkSite, type SiteSettings } from "../../core/site.ts";
import { cacheKey, parseAbsolute, resolveReference, urlOf } from "../../src/cache/cache-key.ts";
import { isNotModified, rangeApplies, updatedFields } from "../../src/cache/conditional.ts";
import { parseDirectives, saidBy, secondsOf } from "../../src/cache/directives.ts";
import { endToEnd, type Fields } from "../../src/cache/fields.ts";
import { freshnessOf } from "../../src/cache/freshness.ts";
import { parseHttpDate } from "../../src/cache/http-date.ts";
import { readRange } from "../../src/cache/range.ts";
import {
  decodeStored,
  emptyStored,
  encodeStored,
  joinStored,
  type Stored,
  type Variant,
} from "../../src/cache/stored.ts";
import { type Exchange, judge, storedFields } from "../../src/cache/storing.ts";
import { matches, normalisedEncoding, selectionOf } from "../../src/cache/vary.ts";

const NOW = Date.UTC(2026, 5, 1, 12);
const at = (seconds: number): string => new Date(NOW + seconds * 1000).toUTCString();

function siteOf(more: Record<string, unknown> = {}): SiteSettings {
  const site = checkSite({ origin: "http://origin.test", ...more });
  if (typeof site === "string") throw new Error(site);
  return site;
}

interface Given {
  readonly method?: string;
  readonly asked?: Fields;
  readonly status?: number;
  readonly answered?: Fields;
  readonly site?: Record<string, unknown>;
}

function exchangeOf({
  method = "GET",
  asked = [],
  status = 200,
  answered = [],
  site,
}: Given): Exchange {
  return {
    request: { method, fields: asked },
    response: { status, fields: answered },
    site: siteOf(site),
    requestedAt: NOW,
    respondedAt: NOW,
    isOwnLocation: false,
  };
}

const cc = (value: string): Fields => [["Cache-Control", value]];
const refusal = (given: Given): string | null => judge(exchangeOf(given)).refusal;
const freshness = (given: Given) => judge(exchangeOf(given)).freshness;
const lifetime = (given: Given): number => freshness(given).lifetimeMs / 1000;

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

describe("what is stored (RFC 9111, 3)", () => {
  it("is a final response to a GET whose lifetime is said or may be guessed", () => {
    expect(refusal({ answered: cc("max-age=1") })).toBe(null);
    expect(refusal({ status: 599, answered: cc("max-age=1") })).toBe(null);
    expect(refusal({ answered: [["ETag", '"a"']] })).toBe(null);
    expect(refusal({ answered: [] })).toBe("stale");
    expect(refusal({ status: 500, answered: [["ETag", '"a"']] })).toBe("status");
    expect(refusal({ status: 206, answered: cc("max-age=1") })).toBe("status");
    expect(refusal({ status: 304, answered: cc("max-age=1") })).toBe("status");
    expect(refusal({ method: "PUT", answered: cc("max-age=1") })).toBe("method");
  });

  it("is a POST's answer where it names itself and says a lifetime (RFC 9110, 9.3.3)", () => {
    const post = exchangeOf({ method: "POST", answered: cc("max-age=1") });
    expect(judge(post).refusal).toBe("method");
    expect(judge({ ...post, isOwnLocation: true }).refusal).toBe(null);
    const guessed = exchangeOf({ method: "POST", answered: [["ETag", '"a"']] });
    expect(judge({ ...guessed, isOwnLocation: true }).refusal).toBe("method");
  });

  it("is not what either side forbids", () => {
    expect(refusal({ answered: cc("max-age=1, no-store") })).toBe("no-store");
    expect(refusal({ answered: cc("max-age=1, private") })).toBe("private");
    const asked = cc("no-store");
    expect(refusal({ asked, answered: cc("max-age=1") })).toBe("request-no-store");
    expect(refusal({ answered: [...cc("max-age=1"), ["Vary", "a, *"]] })).toBe("vary");
  });

  it("follows must-understand, and then not no-store (5.2.2.3)", () => {
    const answered = cc("max-age=1, no-store, must-understand");
    expect(refusal({ answered })).toBe(null);
    expect(refusal({ status: 599, answered })).toBe("status");
  });

  it("is not an authorized request's, unless the response says so (3.5)", () => {
    const asked: Fields = [["Authorization", "Basic x"]];
    expect(refusal({ asked, answered: cc("max-age=1") })).toBe("authorization");
    for (const word of ["public", "must-revalidate", "s-maxage=1"]) {
      expect([word, refusal({ asked, answered: cc(`max-age=1, ${word}`) })]).toEqual([word, null]);
    }
  });

  it("is with a cookie only what says its lifetime", () => {
    const asked: Fields = [["Cookie", "a=1"]];
    expect(refusal({ asked, answered: cc("max-age=1") })).toBe(null);
    expect(refusal({ asked, answered: [["ETag", '"a"']] })).toBe("cookie");
    const answered: Fields = [["Last-Modified", at(-1000)]];
    expect(refusal({ asked, answered, site: { defaultTtl: 60 } })).toBe("cookie");
  });

  it("sets a cookie only where a targeted field allows it", () => {
    const cookie: Fields = [["Set-Cookie", "a=1"]];
    expect(refusal({ answered: [...cc("public, max-age=1"), ...cookie] })).toBe("set-cookie");
    expect(refusal({ answered: [["CDN-Cache-Control", "max-age=1"], ...cookie] })).toBe(null);
    expect(refusal({ answered: [["CDN-Cache-Control", "foo"], ...cookie] })).toBe("set-cookie");
  });

  it("leaves out what ends with the connection, and what private or no-cache name (3.1)", () => {
    const answered: Fields = [
      ["Cache-Control", 'max-age=1, private="a", no-cache="B"'],
      ["A", "1"],
      ["b", "2"],
      ["C", "3"],
      ["Connection", "d"],
      ["D", "4"],
      ["Keep-Alive", "timeout=1"],
      ["Age", "5"],
    ];
    const names = storedFields(answered, saidBy(answered, [])).map(([name]) => name);
    expect(names).toEqual(["Cache-Control", "C"]);
    expect(
      endToEnd([
        ["TE", "trailers"],
        ["X", "1"],
      ]),
    ).toEqual([["X", "1"]]);
  });
});

describe("freshness (RFC 9111, 4.2.1)", () => {
  it("comes from s-maxage, max-age, Expires, in this order", () => {
    const expires: Fields = [
      ["Expires", at(30)],
      ["Date", at(0)],
    ];
    expect(lifetime({ answered: expires })).toBe(30);
    expect(lifetime({ answered: [...expires, ...cc("max-age=20")] })).toBe(20);
    expect(lifetime({ answered: [...expires, ...cc("max-age=20, s-maxage=10")] })).toBe(10);
    expect(lifetime({ answered: [["Expires", "0"]] })).toBe(0);
    expect(
      lifetime({
        answered: [
          ["Expires", at(300)],
          ["Date", at(400)],
        ],
      }),
    ).toBe(0);
    expect(
      lifetime({
        answered: [
          ["Expires", at(10)],
          ["Date", "foo"],
        ],
      }),
    ).toBe(10);
    expect(
      lifetime({
        answered: [
          ["Expires", at(10)],
          ["Expires", at(10)],
        ],
      }),
    ).toBe(0);
  });

  it("is guessed as a tenth of the time since the change, a day at most (4.2.2)", () => {
    const changed = (seconds: number): Fields => [["Last-Modified", at(-seconds)]];
    expect(lifetime({ answered: changed(1000) })).toBe(100);
    expect(lifetime({ answered: changed(10_000_000) })).toBe(86_400);
    expect(lifetime({ status: 404, answered: changed(1000) })).toBe(100);
    expect(lifetime({ status: 503, answered: changed(1000) })).toBe(0);
    expect(lifetime({ status: 599, answered: [...changed(1000), ...cc("public")] })).toBe(100);
    expect(lifetime({ answered: [], site: { defaultTtl: 7 } })).toBe(7);
    expect(lifetime({ answered: cc("max-age=1"), site: { defaultTtl: 7 } })).toBe(1);
  });

  it("counts the age from Age, Date and the way (4.2.3)", () => {
    const age = (answered: Fields, times = {}): number =>
      freshnessOf({ ...exchangeOf({ answered }), ...times }, saidBy(answered, [])).initialAgeMs;
    expect(age([["Age", "30"]])).toBe(30_000);
    expect(age([["Age", "30"]], { requestedAt: NOW - 2000 })).toBe(32_000);
    expect(age([["Date", at(-50)]])).toBe(50_000);
    expect(age([["Date", at(50)]])).toBe(0);
    expect(age([["Age", "7, 3"]])).toBe(7000);
    for (const text of ["abc", "-7", "7.0"])
      expect([text, age([["Age", text]])]).toEqual([text, 0]);
  });

  it("lets stale-* of the response outrank s-maxage, and a site's default nothing (RFC 5861)", () => {
    const site = { staleIfError: 60, staleWhileRevalidate: 30 };
    const stale = (text: string) => {
      const { staleIfErrorMs, staleWhileRevalidateMs } = freshness({ answered: cc(text), site });
      return [staleWhileRevalidateMs / 1000, staleIfErrorMs / 1000];
    };
    expect(stale("max-age=1")).toEqual([30, 60]);
    expect(stale("s-maxage=1")).toEqual([0, 0]);
    expect(stale("s-maxage=1, stale-while-revalidate=5, stale-if-error=6")).toEqual([5, 6]);
    for (const word of ["must-revalidate", "proxy-revalidate", "no-cache"]) {
      const text = `max-age=1, stale-if-error=6, stale-while-revalidate=6, ${word}`;
      expect([word, stale(text)]).toEqual([word, [0, 0]]);
    }
    expect(stale("max-age=1, stale-if-error=x")).toEqual([30, 60]);
  });
});

describe("dates (RFC 9110, 5.6.7)", () => {
  it("are three forms, without regard to case", () => {
    const expected = Date.UTC(1994, 10, 6, 8, 49, 37);
    for (const text of [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "SUN, 06 NOV 1994 08:49:37 gmt",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
    ]) {
      expect([text, parseHttpDate(text, NOW)]).toEqual([text, expected]);
    }
    const ahead = parseHttpDate("Thursday, 18-Aug-50 02:01:18 GMT", NOW);
    expect(ahead).toBe(Date.UTC(2050, 7, 18, 2, 1, 18));
  });

  it("are nothing else", () => {
    for (const text of [
      "0",
      "",
      "Thu, 18 Aug 2050 02:01:18 UTC",
      "Thu, 18 Aug 50 02:01:18 GMT",
      "Thu 18 Aug 2050 02:01:18 GMT",
      "Thu, 18  Aug 2050 02:01:18 GMT",
      "Thu, 18-Aug-2050 02:01:18 GMT",
      "Thu, 18 Aug 2050 2:01:18 GMT",
      "Thu, 18 Aug 2050 02.01.18 GMT",
      "Thu, 18 Aug 2050 25:01:18 GMT",
    ]) {
      expect([text, parseHttpDate(text, NOW)]).toEqual([text, null]);
    }
  });

  it("are the instants that they were written for", () => {
    const most = Date.UTC(9999, 11, 31);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: most / 1000 }), (seconds) => {
        const text = new Date(seconds * 1000).toUTCString();
        expect(parseHttpDate(text, NOW)).toBe(seconds * 1000);
      }),
    );
  });
});

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
    expect(normalisedEncoding(null)).toBe(null);
  });
});

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

describe("what frontends keep of one key", () => {
  const variant = (id: number, requestedAt: number, foo: string): Variant => ({
    status: 200,
    fields: [["Vary", "foo"]],
    selection: { names: ["foo"], values: [foo] },
    requestedAt,
    respondedAt: requestedAt + 1,
    freshness: freshness({ answered: cc("max-age=60") }),
    tags: [`t${id}`],
    body: { length: 1, bytes: new Uint8Array([id]), version: `v${id}`, pieceBytes: 1 },
  });
  const some = fc.record({
    variants: fc.array(
      fc
        .tuple(fc.nat(3), fc.nat(9), fc.constantFrom("a", "b", "c"))
        .map(([id, time, foo]) => variant(id, time, foo)),
      { maxLength: 4 },
    ),
    purgedAt: fc.nat(5),
    stalesAt: fc.nat(5),
  });
  const stored = some.map(
    (parts): Stored => joinStored({ ...emptyStored("k"), ...parts }, emptyStored("k")),
  );

  it("is joined in any order to the same", () => {
    fc.assert(
      fc.property(stored, stored, stored, (a, b, c) => {
        expect(joinStored(a, b)).toEqual(joinStored(b, a));
        expect(joinStored(joinStored(a, b), c)).toEqual(joinStored(a, joinStored(b, c)));
        expect(joinStored(a, a)).toEqual(a);
      }),
    );
  });

  it("never holds what was asked for before a purge, nor two answers to one selection", () => {
    fc.assert(
      fc.property(stored, stored, (a, b) => {
        const { variants, purgedAt } = joinStored(a, b);
        expect(variants.every(({ requestedAt }) => requestedAt > purgedAt)).toBe(true);
        const foos = variants.map(({ selection }) => selection.values[0]);
        expect(new Set(foos).size).toBe(foos.length);
      }),
    );
  });

  it("holds so many variants and no more, the newest", () => {
    let all = emptyStored("k");
    for (let i = 1; i <= VARIANTS_COUNT_MAX + 5; i++) {
      all = joinStored(all, { ...emptyStored("k"), variants: [variant(1, i, `foo${i}`)] });
    }
    expect(all.variants).toHaveLength(VARIANTS_COUNT_MAX);
    expect(all.variants.at(-1)?.requestedAt).toBe(6);
    const large = (id: number): Variant => {
      const body = { length: 4e5, bytes: new Uint8Array(4e5), version: `v${id}`, pieceBytes: 1 };
      return { ...variant(1, id, `foo${id}`), body };
    };
    for (const id of [101, 102, 103]) {
      all = joinStored(all, { ...emptyStored("k"), variants: [large(id)] });
    }
    const sum = all.variants.reduce((bytes, { body }) => bytes + (body.bytes?.length ?? 0), 0);
    expect(sum).toBeLessThanOrEqual(INLINE_SUM_BYTES_MAX);
    expect(all.variants[0]?.requestedAt).toBe(103);
  });

  it("comes back from its bytes as it was", () => {
    fc.assert(
      fc.property(stored, (a) => {
        expect(decodeStored(encodeStored(a))).toEqual(a);
      }),
    );
  });
});
