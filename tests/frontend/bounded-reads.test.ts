/** Reads with `max_stale`, as HTTP has them: the options, and what an answer says was proven. */
import { describe, expect, it } from "vitest";
import { makeApp, type TestApp } from "./support.ts";

const KEY = "/v1/kv/ns/k";

async function proven(staleBoundMs: number, staleW = 1): Promise<TestApp> {
  const app = await makeApp();
  await app.call("PUT", KEY, { body: "v" });
  app.backend.bound = { staleBoundMs, staleW };
  return app;
}

const optionsOf = (app: TestApp): unknown => {
  const { last } = app.backend;
  return last !== undefined && "options" in last ? last.options : null;
};

describe("a read with max_stale", () => {
  it.each(["GET", "HEAD"])("of %s hands the bound on and says what was proven", async (method) => {
    const app = await proven(1234.5);
    const answer = await app.call(method, `${KEY}?max_stale=2.5&stale_w=1`);
    expect(answer.status).toBe(200);
    expect(optionsOf(app)).toEqual({ maxStaleMs: 2500, staleW: 1 });
    expect(answer.headers.get("starling-quorum")).toMatch(/, stale-bound=1\.235, stale-w=1$/);
  });

  it.each([
    [0, "0.0"],
    [1, "0.001"],
    [100, "0.1"],
    [5000, "5.0"],
    [1200, "1.2"],
    [1_020_000, "1020.0"],
  ])("writes %i ms as a decimal: %s", async (ms, text) => {
    const app = await proven(ms);
    const answer = await app.get(`${KEY}?max_stale=5`);
    expect(answer.headers.get("starling-quorum")).toContain(`stale-bound=${text}, `);
  });

  it("says so beside nothing, beside what has not changed, and in a batch", async () => {
    const app = await proven(250, 2);
    const nothing = await app.get("/v1/kv/ns/none?max_stale=1");
    expect(nothing.status).toBe(404);
    expect(nothing.headers.get("starling-quorum")).toContain("stale-bound=0.25, stale-w=2");
    const tag = (await app.get(`${KEY}?max_stale=1`)).headers.get("etag") ?? "";
    const headers = { "If-None-Match": tag };
    const unchanged = await app.call("GET", `${KEY}?max_stale=1`, { headers });
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers.get("starling-quorum")).toContain("stale-bound=0.25");
    const ops = ["k", "none"].map((key) => ({ op: "get", key }));
    const body = JSON.stringify({ ops });
    const batch = await app.call("POST", "/v1/kv/ns:batch?max_stale=1", { body });
    const { results } = (await batch.json()) as { results: unknown };
    expect(results).toMatchObject([
      { status: 200, staleBound: 0.25, staleW: 2 },
      { status: 404, staleBound: 0.25, staleW: 2 },
    ]);
  });

  it("is never answered from a cache between", async () => {
    const app = await proven(100);
    const headers = { "Cache-Control": "max-age=60" };
    await app.call("PUT", KEY, { body: "v", headers });
    expect((await app.get(KEY)).headers.get("cache-control")).toContain("max-age=60");
    const bounded = await app.get(`${KEY}?max_stale=1`);
    expect(bounded.headers.get("cache-control")).toBe("no-cache");
  });

  it("is refused where the number is none, out of its range, or where nobody proves it", async () => {
    const app = await makeApp();
    for (const [path, option] of [
      [`${KEY}?max_stale=soon`, "max_stale"],
      [`${KEY}?max_stale=315360001`, "max_stale"],
      [`${KEY}?max_stale=1&stale_w=4`, "stale_w"],
      [`${KEY}?stale_w=0`, "stale_w"],
      ["/v1/kv/ns?max_stale=1", "max_stale"],
    ] as const) {
      const answer = await app.get(path);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ code: "invalid-option", option });
    }
  });

  it("is a 503 that may be asked again when no replica can prove it", async () => {
    const app = await makeApp();
    app.backend.failure = { code: "staleness-unproven", detail: "nobody knows" };
    const answer = await app.get(`${KEY}?max_stale=1`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(await answer.json()).toMatchObject({ code: "staleness-unproven", status: 503 });
  });
});
