/** One fetch for the whole cluster, of real processes, one of which dies in the middle. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startOrigin, type TestOrigin } from "../support/origin.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const CLIENTS_PER_DOOR = 40;

let origin: TestOrigin;
let cluster: ProcessCluster;
const doorOf = (id: string): string => {
  const line = cluster.linesOf(id).findLast(({ event }) => event === "cache-door-listening");
  return String(line?.["url"]);
};
const doors = (): readonly string[] => cluster.ids.map(doorOf);

/** What each of 200 clients got, 40 at each door; null: its connection broke. */
const askEverywhere = (path: string): readonly Promise<string | null>[] =>
  doors().flatMap((url) =>
    Array.from({ length: CLIENTS_PER_DOOR }, async () => {
      try {
        return await (await fetch(url + path)).text();
      } catch {
        return null;
      }
    }),
  );

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

describe("a cold key that 200 clients ask five frontends for", () => {
  it("is fetched once", async () => {
    const gate = Promise.withResolvers<void>();
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      void gate.promise.then(() => response.end("once"));
    };
    const all = askEverywhere("/cold");
    await expect.poll(() => origin.asked.length).toBe(1);
    gate.resolve();
    expect(new Set(await Promise.all(all))).toEqual(new Set(["once"]));
    expect(origin.asked).toEqual(["GET /cold"]);
  }, 60_000);

  it("is fetched by another one when the first is killed in the middle", async () => {
    let first: string | undefined;
    origin.answer = (request, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      // The first one is never answered.
      if (first === undefined) first = String(request.headers["x-forwarded-host"]);
      else response.end("again");
    };
    const urls = doors();
    const all = askEverywhere("/cold");
    await expect.poll(() => first).toBeDefined();
    const holder = urls.findIndex((url) => new URL(url).host === first);
    await cluster.kill(cluster.ids[holder] ?? "");
    const texts = await Promise.all(all);
    expect(texts.filter((text) => text === "again")).toHaveLength(4 * CLIENTS_PER_DOOR);
    expect(texts.filter((text) => text === null)).toHaveLength(CLIENTS_PER_DOOR);
    expect(origin.asked.length).toBeLessThanOrEqual(2);
  }, 60_000);
});

describe("what is cached", () => {
  it("goes on with two of five nodes killed, and each key is fetched again once at most", async () => {
    const paths = Array.from({ length: 60 }, (_, i) => `/page/${i}`);
    const [door = ""] = doors();
    const isHit = async (path: string, url = door): Promise<boolean> => {
      const answer = await fetch(url + path);
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
      return (answer.headers.get("Cache-Status") ?? "").includes("starling;hit");
    };
    for (const path of paths) await isHit(path);
    for (const path of paths) {
      await expect.poll(() => isHit(path), { timeout: 20_000 }).toBe(true);
    }
    origin.asked.length = 0;
    await Promise.all(cluster.ids.slice(-2).map((id) => cluster.kill(id)));
    const left = doors().slice(0, 3);
    for (const path of paths) for (const url of left) await isHit(path, url);
    const again = new Set(origin.asked);
    expect(origin.asked).toHaveLength(again.size);
    expect(again.size).toBeLessThan(paths.length / 4);
    for (const path of paths) for (const url of left) expect(await isHit(path, url)).toBe(true);
  }, 60_000);
});
