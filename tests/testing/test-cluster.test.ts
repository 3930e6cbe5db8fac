import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";
import { TestCluster, type TestClusterOptions } from "../../src/testing/index.ts";

const running: TestCluster[] = [];
afterEach(() => {
  for (const cluster of running.splice(0)) cluster.close();
});

async function start(options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await TestCluster.start(options);
  running.push(cluster);
  return cluster;
}

const KEY = "/v1/kv/ns/key";

describe("a cluster for other people's tests", () => {
  it("answers as a deployed one does", async () => {
    const cluster = await start();
    const put = await cluster.fetch(KEY, { method: "PUT", body: "value" });
    expect(put.status).toBe(201);
    expect(put.headers.get("starling-quorum")).toContain("acked=2");
    expect(await (await cluster.fetch(KEY)).text()).toBe("value");
  });

  it("has a client, and can be mounted", async () => {
    const cluster = await start();
    const client = cluster.client({ namespace: "ns" });
    await client.put("key", "value");
    const outer = new Hono().route("/cache", cluster.app());
    const answer = await outer.request("http://localhost/cache/v1/kv/ns/key");
    expect(await answer.text()).toBe("value");
  });

  it("goes on when a node is gone, and says so when two are", async () => {
    const cluster = await start({ time: "virtual" });
    await cluster.fetch(KEY, { method: "PUT", body: "value" });
    cluster.stop("r2");
    expect((await cluster.fetch(KEY)).status).toBe(200);
    cluster.stop("r3");
    const asked = cluster.fetch(`${KEY}?consistency=strict`);
    await cluster.advance(5000);
    expect((await asked).status).toBe(503);
    cluster.restart("r2");
    await cluster.advance(10_000);
    expect((await cluster.fetch(`${KEY}?consistency=strict`)).status).toBe(200);
    expect(() => cluster.app("r3")).toThrow(/no node "r3" runs/);
  });

  it("lets an hour pass at once", async () => {
    const cluster = await start({ time: "virtual", startsAt: Date.UTC(2030, 0, 1) });
    await cluster.fetch(`${KEY}?ttl=3600`, { method: "PUT", body: "value" });
    await cluster.advance(3_599_000);
    const alive = await cluster.fetch(KEY);
    expect(alive.headers.get("last-modified")).toBe("Tue, 01 Jan 2030 00:00:00 GMT");
    await cluster.advance(1001);
    expect((await cluster.fetch(KEY)).status).toBe(404);
  });

  it("refuses what cannot be", async () => {
    await expect(start({ nodes: 0 })).rejects.toThrow("nodes must be a whole number from 1 to 50");
    await expect(start({ nodes: 2, n: 3 })).rejects.toThrow("n must be a whole number from 1 to 2");
    const cluster = await start({ nodes: 1 });
    await expect(cluster.advance(1)).rejects.toThrow("time is real");
    expect(() => cluster.restart("r9")).toThrow('there is no node "r9"');
  });
});
