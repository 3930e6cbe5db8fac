/** A cluster of nodes inside this process, on loopback and free ports, with folders that go away. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Speech } from "../../core/version.ts";
import { type RunningNode, startNode } from "../../src/local/serve.ts";

export interface TestCluster {
  readonly dir: string;
  readonly clusterFile: string;
  readonly urls: readonly string[];
  /** Of the cache doors, where the nodes have some. */
  readonly cacheUrls: readonly string[];
  start(id: string): Promise<void>;
  stop(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface TestClusterOptions {
  /** The cluster's name; with another name it has another secret, too. */
  readonly name?: string;
  readonly tokensFile?: string;
  readonly timing?: Readonly<Record<string, number>>;
  readonly takesFaults?: boolean;
  /** Members that speak as another version of the program does. */
  readonly speech?: Readonly<Record<string, Speech>>;
  /** Each node has a cache door, in front of this origin where one is named. */
  readonly cache?: { readonly origin?: string };
}

/**
 * Below the ports that systems give outgoing connections, and above those that `fetch` refuses as
 * another protocol's ("bad port", Fetch Standard, 2.9): 10080 is the last of them.
 */
const PORT_MIN = 10_100;
const PORT_MAX = 32_000;

/** Each test process begins at a different port. */
let nextPort = PORT_MIN + ((process.pid * 97) % 20_000);

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}

/**
 * Ports in a row that nobody listens on. A node that is killed finds its own still free when it
 * starts again, which it might not if they were of the range for outgoing connections.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = nextPort++;
    if (nextPort > PORT_MAX) nextPort = PORT_MIN;
    if (ports.length > 0 && ports.at(-1) !== port - 1) ports.length = 0;
    if (await isFree(port)) ports.push(port);
    else ports.length = 0;
  }
  return ports;
}

/** Nodes that started at once may suspect each other; requests show them that they live. */
export async function untilAllAnswer(url: string): Promise<void> {
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
  const all = await freePorts(2 * count);
  const ports = all.slice(0, count);
  const doorUrls = all.slice(count).map((port) => `http://127.0.0.1:${port}`);
  const members = ports.map((port, i) => ({
    id: `r${i + 1}`,
    zone: ["a", "b", "c"][i % 3],
    url: `http://127.0.0.1:${port}`,
  }));
  const clusterFile = join(dir, "cluster.json");
  const {
    name = "test",
    timing = {},
    tokensFile,
    takesFaults = false,
    cache,
    speech = {},
  } = options;
  const config = { name, partitions: 64, n: Math.min(3, count), members, timing };
  writeFileSync(clusterFile, JSON.stringify(config));
  const running = new Map<string, RunningNode>();
  const start = async (id: string): Promise<void> => {
    const log = (): void => {};
    const dataDir = join(dir, id);
    const url = new URL(doorUrls[Number(id.slice(1)) - 1] ?? "");
    const door = cache === undefined ? undefined : { url, origin: cache.origin };
    const node = { clusterFile, id, dataDir, tokensFile, takesFaults, cache: door, log };
    running.set(id, await startNode({ ...node, speech: speech[id] }));
  };
  const stop = async (id: string): Promise<void> => {
    const node = running.get(id);
    running.delete(id);
    await node?.close();
  };
  await Promise.all(members.map(({ id }) => start(id)));
  // Those of other versions may never hear each other.
  const areEqual = Object.keys(speech).length === 0;
  if (areEqual) await Promise.all(members.map(({ url }) => untilAllAnswer(url)));
  return {
    dir,
    clusterFile,
    urls: members.map(({ url }) => url),
    cacheUrls: cache === undefined ? [] : doorUrls,
    start,
    stop,
    close: async () => {
      await Promise.all([...running.keys()].map(stop));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
