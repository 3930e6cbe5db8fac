/**
 * A deployment on Workers whose list of replicas was changed: the ring in use stays until a commit
 * changes it, and only alarms carry that out, while clients read and write.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type RunningDev, startDev } from "../../src/local/dev.ts";

const dataDir = mkdtempSync(join(tmpdir(), "starling-test-"));
let dev: RunningDev | null = null;
afterAll(async () => {
  await dev?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(replicas: number): Promise<string> {
  writeFileSync(join(dataDir, "dev.json"), `${JSON.stringify({ replicas })}\n`);
  dev = await startDev({ port: 0, replicas, dataDir, log: () => {} });
  return dev.url;
}

interface RingBody {
  readonly version: number;
  readonly members: readonly { readonly id: string; readonly state?: string }[];
}

const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);

async function put(url: string, key: string, query: string): Promise<void> {
  const answer = await fetch(`${url}/v1/kv/moving/${key}${query}`, { method: "PUT", body: key });
  expect([key, answer.ok, await answer.text()]).toEqual([key, true, ""]);
}

async function expectAllThere(url: string, query: string): Promise<void> {
  for (const key of keys) {
    const answer = await fetch(`${url}/v1/kv/moving/${key}${query}`);
    expect([key, answer.status, await answer.text()]).toEqual([key, 200, key]);
  }
}

it("keeps its ring when the list of replicas changes, and moves its data by a commit", async () => {
  let url = await start(4);
  const settings = JSON.stringify({ maxValueBytes: 2_000_000 });
  await fetch(`${url}/v1/namespaces/large`, { method: "PUT", body: settings });
  for (const key of keys) await put(url, key, "?w=all");
  await dev?.close();

  // The very first request of the new deployment may go to an object that is no member.
  url = await start(5);
  for (const key of keys) await put(url, key, "?w=1");
  const namespace = await fetch(`${url}/v1/namespaces/large`);
  expect(await namespace.json()).toMatchObject({ maxValueBytes: 2_000_000 });
  await expectAllThere(url, "?r=all");
  const ring = async (): Promise<RingBody> =>
    (await (await fetch(`${url}/v1/cluster/ring`)).json()) as RingBody;
  expect(await ring()).toMatchObject({ version: 1 });
  expect((await ring()).members.map(({ id }) => id)).toEqual(["r1", "r2", "r3", "r4"]);

  const body = JSON.stringify({ add: [{ id: "r5", zone: "b" }] });
  const commit = await fetch(`${url}/v1/cluster/commit`, { method: "POST", body });
  expect([commit.status, await commit.json()]).toMatchObject([202, { from: 1, to: 2 }]);
  while ((await ring()).version < 2) {
    // The frontend hears of it though no request for data tells it.
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect((await ring()).members.map(({ id }) => id)).toContain("r5");
  await expectAllThere(url, "?r=all&sloppy=false");
  const status = (await (await fetch(`${url}/v1/cluster`)).json()) as {
    readonly members: readonly { readonly id: string; readonly keys: number }[];
  };
  expect(status.members.find(({ id }) => id === "r5")?.keys).toBeGreaterThan(0);
}, 60_000);

it("knows what members and namespaces have become before its first request", async () => {
  await dev?.close();
  const url = await start(5);
  const body = new Uint8Array(1_500_000);
  const answer = await fetch(`${url}/v1/kv/large/k`, { method: "PUT", body });
  expect([answer.status, await answer.text()]).toEqual([201, ""]);
}, 60_000);
