/** The cache door on Workers: which host is whose, and what the platform makes of a fetch. */
import { createExecutionContext, SELF, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Env } from "../../worker/config.ts";
import worker from "../../worker/index.ts";
import type { Asked } from "./outside.ts";
import { env } from "./support.ts";

const api = "http://localhost";
const { DOOR } = env as unknown as { readonly DOOR: Fetcher };

/** What came to the origins for one path. */
const askedFor = async (path: string): Promise<Asked[]> =>
  (await fetch(`http://log.test${path}`)).json();

async function makeSite(name: string, site: Record<string, unknown> = {}): Promise<string> {
  const hosts = [`${name}.site.test`];
  const body = JSON.stringify({ origin: "http://origin.test", hosts, ...site });
  const made = await SELF.fetch(`${api}/v1/sites/${name}`, { method: "PUT", body });
  expect([200, 201], await made.text()).toContain(made.status);
  return `http://${hosts[0]}`;
}

const statusOf = (answer: Response): string | null => answer.headers.get("Cache-Status");

/** The Worker as it is deployed with these vars. */
async function deployed(changes: Partial<Env>, url: string): Promise<Response> {
  const ctx = createExecutionContext();
  const request = new Request(url) as Parameters<typeof worker.fetch>[0];
  const answer = await worker.fetch(request, { ...env, ...changes }, ctx);
  await waitOnExecutionContext(ctx);
  return answer;
}

describe("the host of a request to the Worker", () => {
  const STARLING_API_HOST = "localhost";

  it("is the API's where it is that one exactly, and the door's else", async () => {
    const site = await makeSite("hosts");
    const cluster = await deployed({ STARLING_API_HOST }, `${api}/v1/cluster`);
    expect([cluster.status, statusOf(cluster)]).toEqual([200, null]);
    await cluster.text();
    const page = await deployed({ STARLING_API_HOST }, `${site}/page/hosts`);
    expect([await page.text(), statusOf(page)]).toEqual([
      "answer 1",
      expect.stringMatching(/^starling;fwd=uri-miss;fwd-status=200;stored/),
    ]);
    for (const host of ["localhost:81", "127.0.0.1", "sub.localhost"]) {
      const other = await deployed({ STARLING_API_HOST }, `http://${host}/v1/cluster`);
      expect([host, other.status]).toEqual([host, 421]);
      expect(await other.json()).toMatchObject({ code: "no-such-site" });
    }
  });

  it("is the API's alone without that var: sites are off", async () => {
    const site = await makeSite("off");
    const answer = await deployed({}, `${site}/page/off`);
    expect(answer.status).toBe(421);
    expect(await answer.json()).not.toMatchObject({ code: "no-such-site" });
    expect(await askedFor("/page/off")).toEqual([]);
  });

  it.each(["https://api.example.com", "API.example.com", "api.example.com/v1", "a b"])(
    "cannot be told by %s, and the answer says so",
    async (host) => {
      const answer = await deployed({ STARLING_API_HOST: host }, `${api}/v1/cluster`);
      const { code, detail } = (await answer.json()) as Record<string, string>;
      expect([answer.status, code, detail]).toEqual([
        503,
        "not-configured",
        expect.stringContaining("STARLING_API_HOST"),
      ]);
    },
  );
});

describe("the cache door on Workers", () => {
  it("keeps what an origin allows, for all", async () => {
    const site = await makeSite("keeps");
    const miss = await DOOR.fetch(`${site}/page/keeps`);
    expect([await miss.text(), statusOf(miss)]).toEqual([
      "answer 1",
      `starling;fwd=uri-miss;fwd-status=200;stored;key="${site}/page/keeps"`,
    ]);
    await expect
      .poll(async () => statusOf(await DOOR.fetch(`${site}/page/keeps`)))
      .toMatch(/^starling;hit;ttl=[56]\d;/);
    const hit = await DOOR.fetch(`${site}/page/keeps`);
    expect([await hit.text(), hit.headers.get("Cache-Tag")]).toEqual(["answer 1", null]);
    const head = await DOOR.fetch(`${site}/page/keeps`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(await askedFor("/page/keeps")).toHaveLength(1);
  });

  it("asks the origin as itself, past the platform's cache, with fields made anew", async () => {
    const site = await makeSite("fields");
    const headers = {
      "CF-Connecting-IP": "192.0.2.7",
      "X-Forwarded-For": "198.51.100.1",
      "X-Original-URL": "/admin",
      "Starling-Quorum": "r=1",
      Via: "1.1 before",
    };
    const init = { method: "POST", body: "a body", headers };
    const answer = await DOOR.fetch(`${site}/echo/fields`, init);
    expect(answer.status).toBe(204);
    const [asked] = await askedFor("/echo/fields");
    expect(asked).toMatchObject({ method: "POST", host: "origin.test", body: "a body" });
    expect(asked?.headers).toMatchObject({
      via: "1.1 before, 1.1 starling",
      "cdn-loop": expect.stringMatching(/^starling-[0-9a-z]+$/),
      "x-forwarded-host": "fields.site.test",
      "x-forwarded-proto": "http",
      // The platform sends this where it must not use its own cache.
      "cache-control": "no-cache",
    });
    expect(asked?.headers["x-forwarded-for"]).not.toContain("198.51.100.1");
    expect(asked?.headers).not.toHaveProperty("x-original-url");
    expect(asked?.headers).not.toHaveProperty("starling-quorum");
  });

  it("passes redirects on, and follows none", async () => {
    const site = await makeSite("moved");
    const answer = await DOOR.fetch(`${site}/moved/a`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("Location")]).toEqual([302, "/page/elsewhere"]);
    expect(await askedFor("/page/elsewhere")).toEqual([]);
  });

  it("refuses upgrades", async () => {
    const site = await makeSite("upgrade");
    const answer = await DOOR.fetch(`${site}/page/upgrade`, { headers: { Upgrade: "websocket" } });
    expect([answer.status, await answer.json()]).toMatchObject([501, { code: "not-implemented" }]);
    expect(await askedFor("/page/upgrade")).toEqual([]);
  });

  it("is no way to itself: neither its sites nor the API answer what it has sent", async () => {
    const site = await makeSite("loop");
    await (await DOOR.fetch(`${site}/page/loop`)).text();
    const loop = (await askedFor("/page/loop"))[0]?.headers["cdn-loop"] ?? "";
    const headers = { "CDN-Loop": `other; a=1, ${loop}` };
    for (const answer of [
      await DOOR.fetch(`${site}/page/loop`, { headers }),
      await SELF.fetch(`${api}/v1/cluster`, { headers }),
    ]) {
      expect([answer.status, await answer.json()]).toMatchObject([508, { code: "loop-detected" }]);
    }
    const others = await SELF.fetch(`${api}/v1/cluster`, { headers: { "CDN-Loop": "other" } });
    expect(others.status).toBe(200);
    await others.text();
  });

  it("takes what the edge says in an origin's place for the origin's failure", async () => {
    const site = await makeSite("down", { staleIfError: null });
    expect(await (await DOOR.fetch(`${site}/down/a`)).text()).toBe("while it was up");
    await expect
      .poll(async () => statusOf(await DOOR.fetch(`${site}/down/a`)))
      .toMatch(/^starling;hit;ttl=-?\d+;.*detail=origin-unreachable/);
    const answer = await DOOR.fetch(`${site}/never/a`);
    expect([answer.status, answer.headers.get("Cache-Control")]).toEqual([502, "no-store"]);
    expect(await answer.json()).toMatchObject({ code: "origin-unreachable" });
  });

  it("waits for no origin longer than the site says", async () => {
    const site = await makeSite("silent", { originTimeoutMs: 200 });
    const answer = await DOOR.fetch(`${site}/silent/a`);
    expect([answer.status, await answer.json()]).toMatchObject([504, { code: "origin-timeout" }]);
  });

  it.each(["large", "large-chunked"])(
    "streams and stores what is %s, whole and in parts",
    async (kind) => {
      const site = await makeSite(kind);
      const url = `${site}/${kind}/a`;
      const first = new Uint8Array(await (await DOOR.fetch(url)).arrayBuffer());
      expect(first.length).toBe(1_300_000);
      await expect
        .poll(async () => {
          const answer = await DOOR.fetch(url, { method: "HEAD" });
          return [statusOf(answer)?.slice(0, 12), answer.headers.get("Content-Length")];
        })
        .toEqual(["starling;hit", "1300000"]);
      const hit = await DOOR.fetch(url);
      expect(new Uint8Array(await hit.arrayBuffer())).toEqual(first);
      const headers = { Range: "bytes=524280-524299" };
      const part = await DOOR.fetch(url, { headers });
      expect([part.status, part.headers.get("Content-Range")]).toEqual([
        206,
        "bytes 524280-524299/1300000",
      ]);
      expect(new Uint8Array(await part.arrayBuffer())).toEqual(first.subarray(524_280, 524_300));
    },
  );

  it("fetches a cold key once for all who ask, each in a request of its own", async () => {
    const site = await makeSite("cold");
    const all = Array.from({ length: 20 }, async () =>
      (await DOOR.fetch(`${site}/slow/cold`)).text(),
    );
    expect(new Set(await Promise.all(all))).toEqual(new Set(["answer 1"]));
    expect(await askedFor("/slow/cold")).toHaveLength(1);
  });

  it("gives what is stale at once, and makes it anew behind the answer", async () => {
    const site = await makeSite("behind");
    const get = async () => (await DOOR.fetch(`${site}/stale/a`)).text();
    expect(await get()).toBe("answer 1");
    await expect.poll(get).toBe("answer 2");
  });

  it("purges by tag, softly too, and by PURGE where the site allows it", async () => {
    const site = await makeSite("purged", { purgeMethod: true });
    const url = `${site}/page/purged`;
    const status = async () => statusOf(await DOOR.fetch(url));
    const hit = () => expect.poll(status).toMatch(/^starling;hit;ttl=[56]\d/);
    await hit();
    const body = JSON.stringify({ site: "purged", tags: ["pages"], soft: true });
    const purged = await SELF.fetch(`${api}/v1/purge`, { method: "POST", body });
    expect(purged.status, await purged.text()).toBe(200);
    expect(await status()).toMatch(/^starling;fwd=stale;fwd-status=200;stored/);
    await hit();
    const gone = await DOOR.fetch(url, { method: "PURGE" });
    expect([gone.status, await gone.json()]).toEqual([200, { purged: url }]);
    expect(await status()).toMatch(/^starling;fwd=uri-miss/);
  });

  it("lets no client name what sites store, and counts at /metrics", async () => {
    const site = await makeSite("hidden");
    await (await DOOR.fetch(`${site}/page/hidden`)).text();
    for (const path of ["/v1/kv/_site.hidden/a", "/v1/namespaces/_site.hidden"]) {
      const answer = await SELF.fetch(`${api}${path}`);
      expect([path, answer.status]).toEqual([path, 404]);
      await answer.text();
    }
    const metrics = await (await SELF.fetch(`${api}/metrics`)).text();
    expect(metrics).toMatch(/starling_cache_requests_total\{site="hidden",result="miss"\} 1\n/);
  });

  it("refuses a site whose origin is to see the client's Host", async () => {
    const body = JSON.stringify({ origin: "http://origin.test", originHost: "client" });
    const answer = await SELF.fetch(`${api}/v1/sites/client-host`, { method: "PUT", body });
    const { code, detail } = (await answer.json()) as Record<string, string>;
    expect([answer.status, code]).toEqual([400, "invalid-settings"]);
    expect(detail).toContain('"originHost"');
  });
});
