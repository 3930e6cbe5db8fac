/**
 * Caches in front of a frontend: a proxy, and a browser's own. Writes go past both, to another
 * node: nothing tells them that a value has changed.
 */
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StarlingClient } from "../../src/client/index.ts";
import { type CachingProxy, startCachingProxy } from "../support/caching-proxy.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { hasBrowser, launch } from "../ui/browser.ts";

let cluster: TestCluster;
let front: string;
let other: string;
let count = 0;
beforeAll(async () => {
  cluster = await startCluster(3);
  [front = "", other = ""] = cluster.urls;
}, 60_000);
afterAll(() => cluster?.close());

const freshPath = (): string => `/v1/kv/caches/k${++count}`;

/** Past the cache, to another node. Returns the context. */
async function write(path: string, body: string, control = ""): Promise<string> {
  const headers = control === "" ? {} : { "Cache-Control": control };
  const answer = await fetch(other + path, { method: "PUT", body, headers });
  expect(answer.ok).toBe(true);
  return answer.headers.get("Starling-Context") ?? "";
}

type Read = (path: string, headers?: Record<string, string>) => Promise<string>;

/** What holds behind any cache, however the reader asks through it. */
function intact(read: Read): void {
  it("shows the last write, where a value has a time to live and no more", async () => {
    const path = freshPath();
    for (const value of ["1", "2", "3"]) {
      await write(`${path}?ttl=600`, value);
      expect(await read(path)).toBe(value);
    }
  });

  it("shows a deleted key no more, and one that comes at once", async () => {
    const path = freshPath();
    expect(await read(path)).toMatch(/not-found/);
    await write(path, "1");
    expect(await read(path)).toBe("1");
    await fetch(other + path, { method: "DELETE" });
    expect(await read(path)).toMatch(/not-found/);
  });

  it("keeps strict, and reads of a session, where the writer lets caches keep the value", async () => {
    const path = freshPath();
    await write(path, "1", "max-age=600");
    expect(await read(path)).toBe("1");
    const context = await write(path, "2", "max-age=600");
    // This is what the writer asked for.
    expect(await read(path)).toBe("1");
    expect(await read(path, { "Starling-Context": context })).toBe("2");
    expect(await read(path, { "Starling-Quorum": "consistency=strict" })).toBe("2");
    expect(await read(path, { "Starling-Quorum": "r=3" })).toBe("2");
    expect(await read(`${path}?consistency=strict`)).toBe("2");
    await write(path, "3", "max-age=600");
    expect(await read(`${path}?consistency=strict`)).toBe("3");
    expect(await read(path, { "Starling-Quorum": "consistency=strict" })).toBe("3");
  });
}

describe("behind a shared cache (undici's)", () => {
  let proxy: CachingProxy;
  beforeAll(async () => {
    proxy = await startCachingProxy(front);
  });
  afterAll(() => proxy?.close());

  intact(async (path, headers = {}) => (await fetch(proxy.url + path, { headers })).text());

  it("is asked no more for what the writer lets it keep", async () => {
    const path = freshPath();
    await write(path, "1", "s-maxage=600");
    for (let i = 0; i < 3; i++) expect(await (await fetch(proxy.url + path)).text()).toBe("1");
    const asked = proxy.askedCount();
    await fetch(proxy.url + path);
    expect(proxy.askedCount()).toBe(asked);
  });

  it("shows a session of the client library its own writes", async () => {
    const session = new StarlingClient({ url: proxy.url, namespace: "caches" }).session();
    const past = new StarlingClient({ url: other, namespace: "caches" });
    for (const value of ["1", "2", "3"]) {
      await session.put("session", value, { ttl: 600 });
      expect(await (await session.get("session")).text()).toBe(value);
      await past.put("shared", value, { ttl: 600 });
      expect(await (await session.get("shared")).text()).toBe(value);
    }
  });
});

describe.skipIf(!hasBrowser)("in a browser (Chromium's own cache)", () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
    await page.goto(`${front}/`);
  }, 60_000);
  afterAll(() => browser?.close());

  intact((path, headers = {}) =>
    page.evaluate(async ([at, fields]) => (await fetch(at, { headers: fields })).text(), [
      path,
      headers,
    ] as const),
  );

  it("shows a session of the client library its own writes", async () => {
    const entryPoints = ["src/client/index.ts"];
    const format = { bundle: true, write: false, format: "iife", globalName: "starling" } as const;
    const { outputFiles } = await build({ entryPoints, ...format });
    const seen = await page.evaluate(`(async () => {
      ${outputFiles[0]?.text}
      const client = new starling.StarlingClient({ url: location.origin, namespace: "caches" });
      const session = client.session();
      const seen = [];
      for (const value of ["1", "2", "3"]) {
        await session.put("page", value, { ttl: 600 });
        seen.push(await (await session.get("page")).text());
      }
      return seen;
    })()`);
    expect(seen).toEqual(["1", "2", "3"]);
  });
});
