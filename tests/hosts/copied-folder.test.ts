import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startNode } from "../../src/local/serve.ts";
import { freePorts, startCluster, type TestCluster } from "../support/cluster.ts";

const clusters: TestCluster[] = [];
const dirs: string[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

async function cluster(count: number): Promise<TestCluster> {
  const made = await startCluster(count);
  clusters.push(made);
  return made;
}

const put = async (url: string, body: string): Promise<string> => {
  const answer = await fetch(url, { method: "PUT", body });
  expect(answer.status).toBeLessThan(300);
  return answer.headers.get("etag") ?? "";
};

/** What the start of one more node is refused with. */
async function refusal(options: {
  readonly clusterFile: string;
  readonly id: string;
  readonly dataDir: string;
}): Promise<string> {
  const started = startNode({ ...options, log: () => {} });
  const error: unknown = await started.then(
    (node) => node.close(),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message;
}

it("refuses a folder that another replica filled, before it listens, and says what to do", async () => {
  const { dir, clusterFile, stop, start, urls } = await cluster(3);
  await fetch(`${urls[0]}/v1/kv/demo/k`, { method: "PUT", body: "v" });
  await stop("r1");
  await stop("r2");
  const copy = join(dir, "r2-from-r1");
  cpSync(join(dir, "r1"), copy, { recursive: true });
  const line = await refusal({ clusterFile, id: "r2", dataDir: copy });
  expect(line.split("\n")).toHaveLength(1);
  expect(line).toContain(copy);
  expect(line).toMatch(/is of replica r1 of cluster test, not of replica r2/);
  expect(line).toMatch(/--id r1/);
  expect(line).toMatch(/--data/);
  // Refused once, it is as it was: its own replica starts from it, and so does the other from its.
  expect(await refusal({ clusterFile, id: "r2", dataDir: copy })).toBe(line);
  await start("r1");
  await start("r2");
});

it("refuses a folder that was filled under the same id in another cluster", async () => {
  const { dir, stop } = await cluster(1);
  await stop("r1");
  const [port] = await freePorts(1);
  const other = join(dir, "other.json");
  const members = [{ id: "r1", zone: "a", url: `http://127.0.0.1:${port}` }];
  writeFileSync(other, JSON.stringify({ name: "prod", partitions: 64, n: 1, members }));
  const line = await refusal({ clusterFile: other, id: "r1", dataDir: join(dir, "r1") });
  expect(line).toMatch(
    /is of replica r1 of cluster test, not of replica r1 of cluster prod: .*another --data$/,
  );
});

it("never gives two values one ETag when two nodes go on from copies of one folder", async () => {
  const { dir, stop, start, urls } = await cluster(1);
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  const url = urls[0] as string;
  for (const key of keys) await put(`${url}/v1/kv/demo/${key}`, "before");
  await stop("r1");
  const away = mkdtempSync(join(tmpdir(), "starling-test-"));
  dirs.push(away);
  cpSync(join(dir, "r1"), join(away, "r1"), { recursive: true });
  const [port] = await freePorts(1);
  const clusterFile = join(away, "cluster.json");
  const members = [{ id: "r1", zone: "a", url: `http://127.0.0.1:${port}` }];
  writeFileSync(clusterFile, JSON.stringify({ name: "test", partitions: 64, n: 1, members }));
  const twin = await startNode({ clusterFile, id: "r1", dataDir: join(away, "r1"), log: () => {} });
  try {
    await start("r1");
    for (const key of keys) {
      const mine = await put(`${url}/v1/kv/demo/${key}`, "one");
      const other = await put(`${twin.url}/v1/kv/demo/${key}`, "two");
      expect([key, other]).not.toEqual([key, mine]);
    }
  } finally {
    await twin.close();
  }
});
