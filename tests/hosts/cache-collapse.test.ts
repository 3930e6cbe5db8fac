/** One fetch for the whole cluster, of real processes, one of which dies in the middle. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startOrigin, type TestOrigin } from "../support/origin.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

let origin: TestOrigin;
let cluster: ProcessCluster;
const doors = (): readonly string[] =>
  cluster.ids.map((id) => {
    const line = cluster.linesOf(id).findLast(({ event }) => event === "cache-door-listening");
    return String(line?.["url"]);
  });

beforeEach(async () => {
  origin = await startOrigin();
  const flags = ["--cache-listen", "http://127.0.0.1:0", "--origin", origin.url];
  cluster = await startProcesses(5, { flags });
  for (const url of doors()) {
    await expect.poll(async () => (await fetch(`${url}/up`)).status, { timeout: 20_000 }).toBe(200);
  }
  origin.asked.length = 0;
}, 60_000);
afterEach(async () => {
  await cluster.close();
  await origin.close();
});

describe("a cold key that many ask for", () => {
  it("is fetched once, whichever frontends they ask", async () => {
    const gate = Promise.withResolvers<void>();
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      void gate.promise.then(() => response.end("once"));
    };
    const all = doors().flatMap((url) =>
      Array.from({ length: 40 }, async () => (await fetch(`${url}/cold`)).text()),
    );
    await expect.poll(() => origin.asked.length).toBe(1);
    gate.resolve();
    expect(new Set(await Promise.all(all))).toEqual(new Set(["once"]));
    expect(origin.asked).toEqual(["GET /cold"]);
  }, 60_000);

  it("is fetched by another one when who fetched it is killed in the middle", async () => {
    let first: string | undefined;
    const gate = Promise.withResolvers<void>();
    origin.answer = (request, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      first ??= String(request.headers["x-forwarded-host"]);
      if (origin.asked.length === 1) void gate.promise;
      else response.end("again");
    };
    const urls = doors();
    const all = urls.map(async (url) => {
      try {
        return await (await fetch(`${url}/cold`)).text();
      } catch {
        return "killed";
      }
    });
    await expect.poll(() => first !== undefined).toBe(true);
    const holder = urls.findIndex((url) => new URL(url).host === first);
    await cluster.kill(cluster.ids[holder] ?? "");
    const texts = await Promise.all(all);
    expect(texts.filter((text) => text === "again")).toHaveLength(4);
    expect(origin.asked.length).toBeLessThanOrEqual(2);
  }, 60_000);
});
