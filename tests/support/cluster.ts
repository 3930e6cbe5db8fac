/** A cluster of nodes inside this process, on loopback and free ports, with folders that go away. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningNode, startNode } from "../../src/local/serve.ts";

export interface TestCluster {
  readonly dir: string;
  readonly clusterFile: string;
  readonly urls: readonly string[];
  start(id: string): Promise<void>;
  stop(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface TestClusterOptions {
  readonly tokensFile?: string;
  readonly timing?: Readonly<Record<string, number>>;
  readonly takesFaults?: boolean;
}

/** Ports that were free a moment ago, all at once so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Nodes that started at once have suspected each other; by asking they learn better. */
async function untilAllAnswer(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/v1/cluster`);
    if (answer.status !== 200) return;
    const { members } = (await answer.json()) as { members: { reachable: boolean }[] };
    if (members.every(({ reachable }) => reachable)) return;
  }
}

export async function startCluster(
  count: number,
  options: TestClusterOptions = {},
): Promise<TestCluster> {
  const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  const ports = await freePorts(count);
  const members = ports.map((port, i) => ({
    id: `r${i + 1}`,
    zone: ["a", "b", "c"][i % 3],
    url: `http://127.0.0.1:${port}`,
  }));
  const clusterFile = join(dir, "cluster.json");
  const { timing = {}, tokensFile, takesFaults = false } = options;
  const config = { name: "test", partitions: 64, n: Math.min(3, count), members, timing };
  writeFileSync(clusterFile, JSON.stringify(config));
  const running = new Map<string, RunningNode>();
  const start = async (id: string): Promise<void> => {
    const log = (): void => {};
    const dataDir = join(dir, id);
    running.set(id, await startNode({ clusterFile, id, dataDir, tokensFile, takesFaults, log }));
  };
  const stop = async (id: string): Promise<void> => {
    const node = running.get(id);
    running.delete(id);
    await node?.close();
  };
  await Promise.all(members.map(({ id }) => start(id)));
  await Promise.all(members.map(({ url }) => untilAllAnswer(url)));
  return {
    dir,
    clusterFile,
    urls: members.map(({ url }) => url),
    start,
    stop,
    close: async () => {
      await Promise.all([...running.keys()].map(stop));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
