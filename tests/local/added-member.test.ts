/** A member that was added after the cluster file was written, and is started with that file. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type RunningNode, startNode } from "../../src/local/serve.ts";
import { freePorts, startCluster, type TestCluster } from "../support/cluster.ts";

const timing = { heartbeatMs: 100, suspectAfterMs: 600, antiEntropyMs: 500, handoffMs: 200 };
const patience = { timeout: 20_000, interval: 100 };

let cluster: TestCluster;
let added: RunningNode | undefined;
let member: { readonly id: string; readonly zone: string; readonly url: string };

const start = async (clusterFile: string, id = "r4"): Promise<void> => {
  added = await startNode({ clusterFile, id, dataDir: join(cluster.dir, id), log: () => {} });
};

async function stop(): Promise<void> {
  await added?.close();
  added = undefined;
}

async function commit(change: object): Promise<void> {
  const path = `${cluster.urls[0]}/v1/cluster/commit`;
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(change) });
  expect(answer.ok).toBe(true);
}

async function reachable(): Promise<readonly string[]> {
  const answer = await fetch(`${cluster.urls[1]}/v1/cluster`);
  const body = (await answer.json()) as { members: { id: string; reachable: boolean }[] };
  return body.members.filter((one) => one.reachable).map(({ id }) => id);
}

async function untilVersion(version: number): Promise<void> {
  const now = async (): Promise<number> =>
    ((await (await fetch(`${cluster.urls[1]}/v1/cluster`)).json()) as { ringVersion: number })
      .ringVersion;
  await expect.poll(now, patience).toBe(version);
}

beforeEach(async () => {
  cluster = await startCluster(3, { timing });
  const [port] = await freePorts(1);
  member = { id: "r4", zone: "b", url: `http://127.0.0.1:${port}` };
});
afterEach(async () => {
  await stop();
  await cluster.close();
});

it("starts by the ring that its folder keeps, while nobody else is there", async () => {
  const own = join(cluster.dir, "with-r4.json");
  const config = JSON.parse(readFileSync(cluster.clusterFile, "utf8"));
  writeFileSync(own, JSON.stringify({ ...config, members: [...config.members, member] }));
  await start(own);
  await commit({ add: [member] });
  await untilVersion(2);
  await stop();
  for (const id of ["r1", "r2", "r3"]) await cluster.stop(id);
  await start(cluster.clusterFile);
  expect(added?.url).toBe(member.url);
  for (const id of ["r1", "r2", "r3"]) await cluster.start(id);
  await expect.poll(reachable, patience).toEqual(["r1", "r2", "r3", "r4"]);
});

it("starts with an empty folder by what the others say, and not once it was removed", async () => {
  await commit({ add: [member] });
  await start(cluster.clusterFile);
  expect(added?.url).toBe(member.url);
  await untilVersion(2);
  await expect.poll(reachable, patience).toEqual(["r1", "r2", "r3", "r4"]);
  await commit({ remove: ["r4"] });
  await untilVersion(3);
  await stop();
  await expect(start(cluster.clusterFile)).rejects.toThrow(/no member has the id "r4"/);
});

it("is refused when nobody has heard of it, and leaves no folder", async () => {
  await expect(start(cluster.clusterFile, "r9")).rejects.toThrow(
    /cluster\.json: no member has the id "r9"; choose one of r1, r2, r3$/,
  );
  expect(existsSync(join(cluster.dir, "r9"))).toBe(false);
});
