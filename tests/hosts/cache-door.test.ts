/** The cache door on Node: one cache for all frontends, over real connections. */
import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { startOrigin, type TestOrigin } from "../support/origin.ts";

let origin: TestOrigin;
let cluster: TestCluster;
beforeEach(async () => {
  origin = await startOrigin();
});
afterEach(async () => {
  await cluster.close();
  await origin.close();
});

const door = (i: number): string => cluster.cacheUrls[i] ?? "";
const api = (i: number): string => cluster.urls[i] ?? "";

/** The site is made when a majority can be reached, and known everywhere a little later. */
async function untilServed(): Promise<void> {
  for (const url of cluster.cacheUrls) {
    await expect
      .poll(async () => (await fetch(`${url}/ready`)).status, { timeout: 10_000 })
      .toBe(200);
  }
  origin.asked.length = 0;
}

async function start(count: number): Promise<void> {
  cluster = await startCluster(count, { cache: { origin: origin.url } });
  await untilServed();
}

const putSite = (name: string, site: object): Promise<Response> =>
  fetch(`${api(0)}/v1/sites/${name}`, { method: "PUT", body: JSON.stringify(site) });

/** A request with raw headers, and the raw target. */
function raw(
  url: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname } = new URL(url);
    const request = httpRequest({ hostname, port, path: pathname, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on("error", reject).end();
  });
}

describe("the cache door", () => {
  it("is one cache: what one frontend fetched, all have, and a lost node is no wave of misses", async () => {
    await start(3);
    const first = await fetch(`${door(0)}/page`);
    expect(await first.text()).toBe("answer 1");
    for (const i of [0, 1, 2]) {
      await expect
        .poll(async () => (await fetch(`${door(i)}/page`)).headers.get("Cache-Status"))
        .toMatch(/^starling;hit/);
    }
    await cluster.stop("r3");
    for (const i of [0, 1]) expect(await (await fetch(`${door(i)}/page`)).text()).toBe("answer 1");
    expect(origin.asked).toEqual(["GET /page"]);
  });

  it("streams what is long, and breaks off where the origin does", async () => {
    await start(1);
    const piece = Buffer.alloc(300_000, "ab");
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      for (let i = 0; i < 10; i++) response.write(piece);
      response.end();
    };
    for (const _ of [1, 2]) {
      const bytes = Buffer.from(await (await fetch(`${door(0)}/long`)).arrayBuffer());
      expect(bytes.equals(Buffer.concat(Array<Buffer>(10).fill(piece)))).toBe(true);
    }
    const part = await fetch(`${door(0)}/long`, { headers: { Range: "bytes=1500001-1500004" } });
    expect([part.status, await part.text()]).toEqual([206, "baba"]);
    expect(origin.asked).toHaveLength(1);
    origin.answer = (_, response) => {
      response.writeHead(200, { "Content-Length": "100", "Cache-Control": "max-age=60" });
      response.write("half", () => response.destroy());
    };
    await expect(fetch(`${door(0)}/cut`).then((cut) => cut.text())).rejects.toThrow();
  });

  it("passes methods, bodies and interim answers on", async () => {
    await start(1);
    origin.answer = (request, response) => {
      response.writeEarlyHints({ link: "</a.css>; rel=preload" });
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => response.end(`${request.method} ${body}`));
    };
    const posted = await fetch(`${door(0)}/form`, { method: "POST", body: "a=1" });
    expect(await posted.text()).toBe("POST a=1");
    const hints: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest(`${door(0)}/hints`, (response) => {
        response.resume().on("end", resolve);
      });
      request.on("information", ({ statusCode, headers }) =>
        hints.push([statusCode, headers["link"]]),
      );
      request.on("error", reject).end();
    });
    expect(hints).toEqual([[103, "</a.css>; rel=preload"]]);
  });

  it("says 502 when nobody listens, and 504 when nobody answers", async () => {
    await start(1);
    await putSite("gone", { origin: "http://127.0.0.1:1", hosts: ["gone.test"] });
    const gone = await raw(`${door(0)}/x`, { Host: "gone.test" });
    expect([gone.status, JSON.parse(gone.text).code]).toEqual([502, "origin-unreachable"]);
    await putSite("slow", { origin: origin.url, hosts: ["slow.test"], originTimeoutMs: 100 });
    origin.answer = () => undefined;
    const slow = await raw(`${door(0)}/x`, { Host: "slow.test" });
    expect([slow.status, JSON.parse(slow.text).code]).toEqual([504, "origin-timeout"]);
    origin.answer = (_, response) => response.socket?.end("no HTTP at all\r\n\r\n");
    const noise = await raw(`${door(0)}/y`, { Host: "slow.test" });
    expect([noise.status, JSON.parse(noise.text).code]).toEqual([502, "origin-invalid"]);
  });

  it("is no way to members or to itself, whatever the origin is called", async () => {
    await start(2);
    const apiPort = new URL(api(0)).port;
    const others = [new URL(api(1)).port, new URL(door(0)).port];
    const names = ["127.0.0.1", "localhost", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
    const urls = [
      ...names.map((name) => `http://${name}:${apiPort}`),
      ...others.map((port) => `http://127.0.0.1:${port}`),
      `http://2130706433:${apiPort}`,
    ];
    for (const [i, url] of urls.entries()) {
      const host = `self${i}.test`;
      expect((await putSite(`self${i}`, { origin: url, hosts: [host] })).status).toBe(201);
      const answer = await raw(`${door(0)}/v1/sites`, { Host: host });
      expect([url, answer.status]).toEqual([url, 502]);
      expect([url, answer.text.includes('"sites"')]).toEqual([url, false]);
    }
  });
});

describe("/v1/sites", () => {
  it("makes, shows, lists and removes sites, which travel to all nodes", async () => {
    await start(3);
    const made = await putSite("blog", {
      origin: `${origin.url}/`,
      hosts: ["blog.test"],
      staleIfError: 60,
    });
    expect([made.status, await made.json()]).toMatchObject([
      201,
      {
        name: "blog",
        origin: origin.url,
        hosts: ["blog.test"],
        staleIfError: 60,
        n: 3,
        r: 1,
        w: 1,
        dw: 0,
      },
    ]);
    for (const i of [0, 1, 2]) {
      await expect.poll(async () => (await fetch(`${api(i)}/v1/sites/blog`)).status).toBe(200);
    }
    const listed = (await (await fetch(`${api(1)}/v1/sites`)).json()) as {
      sites: { name: string }[];
    };
    expect(listed.sites.map(({ name }) => name)).toEqual(["blog", "default"]);
    expect((await raw(`${door(1)}/a`, { Host: "blog.test" })).text).toBe("answer 1");
    expect((await putSite("blog", { origin: origin.url, hosts: ["blog.test"] })).status).toBe(200);
    expect((await fetch(`${api(2)}/v1/sites/blog`, { method: "DELETE" })).status).toBe(204);
    expect((await fetch(`${api(2)}/v1/sites/blog`)).status).toBe(404);
    expect((await fetch(`${api(2)}/v1/sites/blog`, { method: "DELETE" })).status).toBe(404);
  });

  it("refuses what no site is, with the member and the mend", async () => {
    await start(1);
    for (const [site, word] of [
      [{}, "origin"],
      [{ origin: "ftp://x" }, "origin"],
      [{ origin: "http://u:p@x" }, "origin"],
      [{ origin: "http://x", hosts: [] }, "hosts"],
      [{ origin: "http://x", hosts: ["a b"] }, "hosts"],
      [{ origin: "http://x", leaseMs: 1 }, "leaseMs"],
      [{ origin: "http://x", cacheKey: { query: "some" } }, "cacheKey"],
      [{ origin: "http://x", n: 9 }, "n"],
      [{ origin: "http://x", colour: "red" }, "colour"],
      [{ origin: "http://x", trustedProxies: ["nobody"] }, "trustedProxies"],
      [{ origin: "http://x", trustedProxies: ["1.2.3.4/99"] }, "trustedProxies"],
    ] as const) {
      const answer = await putSite("bad", site);
      const { code, detail } = (await answer.json()) as { code: string; detail: string };
      expect([word, answer.status, code, detail.includes(`"${word}"`)]).toEqual([
        word,
        400,
        "invalid-settings",
        true,
      ]);
    }
    expect((await putSite("a b", { origin: "http://x" })).status).toBe(400);
  });

  it("keeps what sites store from clients: no route knows those namespaces", async () => {
    await start(1);
    await (await fetch(`${door(0)}/a`)).text();
    const name = "_site.default";
    const asked = [
      ["GET", `/v1/kv/${name}/x`],
      ["PUT", `/v1/kv/${name}/x`],
      ["GET", `/v1/kv/${name}`],
      ["POST", `/v1/kv/${name}:batch`],
      ["GET", `/v1/namespaces/${name}`],
      ["PUT", `/v1/namespaces/${name}`],
      ["GET", `/v1/cluster/explain/${name}/x`],
      ["GET", `/client/v4/accounts/a/storage/kv/namespaces/${name}/keys`],
      ["GET", `/client/v4/accounts/a/storage/kv/namespaces/${name}/values/x`],
    ] as const;
    for (const [method, path] of asked) {
      const body = method === "GET" ? null : "{}";
      const answer = await fetch(`${api(0)}${path}`, { method, body });
      await answer.text();
      expect([method, path, answer.status]).toEqual([method, path, 404]);
    }
    const purge = { namespace: name, everything: true };
    const purged = await fetch(`${api(0)}/v1/purge`, {
      method: "POST",
      body: JSON.stringify(purge),
    });
    expect(purged.status).toBe(404);
    const listed = await fetch(`${api(0)}/v1/namespaces`);
    expect(await listed.json()).toEqual({ namespaces: [], bytes: {} });
  });
});
