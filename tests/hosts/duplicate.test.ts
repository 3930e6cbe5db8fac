import { spawn } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { freePorts } from "../support/cluster.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const BIN = fileURLToPath(new URL("../../bin/starling.js", import.meta.url));
const timing = { heartbeatMs: 100, suspectAfterMs: 1000 };

let cluster: ProcessCluster;
beforeAll(async () => {
  cluster = await startProcesses(3, { timing });
});
afterAll(() => cluster.close());

interface ClusterFile {
  readonly members: readonly { readonly id: string; readonly url: string }[];
}

/** The cluster's file, but for where r2 listens. */
async function elsewhere(): Promise<string> {
  const [port] = await freePorts(1);
  const config = JSON.parse(readFileSync(cluster.clusterFile, "utf8")) as ClusterFile;
  const members = config.members.map((member) =>
    member.id === "r2" ? { ...member, url: `http://127.0.0.1:${port}` } : member,
  );
  const file = join(cluster.dir, "elsewhere.json");
  writeFileSync(file, JSON.stringify({ ...config, members }));
  return file;
}

/** Runs until it ends by itself. */
async function untilEnded(
  args: readonly string[],
): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, said };
}

it("tells of a member that runs twice, and the younger of the two ends", async () => {
  await cluster.stop("r2");
  const copy = join(cluster.dir, "r2-copy");
  cpSync(join(cluster.dir, "r2"), copy, { recursive: true });
  await cluster.start("r2");
  const args = ["node", "--cluster", await elsewhere(), "--id", "r2", "--data", copy];
  const { status, said } = await untilEnded(args);
  expect(status).toBe(1);
  expect(said.trim().split("\n").at(-1)).toMatch(/another process runs as member r2.*--id.*--data/);
  const url = cluster.urlOf("r1");
  const about = (await (await fetch(`${url}/v1/cluster`)).json()) as {
    members: { id: string; duplicateSeenAt: string | null }[];
  };
  const seen = about.members.map(({ id, duplicateSeenAt }) => [id, duplicateSeenAt !== null]);
  expect(seen).toEqual([
    ["r1", false],
    ["r2", true],
    ["r3", false],
  ]);
  const hasNoticed = (id: string): boolean =>
    cluster
      .linesOf(id)
      .some(({ event, replica }) => event === "duplicate-replica" && replica === "r2");
  // The elder hears of it with the answer to its own next heartbeat.
  await vi.waitFor(() => expect(hasNoticed("r2")).toBe(true), { timeout: 10_000 });
  const other = ["r1", "r3"].find(hasNoticed) ?? "";
  const metrics = await (await fetch(`${cluster.urlOf(other)}/metrics`)).text();
  expect(metrics).toMatch(/starling_duplicate_replicas_total [1-9]/);
  // The elder goes on, and so does a restart of it.
  await cluster.stop("r2");
  await cluster.start("r2");
  const put = await fetch(`${cluster.urlOf("r2")}/v1/kv/demo/k?w=all`, {
    method: "PUT",
    body: "v",
  });
  expect(put.status).toBe(201);
}, 60_000);
