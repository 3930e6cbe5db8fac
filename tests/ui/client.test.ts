/** The client library in a real browser, in a page of another origin that the cluster has named. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";
import { hasBrowser, launch, openPage, type Watched } from "./browser.ts";

const CLIENT = fileURLToPath(new URL("../../src/client/index.ts", import.meta.url));

/** What the page does; `Starling` is the library. */
const STORY = `async (url) => {
  const cache = new Starling.StarlingClient({ url, namespace: "browser" });
  const session = cache.session();
  const bytes = new Uint8Array(100000).fill(7);
  await session.put("stream", new Blob([bytes]).stream(), { metadata: { by: "ü" }, ttl: 60 });
  const got = await session.get("stream", { r: 1 });
  const { length } = await got.bytes();
  const reads = [];
  for (let i = 0; i < 10; i++) {
    await session.put("k", String(i), { w: 1 });
    reads.push(await (await session.get("k", { r: 1 })).text());
  }
  await session.delete("k");
  const gone = (await session.get("k")).exists;
  const names = [];
  for await (const { name } of cache.list()) names.push(name);
  const { metadata, siblings, quorum, expiresAt } = got;
  const error = await cache.put("k", "v", { w: 9 }).catch(({ code, option }) => [code, option]);
  return { length, metadata, siblings, quorum, expires: expiresAt !== null, reads, gone, names, error };
}`;

describe.skipIf(!hasBrowser)("the client in a browser", () => {
  let cluster: ProcessCluster;
  let browser: Browser;
  let page: Watched["page"];
  let site: Server;

  beforeAll(async () => {
    site = createServer((_, response) => {
      response.setHeader("Content-Type", "text/html");
      response.end("<!doctype html><title>A page of somebody's</title>");
    });
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    const flags = ["--cors-origins", origin];
    [cluster, browser] = await Promise.all([startProcesses(3, { flags }), launch()]);
    ({ page } = await openPage(browser));
    await page.goto(origin);
    const bundle = { bundle: true, format: "iife", globalName: "Starling", write: false } as const;
    const { outputFiles } = await build({ entryPoints: [CLIENT], ...bundle });
    await page.addScriptTag({ content: outputFiles[0]?.text ?? "" });
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
    site.close();
  });

  it("stores, streams, reads its own writes, lists and is refused, across origins", async () => {
    const told = await page.evaluate(`(${STORY})(${JSON.stringify(cluster.urlOf("r1"))})`);
    expect(told).toEqual({
      length: 100_000,
      metadata: { by: "ü" },
      siblings: 1,
      quorum: expect.objectContaining({ n: 3, r: 1 }),
      expires: true,
      reads: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
      gone: false,
      names: ["stream"],
      error: ["invalid-option", "w"],
    });
  });
});
