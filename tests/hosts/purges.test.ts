/** Purges from outside: what was written before is gone, on a replica that was away too. */
import { afterEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";

const timing = { handoffMs: 86_400_000, antiEntropyMs: 86_400_000, heartbeatMs: 200 };
let cluster: TestCluster;
afterEach(() => cluster.close());
const urlOf = (id: string): string => cluster.urls[Number(id.slice(1)) - 1] as string;

async function put(key: string, headers: Record<string, string> = {}): Promise<void> {
  const url = `${urlOf("r1")}/v1/kv/${key}?w=all`;
  const answer = await fetch(url, { method: "PUT", body: key, headers });
  expect([key, answer.ok]).toEqual([key, true]);
}

async function purge(body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const request = { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${urlOf("r2")}/v1/purge`, request);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

/** The statuses of a key through every frontend that runs, each asking one replica. */
async function seen(key: string, ids: readonly string[]): Promise<readonly number[]> {
  const answers = await Promise.all(ids.map((id) => fetch(`${urlOf(id)}/v1/kv/${key}?r=1`)));
  return answers.map(({ status }) => status);
}

describe("a purge", () => {
  const all = ["r1", "r2", "r3"];

  it("by tag, prefix or namespace ends what was written before, and nothing else", async () => {
    cluster = await startCluster(3, { timing });
    await put("shop/a", { "Cache-Tag": "red,blue" });
    await put("shop/b", { "Surrogate-Key": "blue green" });
    await put("shop/img/1");
    await put("shop/img/2");
    await put("else/a", { "Cache-Tag": "red" });
    const first = await purge({ namespace: "shop", tags: ["red"] });
    expect(first).toMatchObject({ status: 200, body: { replicas: { learnt: 3, of: 3 } } });
    expect(await seen("shop/a", all)).toEqual([404, 404, 404]);
    expect(await seen("shop/b", all)).toEqual([200, 200, 200]);
    expect(await seen("else/a", all)).toEqual([200, 200, 200]);
    await purge({ namespace: "shop", prefix: "img/" });
    expect(await seen("shop/img/1", all)).toEqual([404, 404, 404]);
    expect(await seen("shop/b", all)).toEqual([200, 200, 200]);
    await put("shop/a", { "Cache-Tag": "red" });
    await put("shop/img/1");
    expect(await seen("shop/a", all)).toEqual([200, 200, 200]);
    const listed = await fetch(`${urlOf("r3")}/v1/kv/shop`);
    const { keys } = (await listed.json()) as { keys: { name: string }[] };
    expect(keys.map(({ name }) => name)).toEqual(["a", "b", "img/1"]);
    await purge({ namespace: "shop", everything: true });
    for (const key of ["a", "b", "img/1"]) {
      expect(await seen(`shop/${key}`, all)).toEqual([404, 404, 404]);
    }
    expect(await seen("else/a", all)).toEqual([200, 200, 200]);
  });

  it("is known to a replica that was away before it serves anything", async () => {
    cluster = await startCluster(3, { timing });
    await put("shop/a");
    await cluster.stop("r3");
    const purged = await purge({ namespace: "shop", everything: true });
    expect(purged.body["replicas"]).toEqual({ learnt: 2, of: 3 });
    await cluster.start("r3");
    expect(await seen("shop/a", ["r3", "r3", "r1"])).toEqual([404, 404, 404]);
    // It keeps what it learnt: the others are not needed any more.
    await cluster.stop("r1");
    await cluster.stop("r2");
    await cluster.stop("r3");
    await cluster.start("r3");
    expect(await seen("shop/a", ["r3"])).toEqual([404]);
  });

  it("gives the space back in the background, once hints went home", async () => {
    const background = { ...timing, handoffMs: 200, antiEntropyMs: 500, tombstoneGraceMs: 400 };
    cluster = await startCluster(4, { timing: background, takesFaults: true });
    for (let i = 0; i < 20; i++) await put(`shop/k${i}`);
    // What one replica misses waits as hints with the others.
    const fault = `${urlOf("r1")}/v1/cluster/faults/r3`;
    const down = { method: "PUT", body: JSON.stringify({ kind: "down" }) };
    expect((await fetch(fault, down)).ok).toBe(true);
    for (let i = 0; i < 20; i++) {
      const answer = await fetch(`${urlOf("r1")}/v1/kv/shop/k${i}`, {
        method: "PUT",
        body: "late",
      });
      expect(answer.ok).toBe(true);
    }
    expect((await fetch(fault, { method: "DELETE" })).ok).toBe(true);
    await purge({ namespace: "shop", everything: true });
    for (;;) {
      const answer = await fetch(`${urlOf("r1")}/v1/cluster`);
      const { members } = (await answer.json()) as { members: { keys: number }[] };
      if (members.every(({ keys }) => keys === 0)) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });

  it.each([
    [{ namespace: "shop" }],
    [{ namespace: "shop", tags: [] }],
    [{ namespace: "shop", tags: ["two words"] }],
    [{ namespace: "shop", prefix: "" }],
    [{ namespace: "shop", everything: false }],
    [{ namespace: "shop", tags: ["a"], everything: true }],
    [{ namespace: "shop", everything: true, other: 1 }],
    [{ namespace: "no/name", everything: true }],
    [[]],
  ])("that is none is refused: %j", async (body) => {
    cluster = await startCluster(1, { timing });
    expect((await purge2(body)).status).toBe(400);
  });
});

const purge2 = (body: unknown): Promise<Response> =>
  fetch(`${urlOf("r1")}/v1/purge`, { method: "POST", body: JSON.stringify(body) });
