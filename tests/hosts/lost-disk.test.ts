/** A node whose folder was lost: what it says of itself, and how an operator ends the wait. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await startCluster(3);
});
afterEach(() => cluster.close());

const urlOf = (id: string): string => cluster.urls[Number(id.slice(1)) - 1] as string;

async function ask(id: string, path: string, init: RequestInit = {}): Promise<[number, string]> {
  const answer = await fetch(`${urlOf(id)}${path}`, init);
  return [answer.status, await answer.text()];
}

const put = (id: string, query: string): Promise<[number, string]> =>
  ask(id, `/v1/kv/demo/k?${query}`, { method: "PUT", body: query });

async function wipe(id: string): Promise<void> {
  await cluster.stop(id);
  rmSync(join(cluster.dir, id), { recursive: true });
}

const post = (id: string, path: string, body: object): Promise<[number, string]> =>
  ask(id, path, { method: "POST", body: JSON.stringify(body) });

describe("a node whose folder was lost, while a peer that has its writes is away", () => {
  beforeEach(async () => {
    for (const id of ["r1", "r2", "r3"]) {
      await expect.poll(async () => (await ask(id, "/readyz?owns"))[0]).toBe(200);
    }
    expect((await put("r1", "consistency=strict"))[0]).toBe(201);
    await cluster.stop("r3");
    expect((await put("r1", "consistency=strict&timeout=3000"))[0]).toBe(204);
    await wipe("r2");
    await cluster.stop("r1");
    await cluster.start("r2");
    await cluster.start("r3");
  });

  it("is not ready as an owner, says why, and shows no wrong answer", async () => {
    const [status, problem] = await ask("r2", "/readyz?owns");
    expect(status).toBe(503);
    expect(JSON.parse(problem)).toMatchObject({ code: "quorum-unavailable", status: 503 });
    await expect
      .poll(async () => (await ask("r2", "/readyz?owns"))[1])
      .toMatch(
        /r2 may have lost what it had of 64 of 64 partitions: .* compare them with r1 first/,
      );
    for (const id of ["r2", "r3"]) {
      expect((await ask(id, "/v1/kv/demo/k?consistency=strict"))[0]).toBe(503);
    }
    await cluster.start("r1");
    await expect
      .poll(async () => (await ask("r2", "/readyz?owns"))[0], { timeout: 8000 })
      .toBe(200);
    expect(await ask("r2", "/v1/kv/demo/k?consistency=strict")).toEqual([
      200,
      "consistency=strict&timeout=3000",
    ]);
  }, 30_000);

  it("serves without that peer when an operator says so", async () => {
    await expect
      .poll(async () => (await ask("r2", "/readyz?owns"))[1])
      .toMatch(/compare them with r1 first/);
    const path = "/v1/cluster/accept-loss";
    expect((await post("r3", path, { replica: "r9" }))[0]).toBe(400);
    const [status, body] = await post("r3", path, { replica: "r2" });
    expect([status, JSON.parse(body)]).toEqual([
      200,
      { replica: "r2", partitions: 64, waitedFor: ["r1"] },
    ]);
    await expect.poll(async () => (await ask("r2", "/readyz?owns"))[0]).toBe(200);
    expect(await ask("r2", "/v1/kv/demo/k?consistency=strict")).toEqual([
      200,
      "consistency=strict",
    ]);
    expect(JSON.parse((await post("r3", path, { replica: "r2" }))[1])).toEqual({
      ...{ replica: "r2", partitions: 0, waitedFor: [] },
    });
  }, 30_000);
});

describe("a node that was restarted in order", () => {
  it("is ready as an owner as soon as its peers have answered", async () => {
    await cluster.stop("r2");
    expect((await put("r1", ""))[0]).toBe(201);
    await cluster.start("r2");
    await expect.poll(async () => (await ask("r2", "/readyz?owns"))[0]).toBe(200);
    expect(await ask("r2", "/v1/kv/demo/k?r=1")).toEqual([200, ""]);
  }, 20_000);
});
