import { describe, expect, it } from "vitest";
import { readTagList } from "../../src/frontend/http/conditions.ts";
import { httpDate, parseHttpDate } from "../../src/frontend/http/http-date.ts";
import { makeApp, problemOf } from "./support.ts";

const NOW = Date.UTC(2026, 5, 1);
const KEY = "/v1/kv/ns/k";
const list = (value: string): readonly string[] =>
  readTagList(new Headers({ "If-Match": value }), "If-Match");

describe("a date in a header (RFC 9110, 5.6.7)", () => {
  it.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Sunday, 06-Nov-94 08:49:37 GMT", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Sun Nov  6 08:49:37 1994", Date.UTC(1994, 10, 6, 8, 49, 37)],
    ["Wednesday, 01-Jan-75 00:00:00 GMT", Date.UTC(2075, 0, 1)],
    ["Thu, 29 Feb 2024 23:59:60 GMT", Date.UTC(2024, 2, 1)],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ])("is one: %s", (text, ms) => {
    expect(parseHttpDate(text, NOW)).toBe(ms);
  });

  it.each([
    "",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "1767225600",
    "tomorrow",
    "0",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "sun, 06 nov 1994 08:49:37 gmt",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
    "06 Nov 1994 08:49:37 GMT",
  ])("is none, and counts as not sent: %j", async (text) => {
    expect(parseHttpDate(text, NOW)).toBeNaN();
    const app = await makeApp();
    await app.put(KEY, "v");
    for (const name of ["If-Modified-Since", "If-Unmodified-Since"]) {
      expect((await app.get(KEY, { [name]: text })).status).toBe(200);
    }
    expect((await app.put(KEY, "w", { "If-Unmodified-Since": text })).status).toBe(204);
  });

  it("round-trips", () => {
    for (let ms = 0; ms < 3e12; ms += 86_399_000_000) {
      expect(parseHttpDate(httpDate(ms), NOW)).toBe(ms);
    }
  });
});

describe("If-Unmodified-Since on a write (RFC 9110, 13.1.4)", () => {
  it("refuses what would replace a later version, on PUT and DELETE", async () => {
    const app = await makeApp();
    const shown = (await app.put(KEY, "1")).headers.get("Last-Modified") ?? "";
    app.backend.nowMs += 2000;
    expect((await app.put(KEY, "2", { "If-Unmodified-Since": shown })).status).toBe(204);
    app.backend.nowMs += 2000;
    for (const method of ["PUT", "DELETE"]) {
      const headers = { "If-Unmodified-Since": shown };
      const answer = await app.call(method, KEY, { headers, body: method === "PUT" ? "3" : null });
      expect(answer.status).toBe(412);
      expect((await problemOf(answer)).code).toBe("precondition-failed");
    }
    expect(await (await app.get(KEY)).text()).toBe("2");
    const before = { "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT" };
    expect((await app.put(KEY, "3", before)).status).toBe(412);
  });

  it("says nothing where nothing is stored, nor beside If-Match", async () => {
    const app = await makeApp();
    const old = { "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT" };
    const answer = await app.put(KEY, "1", old);
    expect(answer.status).toBe(201);
    const ifMatch = { "If-Match": answer.headers.get("ETag") ?? "" };
    expect((await app.put(KEY, "2", { ...old, ...ifMatch })).status).toBe(204);
  });
});

describe("If-Range (RFC 9110, 13.1.5)", () => {
  it("takes an ETag and no date: two versions of one second have the same", async () => {
    const app = await makeApp();
    const put = await app.put(KEY, "0123456789");
    const range = { Range: "bytes=2-3" };
    const [etag, date] = ["ETag", "Last-Modified"].map((name) => put.headers.get(name) ?? "");
    expect((await app.get(KEY, { ...range, "If-Range": etag ?? "" })).status).toBe(206);
    for (const other of [date, `W/${etag}`, '"other"', "yesterday"]) {
      const answer = await app.get(KEY, { ...range, "If-Range": other ?? "" });
      expect([answer.status, await answer.text()]).toEqual([200, "0123456789"]);
    }
  });
});

describe("a list of entity tags (RFC 9110, 5.6.1.2)", () => {
  it.each([
    ['"a"', ['"a"']],
    ['"a", W/"b"', ['"a"', 'W/"b"']],
    [', "a",, "b" ,', ['"a"', '"b"']],
    ['"a,b"', ['"a,b"']],
    ["*", ["*"]],
  ])("may have empty members: %s", (value, tags) => {
    expect(list(value)).toEqual(tags);
  });

  it.each([",", "a", '"a" "b"', '"a', "*, *", '"a", b'])("is none: %s", (value) => {
    expect(() => list(value)).toThrow(/quoted entity tags/);
  });
});

describe("a PUT with Content-Range (RFC 9110, 14.5)", () => {
  it("is refused: what is stored is the whole value", async () => {
    const app = await makeApp();
    await app.put(KEY, "whole");
    const answer = await app.put(KEY, "part", { "Content-Range": "bytes 0-3/5" });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([400, "invalid-request"]);
    expect(await (await app.get(KEY)).text()).toBe("whole");
  });
});

describe("Last-Modified (RFC 9110, 8.8.2.1)", () => {
  it("is never later than Date, whatever the clock of the coordinator said", async () => {
    const app = await makeApp();
    app.backend.nowMs += 5000;
    await app.put(KEY, "v");
    app.backend.nowMs -= 5000;
    const { headers } = await app.get(KEY);
    expect(headers.get("Last-Modified")).toBe(headers.get("Date"));
  });
});
