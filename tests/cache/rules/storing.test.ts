/** What may be stored: RFC 9111, 3. */
import { describe, expect, it } from "vitest";
import { saidBy } from "../../../src/cache/directives.ts";
import { endToEnd, type Fields } from "../../../src/cache/fields.ts";
import { judge, storedFields } from "../../../src/cache/storing.ts";
import { at, cc, exchangeOf, refusal } from "./exchange.ts";

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
