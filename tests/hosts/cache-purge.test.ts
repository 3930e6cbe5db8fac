/** Purges of what sites stored, from every side. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { startOrigin, type TestOrigin } from "../support/origin.ts";

let origin: TestOrigin;
let cluster: TestCluster;
beforeEach(async () => {
  origin = await startOrigin();
  cluster = await startCluster(3, { cache: { origin: origin.url } });
  for (const url of cluster.cacheUrls) {
    await expect.poll(async () => (await fetch(`${url}/up`)).status, { timeout: 10_000 }).toBe(200);
  }
  origin.answer = (request, response) => {
    response.setHeader("Cache-Control", "max-age=600, stale-if-error=600");
    const tag = new URL(request.url ?? "", "http://x").searchParams.get("tag");
    if (tag !== null) response.setHeader("Cache-Tag", tag);
    response.end(`${request.url} ${origin.asked.length}`);
  };
});
afterEach(async () => {
  await cluster.close();
  await origin.close();
});

const get = (target: string, i = 0): Promise<Response> => fetch(`${cluster.cacheUrls[i]}${target}`);
const status = async (target: string, i = 0): Promise<string> =>
  /;(hit|fwd=[a-z-]+)/.exec((await get(target, i)).headers.get("Cache-Status") ?? "")?.[1] ?? "";

async function fill(...targets: string[]): Promise<void> {
  for (const target of targets) await (await get(target)).text();
  for (const target of targets) await expect.poll(() => status(target)).toBe("hit");
}

async function purge(
  body: object,
  i = 0,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const init = { method: "POST", body: JSON.stringify({ site: "default", ...body }) };
  const answer = await fetch(`${cluster.urls[i]}/v1/purge`, init);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

/**
 * Makes a site that takes PURGE. The other doors learn of it a moment after the answer, and members
 * that start may each put the site `default` once more: it is another one.
 */
async function putPurgeable(more: object): Promise<void> {
  const site = { origin: origin.url, hosts: ["127.0.0.1"], purgeMethod: true, ...more };
  const put = { method: "PUT", body: JSON.stringify(site) };
  expect((await fetch(`${cluster.urls[0]}/v1/sites/purgeable`, put)).status).toBe(201);
  for (const url of cluster.cacheUrls) {
    const purged = async () => (await fetch(`${url}/none`, { method: "PURGE" })).status;
    await expect.poll(purged, { timeout: 10_000 }).toBe(200);
  }
}

describe("a purge of a site", () => {
  it("by tag, prefix or everything ends what was stored, on all frontends, and nothing else", async () => {
    await fill("/a?tag=red,blue", "/b?tag=green", "/img/1", "/img/2", "/image");
    const done = await purge({ tags: ["red"] }, 1);
    expect(done).toMatchObject({ status: 200, body: { replicas: { learnt: 3, of: 3 } } });
    expect(await status("/a?tag=red,blue", 2)).toBe("fwd=uri-miss");
    for (const target of ["/b?tag=green", "/img/1"])
      expect([target, await status(target, 2)]).toEqual([target, "hit"]);
    const door = new URL(cluster.cacheUrls[0] ?? "").host;
    await purge({ prefix: `http://${door}/img/` });
    expect([
      await status("/img/1", 1),
      await status("/img/2", 2),
      await status("/image", 1),
    ]).toEqual(["fwd=uri-miss", "fwd=uri-miss", "hit"]);
    await purge({ prefix: "/b" });
    expect([await status("/b?tag=green", 1), await status("/image", 1)]).toEqual([
      "fwd=uri-miss",
      "hit",
    ]);
    await purge({ everything: true });
    expect(await status("/image", 1)).toBe("fwd=uri-miss");
  });

  it("by URL ends all variants of just these, before the answer", async () => {
    await fill("/a", "/ab", "/c?x=1");
    const answer = await purge({ urls: [`${cluster.cacheUrls[1]}/a`] });
    expect(answer).toMatchObject({
      status: 200,
      body: { urls: 1, replicas: { learnt: 3, of: 3 } },
    });
    for (const i of [0, 1, 2]) expect([i, await status("/ab", i)]).toEqual([i, "hit"]);
    expect(await status("/a", 2)).toBe("fwd=uri-miss");
    await purge({ urls: ["/c?x=1", "/a"] });
    expect([await status("/c?x=1"), await status("/a"), await status("/ab")]).toEqual([
      "fwd=uri-miss",
      "fwd=uri-miss",
      "hit",
    ]);
  });

  it("by URL takes one of any length, as a door does", async () => {
    const long = `/${"long".repeat(500)}`;
    for (const url of [long, `http://${new URL(cluster.cacheUrls[0] ?? "").host}${long}`]) {
      await fill(long);
      expect([(await purge({ urls: [url] })).status, await status(long, 1)]).toEqual([
        200,
        "fwd=uri-miss",
      ]);
    }
  });

  it("by PURGE and by unsafe methods is of all that a URL has, whatever fields are in its key", async () => {
    await putPurgeable({ cacheKey: { headers: ["X-Device"] } });
    const ask = (i: number, device: string, path = "/a") =>
      fetch(`${cluster.cacheUrls[i]}${path}`, { headers: { "X-Device": device } });
    const stored = async (i: number, device: string, path = "/a") => {
      const answer = await ask(i, device, path);
      await answer.text();
      return /;hit/.test(answer.headers.get("Cache-Status") ?? "");
    };
    for (const method of ["PURGE", "POST"]) {
      for (const device of ["phone", "desk"]) {
        await (await ask(0, device)).text();
        await (await ask(0, device, "/ab")).text();
        await expect.poll(() => stored(1, device)).toBe(true);
        await expect.poll(() => stored(1, device, "/ab")).toBe(true);
      }
      const headers = { "X-Device": "desk" };
      const done = await fetch(`${cluster.cacheUrls[1]}/a`, { method, headers });
      expect(done.status).toBe(200);
      expect([method, await stored(2, "phone"), await stored(0, "desk")]).toEqual([
        method,
        false,
        false,
      ]);
      expect(await stored(2, "phone", "/ab")).toBe(true);
    }
  });

  it("by URL needs no more than a majority, as any other one does", async () => {
    await putPurgeable({});
    await fill("/a", "/b", "/c", "/d");
    await cluster.stop("r3");
    const known = { status: 200, body: { replicas: { learnt: 2, of: 3 } } };
    const door = new URL(cluster.cacheUrls[0] ?? "").host;
    expect(await purge({ site: "purgeable", urls: [`http://${door}/a`] }, 1)).toMatchObject(known);
    expect(
      await purge({ site: "purgeable", urls: [`http://${door}/b`], soft: true }),
    ).toMatchObject(known);
    const method = await fetch(`${cluster.cacheUrls[1]}/c`, { method: "PURGE" });
    expect([method.status, method.headers.get("Cache-Status")]).toEqual([
      200,
      "starling;detail=purged",
    ]);
    const then = [
      await status("/a"),
      await status("/b", 1),
      await status("/c"),
      await status("/d"),
    ];
    expect(then).toEqual(["fwd=uri-miss", "fwd=stale", "fwd=uri-miss", "hit"]);
  });

  it("by an unsafe method is as sure while an owner is away, and none the slower", async () => {
    await fill("/a", "/b");
    await cluster.stop("r3");
    for (const path of ["/a", "/b"]) {
      const began = performance.now();
      const posted = await fetch(`${cluster.cacheUrls[0]}${path}`, { method: "POST" });
      expect([posted.status, performance.now() - began < 3000]).toEqual([200, true]);
    }
    await cluster.start("r3");
    for (const path of ["/a", "/b"]) {
      expect([path, await status(path, 2)]).toEqual([path, "fwd=uri-miss"]);
    }
    const metrics = await (await fetch(`${cluster.urls[0]}/metrics`)).text();
    expect(metrics).toContain("starling_cache_store_failures_total 0");
  });

  it("softly makes stale: the origin is asked, and the stale answer does while it is away", async () => {
    await fill("/a?tag=red", "/b", "/c");
    await purge({ tags: ["red"], soft: true });
    await purge({ urls: ["/b"], soft: true });
    await purge({ urls: [`${cluster.cacheUrls[0]}/c`], soft: true });
    const asked = origin.asked.length;
    const working = origin.answer;
    origin.answer = (_, response) => void response.writeHead(503).end();
    for (const target of ["/a?tag=red", "/b", "/c"]) {
      const answer = await get(target, 1);
      expect([target, answer.status]).toEqual([target, 200]);
    }
    expect(origin.asked.length).toBe(asked + 3);
    origin.answer = working;
    for (const target of ["/a?tag=red", "/b", "/c"]) {
      expect([target, await status(target, 2)]).toEqual([target, "fwd=stale"]);
      await expect.poll(() => status(target, 2)).toBe("hit");
    }
  });

  it("covers a fetch that is under way: it is not stored as new", async () => {
    const gate = Promise.withResolvers<void>();
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=600");
      response.setHeader("Cache-Tag", "red");
      void gate.promise.then(() => response.end("old"));
    };
    const slow = get("/slow");
    await expect.poll(() => origin.asked.at(-1)).toBe("GET /slow");
    await purge({ tags: ["red"] }, 1);
    gate.resolve();
    expect(await (await slow).text()).toBe("old");
    origin.answer = (_, response) => void response.end("new");
    for (const i of [0, 1, 2])
      expect([i, await (await get("/slow", i)).text()]).toEqual([i, "new"]);
  });

  it("is refused with the mend where it makes no sense", async () => {
    for (const [body, code, at] of [
      [{ site: "none", everything: true }, "not-found", 404],
      [{ site: "_x", everything: true }, "invalid-request", 400],
      [{ tags: [] }, "invalid-request", 400],
      [{ urls: [] }, "invalid-request", 400],
      [{ urls: ["a"] }, "invalid-request", 400],
      [{ urls: ["/a"], tags: ["b"] }, "invalid-request", 400],
      [{ prefix: "a" }, "invalid-request", 400],
      [{ everything: true, soft: 1 }, "invalid-request", 400],
      [{ everything: true, colour: "red" }, "invalid-request", 400],
    ] as const) {
      const answer = await purge(body);
      expect([body, answer.status, answer.body["code"]]).toEqual([body, at, code]);
    }
    const nothing = await purge({});
    expect([nothing.status, nothing.body["detail"]]).toEqual([
      400,
      expect.stringContaining("urls"),
    ]);
  });
});
