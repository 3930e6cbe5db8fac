/** How long a response is fresh, and the dates that say so: RFC 9111, 4.2, and RFC 9110, 5.6.7. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { saidBy } from "../../../src/cache/directives.ts";
import type { Fields } from "../../../src/cache/fields.ts";
import { freshnessOf } from "../../../src/cache/freshness.ts";
import { parseHttpDate } from "../../../src/cache/http-date.ts";
import { at, cc, exchangeOf, freshness, lifetime, NOW } from "./exchange.ts";

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
