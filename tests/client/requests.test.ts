import { describe, expect, it } from "vitest";
import { StarlingClient } from "../../src/client/index.ts";
import { FakeServer, found, nothing, problem, stored } from "./fake-server.ts";

describe("a request of the client", () => {
  it("has the key in its path, the token, and the options by the contract's names", async () => {
    const server = new FakeServer(found("v"), found("v"));
    const cache = server.client({
      url: "http://one.example/",
      token: "secret",
      defaults: { r: 1, sloppy: false, timeoutMs: 250 },
    });
    await cache.get("a b/ü?", { consistency: "strict", notfoundOk: false, timeoutMs: 9 });
    const [asked] = server.asked;
    expect(asked?.url).toBe(
      "http://one.example/v1/kv/demo/a%20b/%C3%BC%3F?notfound_ok=false&timeout=9&consistency=strict",
    );
    expect(asked?.headers.get("starling-quorum")).toBe("r=1, sloppy=?0, timeout=250");
    expect(asked?.headers.get("authorization")).toBe("Bearer secret");
    await cache.get("a/../b");
    expect(server.asked[1]?.url).toBe("http://one.example/v1/kv/demo/a%2F..%2Fb");
  });

  it("asks for a bound of staleness, by each way, and reads what was proven", async () => {
    const headers = "n=3, r=1, answered=1, primaries=1, fallbacks=0, stale-bound=1.2, stale-w=2";
    const answer = found("v");
    answer.headers.set("Starling-Quorum", headers);
    const server = new FakeServer(answer);
    const cache = server.client({ defaults: { maxStale: 1.5, staleW: 2 } });
    const got = await cache.get("k", { maxStale: 0.25 });
    const [asked] = server.asked;
    expect(asked?.url).toContain("?max_stale=0.25");
    expect(asked?.headers.get("starling-quorum")).toBe("max_stale=1.5, stale_w=2");
    expect(got.quorum).toMatchObject({ staleBound: 1.2, staleW: 2 });
  });

  it("is not sent for a key that no URL can carry, or to a url that is none", async () => {
    const server = new FakeServer();
    for (const key of [".", "..", "\ud800"]) {
      await expect(server.client().get(key)).rejects.toBeInstanceOf(RangeError);
    }
    expect(server.asked).toEqual([]);
    for (const url of [[], "example.com", "ftp://x", ["http://x", ""]]) {
      expect(() => new StarlingClient({ url, namespace: "demo" })).toThrow(RangeError);
    }
  });

  it("carries what is stored with the value, metadata in ASCII", async () => {
    const server = new FakeServer(stored(201));
    const metadata = { by: "Zoë 🐦" };
    const put = { ttl: 1.5, metadata, contentType: "text/css", tags: ["a", "b"], ifMatch: '"e"' };
    const written = await server.client().put("k", "body{}", { ...put, context: "c" });
    const { url, headers, body } = server.asked[0] as (typeof server.asked)[number];
    expect(url).toBe("http://one.example/v1/kv/demo/k?ttl=1.5");
    const sent = headers.get("starling-metadata") ?? "";
    expect(sent).toMatch(/^[ -~]+$/);
    expect(JSON.parse(sent)).toEqual(metadata);
    const named = ["content-type", "cache-tag", "if-match", "starling-context"];
    expect(named.map((name) => headers.get(name))).toEqual(["text/css", "a,b", '"e"', "c"]);
    expect(body).toBe("body{}");
    expect(written).toMatchObject({ created: true, etag: '"e2"', context: "c2", siblings: 1 });
  });
});

describe("an answer", () => {
  it("is told with all that describes it", async () => {
    const server = new FakeServer(
      found('{"a":1}', {
        "Content-Type": "application/json",
        "Starling-Metadata": '{"by":"\\u00fc"}',
        "Starling-Siblings": "3",
        "Starling-Quorum": "n=3, r=2, answered=2, primaries=1, fallbacks=1",
        "Starling-TTL": "10",
        Date: "Thu, 01 Jan 2026 00:00:00 GMT",
        "Last-Modified": "Wed, 31 Dec 2025 23:59:00 GMT",
      }),
    );
    const got = await server.client().get("k");
    expect(got).toMatchObject({
      exists: true,
      isUnchanged: false,
      context: "c1",
      etag: '"e1"',
      siblings: 3,
      contentType: "application/json",
      metadata: { by: "ü" },
      expiresAt: new Date("2026-01-01T00:00:10Z"),
      lastModified: new Date("2025-12-31T23:59:00Z"),
      quorum: { n: 3, r: 2, answered: 2, primaries: 1, fallbacks: 1 },
    });
    expect(await got.json()).toEqual({ a: 1 });
    await expect(got.text()).rejects.toThrow("read before");
  });

  it("of nothing still has a context, and is null in every form", async () => {
    const got = await new FakeServer(nothing("c9")).client().get("k");
    expect(got).toMatchObject({ exists: false, context: "c9", siblings: 0, etag: null });
    expect([await got.bytes(), await got.text(), await got.json(), got.stream()]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  it("says when it expires to the millisecond, whatever caches on the way may do", async () => {
    const headers = {
      "Cache-Control": "no-cache",
      "Starling-TTL": "10.25",
      Date: "Thu, 01 Jan 2026 00:00:00 GMT",
    };
    const got = await new FakeServer(found("v", headers)).client().get("k");
    expect(got.expiresAt).toEqual(new Date("2026-01-01T00:00:10.250Z"));
  });

  it("that is unchanged says so, without a value", async () => {
    const headers = { "Starling-Context": "c1", ETag: '"e1"' };
    const server = new FakeServer(new Response(null, { status: 304, headers }));
    const got = await server.client().get("k", { ifNoneMatch: '"e1"' });
    expect(server.asked[0]?.headers.get("if-none-match")).toBe('"e1"');
    expect(got).toMatchObject({ exists: true, isUnchanged: true, etag: '"e1"' });
    expect(await got.text()).toBeNull();
  });

  it("that is not Starling's is never taken for success, nor a 404 for nothing", async () => {
    const page = (status: number): Response =>
      new Response(status === 204 ? null : "<h1>Log in</h1>", { status });
    const location = { Location: "http://login.example/" };
    const redirect = new Response(null, { status: 302, headers: location });
    for (const answer of [page(200), page(404), redirect]) {
      const reading = new FakeServer(answer).client().get("k");
      await expect(reading).rejects.toMatchObject({ code: "unexpected-answer", outcome: "no" });
    }
    for (const status of [200, 204]) {
      const writing = new FakeServer(page(status)).client().put("k", "v");
      await expect(writing).rejects.toMatchObject({
        code: "unexpected-answer",
        outcome: "unknown",
      });
    }
    const noRoute = new FakeServer(problem(404, "no-such-route")).client().get("k");
    await expect(noRoute).rejects.toMatchObject({ code: "no-such-route", status: 404 });
  });

  it("that is a problem becomes an error with its members", async () => {
    const extras = { required: 2, achieved: 1 };
    const answer = problem(503, "quorum-unavailable", {}, extras);
    const writing = new FakeServer(answer).client().put("k", "v");
    await expect(writing).rejects.toMatchObject({
      name: "StarlingError",
      code: "quorum-unavailable",
      status: 503,
      detail: "because of quorum-unavailable",
      ...extras,
      outcome: "unknown",
      message: expect.stringContaining("may have happened"),
    });
    const refused = problem(400, "invalid-option", {}, { option: "w", limit: 3 });
    await expect(new FakeServer(refused).client().put("k", "v")).rejects.toMatchObject({
      code: "invalid-option",
      option: "w",
      limit: 3,
      outcome: "no",
    });
  });

  it("that breaks off is an error, not a short value", async () => {
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new TypeError("terminated")),
    });
    const headers = { "Starling-Context": "c" };
    const got = await new FakeServer(new Response(broken, { headers })).client().get("k");
    await expect(got.text()).rejects.toMatchObject({ code: "no-answer", name: "StarlingError" });
  });
});

describe("a listing", () => {
  it("follows the cursor through empty pages to the end", async () => {
    const page = (body: unknown): Response => Response.json(body);
    const server = new FakeServer(
      page({ keys: [{ name: "a", expiration: 1_900_000_000 }], list_complete: false, cursor: "1" }),
      page({ keys: [], list_complete: false, cursor: "2" }),
      page({ keys: [{ name: "b", metadata: { x: 1 } }], list_complete: true }),
    );
    const names: unknown[] = [];
    for await (const key of server.client().list({ prefix: "p/", limit: 1 })) names.push(key);
    expect(names).toEqual([
      { name: "a", expiresAt: new Date(1_900_000_000_000), metadata: null },
      { name: "b", expiresAt: null, metadata: { x: 1 } },
    ]);
    expect(server.asked.map(({ url }) => new URL(url).search)).toEqual([
      "?prefix=p%2F&limit=1",
      "?prefix=p%2F&limit=1&cursor=1",
      "?prefix=p%2F&limit=1&cursor=2",
    ]);
  });
});

describe("a batch", () => {
  it("says of each op what became of it", async () => {
    const results = [
      { key: "a", status: 200, context: "ca", etag: '"a"', value: btoa("one"), siblings: 2 },
      { key: "b", status: 404, code: "not-found", context: "cb" },
      { key: "c", status: 201, context: "cc", etag: '"c"' },
      { key: "d", status: 504, code: "quorum-timeout", detail: "silence", required: 2 },
    ];
    const server = new FakeServer(Response.json({ results }, { status: 207 }));
    const [a, b, c, d] = await server.client().batch([
      { op: "get", key: "a" },
      { op: "get", key: "b" },
      { op: "put", key: "c", value: "ü", ttl: 3 },
      { op: "delete", key: "d" },
    ]);
    expect([a?.version?.text(), a?.siblings, a?.error]).toEqual(["one", 2, null]);
    expect(b).toMatchObject({ version: null, error: null, context: "cb", siblings: 0 });
    expect(c).toMatchObject({ error: null, etag: '"c"' });
    expect(d?.error).toMatchObject({ code: "quorum-timeout", outcome: "unknown", required: 2 });
    const sent = JSON.parse(String(server.asked[0]?.body)) as { ops: unknown[] };
    expect(sent.ops[2]).toEqual({ op: "put", key: "c", value: "w7w=", ttl: 3 });
  });

  it("is an error as a whole when a result is missing", async () => {
    const server = new FakeServer(Response.json({ results: [] }, { status: 207 }));
    const batch = server.client().batch([{ op: "delete", key: "a" }]);
    await expect(batch).rejects.toMatchObject({ outcome: "unknown" });
  });
});
