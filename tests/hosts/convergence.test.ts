/** What replicas come to agree on when no client reads: refills, deletes and expiries that stay. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";

/** Only what a test asks for runs: no hints, no exchanges on a timer. */
const manual = { handoffMs: 86_400_000, antiEntropyMs: 86_400_000, heartbeatMs: 100 };

let cluster: TestCluster;
afterEach(() => cluster.close());

const urlOf = (id: string): string => cluster.urls[Number(id.slice(1)) - 1] as string;

async function post(id: string, route: string, body: object): Promise<Record<string, number>> {
  const answer = await fetch(`${urlOf(id)}/v1/cluster/${route}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  expect([route, answer.status]).toEqual([route, 200]);
  return (await answer.json()) as Record<string, number>;
}

interface Holding {
  readonly id: string;
  readonly role: string;
  readonly entry: { readonly etag: string; readonly tombstone: boolean } | null;
}

/** What the primaries themselves hold of a key. */
async function primariesOf(asked: string, key: string): Promise<readonly Holding[]> {
  const answer = await fetch(`${urlOf(asked)}/v1/cluster/explain/${key}`);
  const { replicas } = (await answer.json()) as { replicas: readonly Holding[] };
  return replicas.filter(({ role }) => role === "primary");
}

const put = async (id: string, key: string, query: string): Promise<void> => {
  const answer = await fetch(`${urlOf(id)}/v1/kv/${key}?${query}`, { method: "PUT", body: key });
  expect([key, answer.ok]).toEqual([key, true]);
  await answer.arrayBuffer();
};

const statusOf = async (id: string, key: string, query: string): Promise<number> => {
  const answer = await fetch(`${urlOf(id)}/v1/kv/${key}?${query}`);
  await answer.arrayBuffer();
  return answer.status;
};

/** Asks again and again until it holds; the test's own time limit is the only one. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}

const keyCountOf = async (id: string): Promise<number> => {
  const answer = await fetch(`${urlOf("r1")}/v1/cluster`);
  const { members } = (await answer.json()) as { members: { id: string; keys: number }[] };
  return members.find((member) => member.id === id)?.keys ?? -1;
};

/** Hints go home, replicas compare themselves, and what is over is collected. */
const untilNothingIsHeld = (): Promise<void> =>
  until(async () => {
    await post("r1", "handoff", {});
    await post("r1", "anti-entropy", {});
    const held = await Promise.all(["r1", "r2", "r3", "r4"].map(keyCountOf));
    return held.every((count) => count === 0);
  });

describe("a replica of four whose folder was wiped", () => {
  it("is refilled by exchanges alone, both ways and in one pass", async () => {
    cluster = await startCluster(4, { timing: manual });
    const keys = Array.from({ length: 200 }, (_, i) => `wiped/k${i}`);
    await Promise.all(keys.map((key) => put("r1", key, "w=all")));
    const before = await keyCountOf("r2");
    expect(before).toBeGreaterThan(0);
    await cluster.stop("r2");
    rmSync(join(cluster.dir, "r2"), { recursive: true, force: true });
    await cluster.start("r2");
    const refill = (): ReturnType<typeof post> => post("r2", "anti-entropy", { replica: "r2" });
    await until(async () => (await refill())["exchanges"] === 3);
    expect(await keyCountOf("r2")).toBe(before);
    for (const key of keys) {
      const etags = (await primariesOf("r1", key)).map(({ entry }) => entry?.etag);
      expect([key, etags.length, new Set(etags).size]).toEqual([key, 3, 1]);
    }
    expect(await refill()).toMatchObject({ partitionsDiffering: 0, keysSent: 0, keysReceived: 0 });
  });
});

describe("a replica that was away for longer than the grace period", () => {
  const timing = { ...manual, tombstoneGraceMs: 300, suspectAfterMs: 500 };
  const keys = Array.from({ length: 40 }, (_, i) => `away/k${i}`);

  /** On a busy machine a step may come late, so that a replica thinks it was away, and says so. */
  async function settled(id: string, key: string, r: number): Promise<number> {
    let status = 503;
    await until(async () => {
      status = await statusOf(id, key, `r=${r}`);
      return status !== 503;
    });
    return status;
  }

  async function neverAnywhere(): Promise<void> {
    for (const key of keys) {
      for (const id of ["r1", "r2", "r3", "r4"]) {
        for (const r of [1, 2, 3]) {
          expect([key, id, r, await settled(id, key, r)]).toEqual([key, id, r, 404]);
        }
      }
    }
  }

  it("brings no deleted key back, at any r, and the tombstones go in the end", async () => {
    cluster = await startCluster(4, { timing });
    await Promise.all(keys.map((key) => put("r1", key, "w=all")));
    await cluster.stop("r3");
    for (const key of keys) {
      const answer = await fetch(`${urlOf("r1")}/v1/kv/${key}`, { method: "DELETE" });
      expect([key, answer.status]).toEqual([key, 204]);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await cluster.start("r3");
    await neverAnywhere();
    await untilNothingIsHeld();
    await neverAnywhere();
  }, 60_000);

  it("brings no older value back from under one that expired", async () => {
    cluster = await startCluster(4, { timing });
    await Promise.all(keys.map((key) => put("r1", key, "w=all")));
    await cluster.stop("r3");
    await Promise.all(keys.map((key) => put("r1", key, "ttl=0.3")));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await cluster.start("r3");
    await neverAnywhere();
    await untilNothingIsHeld();
    await neverAnywhere();
  }, 60_000);
});

describe("a value with a TTL", () => {
  it("is served late by no replica and reclaimed without being read", async () => {
    const timing = { ...manual, tombstoneGraceMs: 100 };
    cluster = await startCluster(4, { timing });
    const keys = Array.from({ length: 40 }, (_, i) => `ttl/k${i}`);
    await Promise.all(keys.map((key) => put("r1", key, "w=all&ttl=0.5")));
    const writtenBy = Date.now();
    await new Promise((resolve) => setTimeout(resolve, writtenBy + 500 - Date.now()));
    for (const key of keys) {
      for (const id of ["r1", "r2", "r3", "r4"]) {
        expect([key, id, await statusOf(id, key, "r=1")]).toEqual([key, id, 404]);
      }
    }
    await untilNothingIsHeld();
  }, 60_000);
});
