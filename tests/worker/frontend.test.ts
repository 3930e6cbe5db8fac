import { createExecutionContext, SELF, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { describe, expect, it, vi } from "vitest";
import type { Env } from "../../worker/config.ts";
import { env } from "./support.ts";

const base = "http://localhost";

/** A Worker that has just been deployed: no isolate of it has served anything yet. */
async function freshWorker(changes: Partial<Record<keyof Env, string | undefined>>) {
  vi.resetModules();
  const { default: worker } = await import("../../worker/index.ts");
  return async (path: string, init: RequestInit = {}): Promise<Response> => {
    const ctx = createExecutionContext();
    const request = new Request(`${base}${path}`, init) as Parameters<typeof worker.fetch>[0];
    const answer = await worker.fetch(request, { ...env, ...changes } as Env, ctx);
    await waitOnExecutionContext(ctx);
    return answer;
  };
}

describe("the Worker", () => {
  it("stores, reads and deletes through its Durable Objects", async () => {
    const url = `${base}/v1/kv/worker/a%2Fb`;
    expect((await SELF.fetch(url, { method: "PUT", body: "one" })).status).toBe(201);
    const got = await SELF.fetch(url);
    expect(await got.text()).toBe("one");
    expect(got.headers.get("starling-quorum")).toMatch(/^n=3, r=2, answered=2, primaries=2/);
    expect((await SELF.fetch(url, { method: "DELETE" })).status).toBe(204);
    const gone = await SELF.fetch(url);
    expect(gone.status).toBe(404);
    await gone.text();
  });

  it("keeps concurrent writes apart", async () => {
    const url = `${base}/v1/kv/worker/siblings`;
    const empty = (await SELF.fetch(url)).headers.get("starling-context") ?? "";
    for (const body of ["red", "blue"]) {
      await SELF.fetch(url, { method: "PUT", body, headers: { "Starling-Context": empty } });
    }
    const headers = { Accept: "application/json" };
    const all = await SELF.fetch(`${url}?siblings=all`, { headers });
    expect(all.status).toBe(300);
    const { siblings } = (await all.json()) as { siblings: { value: string }[] };
    expect(siblings.map(({ value }) => atob(value)).sort()).toEqual(["blue", "red"]);
  });

  it("stores a value of the greatest size", async () => {
    const url = `${base}/v1/kv/worker/large`;
    const body = new Uint8Array(1_048_576).fill(7);
    expect((await SELF.fetch(url, { method: "PUT", body })).status).toBe(201);
    const got = new Uint8Array(await (await SELF.fetch(url)).arrayBuffer());
    expect(got.length).toBe(body.length);
    expect(got.every((byte) => byte === 7)).toBe(true);
  });

  it("tells with its calls what it answered, and any frontend says it of all", async () => {
    interface Told {
      readonly traffic: { readonly reads: number; readonly writes: number } | null;
    }
    const total = async (): Promise<{ readonly reads: number; readonly writes: number }> => {
      const answer = await SELF.fetch(`${base}/v1/cluster`);
      const { members } = (await answer.json()) as { members: readonly Told[] };
      const sum = (kind: "reads" | "writes"): number =>
        members.reduce((all, { traffic }) => all + (traffic?.[kind] ?? 0), 0);
      return { reads: sum("reads"), writes: sum("writes") };
    };
    // What the isolate has answered by now comes with this call, and is seen by the next.
    await total();
    const before = await total();
    for (let i = 0; i < 7; i++) await (await SELF.fetch(`${base}/v1/kv/worker/told`)).text();
    await SELF.fetch(`${base}/v1/kv/worker/told`, { method: "PUT", body: "v" });
    await total();
    const after = await total();
    expect(after).toEqual({ reads: before.reads + 7, writes: before.writes + 1 });
  });

  it("refuses a strange Host on loopback", async () => {
    const answer = await SELF.fetch("http://evil.example/v1/kv/worker/a");
    expect(answer.status).toBe(421);
    await answer.text();
  });
});

describe("a Worker with routes of its own", () => {
  it("has the whole of it below a path, as docs/package.md mounts it", async () => {
    const { default: starling } = await import("../../worker/index.ts");
    const app = new Hono();
    app.get("/", (call) => call.text("mine"));
    app.mount("/cache", starling.fetch);
    const ask = async (path: string, init: RequestInit = {}): Promise<[number, string]> => {
      const ctx = createExecutionContext();
      const answer = await app.fetch(new Request(base + path, init), env, ctx);
      const said = await answer.text();
      await waitOnExecutionContext(ctx);
      return [answer.status, said];
    };
    expect(await ask("/")).toEqual([200, "mine"]);
    const put = { method: "PUT", body: "v" };
    expect(await ask("/cache/v1/kv/mounted/a%2Fb", put)).toEqual([201, ""]);
    expect(await ask("/cache/v1/kv/mounted/a/b")).toEqual([200, "v"]);
    expect((await ask("/v1/kv/mounted/a/b"))[0]).toBe(404);
    // hono cuts the path before it hands the request on: nobody inside knows what stood there.
    for (const path of ["/cache/", "/cache/ui/"]) {
      const request = new Request(base + path, { headers: { Accept: "text/html" } });
      const answer = await app.fetch(request, env, createExecutionContext());
      const { pathname } = new URL(answer.headers.get("Location") ?? "", request.url);
      expect([path, pathname]).toEqual([path, "/cache/ui"]);
    }
    expect((await ask("/cache/ui"))[0]).toBe(200);
  });
});

describe("a deployed Worker", () => {
  const code = async (answer: Response): Promise<[number, string, string]> => {
    const { code, detail } = (await answer.json()) as { code: string; detail: string };
    return [answer.status, code, detail];
  };

  it("refuses to serve without a secret", async () => {
    for (const secret of [undefined, "short"]) {
      const ask = await freshWorker({ STARLING_SECRET: secret });
      const [status, name, detail] = await code(await ask("/v1/kv/worker/a"));
      expect([status, name]).toEqual([503, "not-configured"]);
      expect(detail).toContain("wrangler secret put STARLING_SECRET");
      expect(detail).toContain("for wrangler dev a line STARLING_SECRET=");
    }
  });

  it("says what its configuration lacks for it to reach its objects", async () => {
    const { REPLICAS } = env;
    // A stub before 2024-04-03: no method of the object is one of it.
    const noMethods = { idFromName: REPLICAS.idFromName.bind(REPLICAS), get: () => ({}) };
    const lacks = [
      [undefined, "[[durable_objects.bindings]]"],
      [noMethods, "compatibility_date"],
    ] as const;
    for (const [given, mend] of lacks) {
      const changes = { REPLICAS: given } as unknown as Parameters<typeof freshWorker>[0];
      const ask = await freshWorker(changes);
      const [status, name, detail] = await code(await ask("/v1/kv/worker/k"));
      expect([status, name]).toEqual([503, "not-configured"]);
      expect(detail).toContain(mend);
    }
  });

  it("takes contexts of two secrets while one gives way to the other, and keeps ETags", async () => {
    const first = env.STARLING_SECRET as string;
    const next = { STARLING_SECRET: "the secret that comes next", STARLING_DATA_SECRET: first };
    const path = "/v1/kv/worker/rotated";
    const ask = await freshWorker({});
    expect((await ask(path, { method: "PUT", body: "v" })).status).toBe(201);
    const put = async (by: typeof ask, context: string): Promise<[number, string]> => {
      const headers = { "Starling-Context": context };
      const answer = await by(path, { method: "PUT", body: "v", headers });
      return [answer.status, answer.headers.get("starling-context") ?? ""];
    };
    const seen = await ask(path);
    const [etag, old] = ["etag", "starling-context"].map((name) => seen.headers.get(name) ?? "");
    const between = await freshWorker({ ...next, STARLING_SECRET_OLD: first });
    const again = await between(path);
    expect([again.status, again.headers.get("etag")]).toEqual([200, etag]);
    const [status, renewed] = await put(between, old as string);
    expect(status).toBe(204);
    const after = await freshWorker(next);
    expect((await put(after, old as string))[0]).toBe(400);
    expect((await put(after, renewed))[0]).toBe(204);
  });

  it("refuses a second secret that is too short", async () => {
    const ask = await freshWorker({ STARLING_SECRET_OLD: "short" });
    const [status, name, detail] = await code(await ask("/v1/kv/worker/a"));
    expect([status, name]).toEqual([503, "not-configured"]);
    expect(detail).toContain("STARLING_SECRET_OLD has fewer than 16 characters");
  });

  it("answers 401 to data and cluster routes until tokens are set", async () => {
    const ask = await freshWorker({ STARLING_OPEN_ON_LOOPBACK: undefined });
    for (const path of ["/v1/kv/worker/a", "/v1/cluster", "/v1/cluster/ring", "/metrics"]) {
      const answer = await ask(path);
      expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
      expect((await code(answer)).slice(0, 2)).toEqual([401, "unauthorized"]);
    }
    expect((await ask("/healthz")).status).toBe(200);
  });

  // Objects are not asked here: to them a fresh Worker is new code, which ends them first.
  it("takes the tokens of its secret", async () => {
    const tokens = [
      { token: "a-read-token-of-tests", role: "read" },
      { token: "an-admin-token-of-tests", role: "admin" },
    ];
    const STARLING_TOKENS = JSON.stringify({ tokens });
    const ask = await freshWorker({ STARLING_OPEN_ON_LOOPBACK: undefined, STARLING_TOKENS });
    const as = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
    const put = { method: "PUT", body: "x" };
    const reader = as("a-read-token-of-tests");
    expect((await ask("/v1/kv/worker/none", { ...reader, ...put })).status).toBe(403);
    expect((await ask("/v1/cluster/ring", reader)).status).toBe(403);
    expect((await ask("/v1/cluster/ring", as("an-admin-token-of-tests"))).status).toBe(200);
    expect((await ask("/v1/cluster/ring", as("a-wrong-token-of-tests"))).status).toBe(401);
  });

  it.each([
    [{ STARLING_REPLICAS: "" }, "members[0]"],
    [{ STARLING_REPLICAS: "r1:weur,r1:enam" }, "r1"],
    [{ STARLING_N: "6" }, '"n"'],
    [{ STARLING_PARTITIONS: "100" }, '"partitions"'],
    [{ STARLING_TIMEOUT_MS: "soon" }, "requestTimeoutMs"],
    [{ STARLING_TOKENS: "{" }, "STARLING_TOKENS"],
  ])("says what is wrong with %o", async (changes, named) => {
    const ask = await freshWorker(changes);
    const [status, name, detail] = await code(await ask("/v1/kv/worker/a"));
    expect([status, name]).toEqual([503, "not-configured"]);
    expect(detail).toContain(named);
  });
});
