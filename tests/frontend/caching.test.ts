import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { content as codec } from "../../core/message-values.ts";
import { readWriterControl } from "../../src/frontend/http/caching.ts";
import { plainContent } from "../support/content.ts";
import { makeApp, problemOf, type TestApp } from "./support.ts";

const KEY = "/v1/kv/ns/k";
const VARY = "Accept, Starling-Context, Starling-Quorum";
const stored = (cacheControl: string): Record<string, string> => ({
  "Cache-Control": cacheControl,
});

/** What an answer to a GET tells caches. */
async function saidBy(app: TestApp, target = KEY, headers = {}): Promise<string | null> {
  const answer = await app.get(target, headers);
  expect(answer.headers.get("Age")).toBeNull();
  expect(answer.headers.get("Vary")).toBe(VARY);
  return answer.headers.get("Cache-Control");
}

describe("Cache-Control of a PUT (RFC 9111, 5.2)", () => {
  it.each<[string | null, number | null, [number, number] | null]>([
    [null, null, null],
    ["max-age=60", 60, [60, 0]],
    ["public, MAX-AGE=60", 60, [60, 0]],
    ["max-age=60, s-maxage=5", 5, [60, 5]],
    ['max-age="7"', 7, [7, 0]],
    ["max-age=0", null, null],
    ["max-age=0, s-maxage=9", 9, [0, 9]],
    ["no-store", null, null],
    ["max-age=-1", null, null],
    ["max-age=1.5", null, null],
    ["x-max-age=5", null, null],
    ["max-age", null, null],
    ["max-age=99999999999999999999", 315_360_000, [315_360_000, 0]],
    ['ext="a, max-age=5, \\" s-maxage=0", max-age=8', 8, [8, 0]],
    ["max-age=3, max-age=9", 3, [3, 0]],
    [" , ,max-age=4 ,", 4, [4, 0]],
    ['ext="never closed, max-age=5', null, null],
    ["max-age = 5", null, null],
    ["private, max-age=60", 60, null],
    ["no-cache, s-maxage=60", 60, null],
    ['private="Set-Cookie", max-age=60', 60, null],
    ["max-age=60, no-store", 60, null],
  ])("%s", (header, ttlSeconds, life) => {
    const [maxAge, sharedMaxAge] = life ?? [];
    const expected = { ttlSeconds, life: life === null ? null : { maxAge, sharedMaxAge } };
    expect(readWriterControl(header)).toEqual(expected);
  });

  it("cannot ask for no life at all", async () => {
    const app = await makeApp();
    for (const [target, control] of [
      [KEY, "s-maxage=0"],
      [KEY, "max-age=60, s-maxage=0"],
      [`${KEY}?ttl=5`, "s-maxage=0"],
      [`${KEY}?ttl=0`, ""],
    ] as const) {
      const answer = await app.put(target, "v", stored(control));
      expect([answer.status, (await problemOf(answer)).code]).toEqual([400, "invalid-option"]);
    }
    expect((await app.get(KEY, stored("s-maxage=0"))).status).toBe(404);
  });

  it.each([
    ["", "s-maxage=5, max-age=60", 5],
    ["", "max-age=60", 60],
    ["?ttl=7", "s-maxage=5, max-age=60", 7],
    ["", "max-age=0", 0],
  ])("sets the TTL where nothing before it does: %s %s", async (query, control, seconds) => {
    const app = await makeApp();
    await app.put(KEY + query, "v", stored(control));
    expect(app.backend.last).toMatchObject({ ttlMs: seconds * 1000 });
  });
});

describe("what a cache in front is told of a value", () => {
  it("is to ask each time, where its writer said nothing of caches", async () => {
    const app = await makeApp();
    await app.put(KEY, "v");
    expect(await saidBy(app)).toBe("no-cache");
    await app.put(`${KEY}?ttl=1000`, "v");
    expect(await saidBy(app)).toBe("no-cache");
    expect((await app.get(KEY)).headers.get("Starling-TTL")).toBe("1000");
  });

  it("is what is left of what its writer gave, under the same names", async () => {
    const app = await makeApp();
    await app.put(KEY, "v", stored("max-age=100, s-maxage=40"));
    expect(await saidBy(app)).toBe("max-age=40, s-maxage=40");
    await app.put(`${KEY}?ttl=90`, "v", stored("max-age=100, s-maxage=40"));
    expect(await saidBy(app)).toBe("max-age=90, s-maxage=40");
    app.backend.nowMs += 30_500;
    expect(await saidBy(app)).toBe("max-age=59, s-maxage=9");
    app.backend.nowMs += 20_000;
    expect(await saidBy(app)).toBe("max-age=39, s-maxage=0");
  });

  it("is to ask each time when nothing of it is left", async () => {
    const app = await makeApp();
    await app.put(`${KEY}?ttl=1000`, "v", stored("max-age=10"));
    app.backend.nowMs += 10_000;
    expect(await saidBy(app)).toBe("no-cache");
  });

  it("is the same for a part of it, for HEAD, and for whoever has it already", async () => {
    const app = await makeApp();
    const put = await app.put(KEY, "value", stored("max-age=100"));
    const etag = put.headers.get("ETag") ?? "";
    expect(put.headers.get("Cache-Control")).toBe("no-cache");
    for (const [status, init] of [
      [206, { headers: { Range: "bytes=0-1" } }],
      [304, { headers: { "If-None-Match": etag } }],
      [200, { method: "HEAD" }],
    ] as const) {
      const answer = await app.call("method" in init ? init.method : "GET", KEY, init);
      expect([answer.status, answer.headers.get("Cache-Control")]).toEqual([status, "max-age=100"]);
    }
  });

  it("is to ask each time where the reader wants more than a kept answer can give", async () => {
    const app = await makeApp();
    const put = await app.put(KEY, "v", stored("max-age=100"));
    const context = { "Starling-Context": put.headers.get("Starling-Context") ?? "" };
    expect(await saidBy(app, KEY, context)).toBe("no-cache");
    for (const query of ["r=3", "r=all", "consistency=all", "consistency=strict", "pr=1"]) {
      expect(await saidBy(app, `${KEY}?${query}`), query).toBe("no-cache");
      const header = { "Starling-Quorum": query };
      expect(await saidBy(app, KEY, header), query).toBe("no-cache");
    }
    for (const query of ["r=1", "r=2", "consistency=quorum", "timeout=100"]) {
      expect(await saidBy(app, `${KEY}?${query}`), query).toBe("max-age=100");
    }
  });

  it("is to ask each time where there are siblings, all of them shown or not", async () => {
    const app = await makeApp();
    const base = (await app.put(KEY, "1")).headers.get("Starling-Context") ?? "";
    for (const value of ["2", "3"]) {
      await app.put(KEY, value, { "Starling-Context": base, ...stored("max-age=100") });
    }
    expect(await saidBy(app)).toBe("no-cache");
    expect(await saidBy(app, `${KEY}?siblings=all`)).toBe("no-cache");
  });

  it("is to ask each time where there is nothing", async () => {
    const app = await makeApp();
    expect(await saidBy(app)).toBe("no-cache");
    await app.put(KEY, "v", stored("max-age=100"));
    const gone = await app.call("DELETE", KEY);
    expect(gone.headers.get("Cache-Control")).toBe("no-cache");
    expect(await saidBy(app)).toBe("no-cache");
  });
});

describe("what is no value", () => {
  it.each([
    ["GET", `${KEY}?color=red`, "no-store"],
    ["GET", "/v1/nowhere", "no-store"],
    ["PATCH", KEY, "no-store"],
    ["GET", "/v1/namespaces", "no-store"],
    ["GET", "/v1/namespaces/ns", "no-store"],
    ["GET", "/v1/cluster", "no-store"],
    ["GET", "/v1/cluster/ring", "no-store"],
    ["GET", "/metrics", "no-store"],
    ["GET", "/healthz", "no-store"],
    ["GET", "/v1/kv/ns", "no-cache"],
  ])("is kept by nobody: %s %s", async (method, target, said) => {
    const app = await makeApp();
    expect((await app.call(method, target)).headers.get("Cache-Control")).toBe(said);
  });
});

describe("what the writer gave", () => {
  const dot = { actor: "actor000", counter: 1 };
  const sibling = { dot, time: 1024, op: "op", expiresAt: 0 };
  const context = CausalContext.empty.with(dot);
  const entryOf = (content: ReturnType<typeof plainContent>) => ({
    context,
    siblings: [{ ...sibling, content }],
    retries: [],
  });

  it("is stored and sent with the value, and costs nothing where there is none", () => {
    const plain = plainContent("v");
    const withLife = { ...plain, cacheLife: { maxAge: 60, sharedMaxAge: 0 } };
    for (const content of [plain, withLife]) {
      expect(decodeEntry(encodeEntry(entryOf(content), null)).entry).toEqual(entryOf(content));
      expect(codec.decode(codec.encode(content))).toEqual(content);
    }
    const parts = codec.encode(plain) as readonly unknown[];
    expect(parts).toHaveLength(7);
    expect(() => codec.decode([...parts, 1])).toThrow(CodecError);
    expect(() => codec.decode([...parts, 1, -1])).toThrow(CodecError);
  });
});
