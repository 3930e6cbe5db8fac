import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { clusterKeys, systemPrng } from "../../src/local/identity/secrets.ts";
import { ConfigError } from "../../src/local/process/config-error.ts";
import { type RunningNode, startNode } from "../../src/local/serve.ts";
import { freePorts, startCluster } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let fileCount = 0;

function start(url: string, options: { log?: (event: string) => void } = {}): Promise<RunningNode> {
  const clusterFile = join(dir, `cluster-${++fileCount}.json`);
  const members = [{ id: "r1", zone: "a", url }];
  writeFileSync(clusterFile, JSON.stringify({ name: "one", partitions: 8, n: 1, members }));
  const dataDir = join(dir, `data-${fileCount}`);
  return startNode({ clusterFile, id: "r1", dataDir, log: options.log ?? (() => {}) });
}

async function refusal(url: string): Promise<string> {
  const error: unknown = await start(url).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).message;
}

describe("a node that cannot listen", () => {
  it("names the file, the member and the mend", async () => {
    const taken = await startCluster(1);
    try {
      const line = await refusal(taken.urls[0] ?? "");
      expect(line).toMatch(/cluster-[0-9]+\.json: member r1 .*port is taken; .*change the url$/);
    } finally {
      await taken.close();
    }
    expect(await refusal("https://127.0.0.1:7101")).toMatch(
      /\.json: member r1 .*--tls-cert.*http:\/\//,
    );
    expect(await refusal("http://127.0.0.999:7101")).toMatch(
      /\.json: members\[0\] \(r1\): "url" must be .*127\.0\.0\.999/,
    );
  });

  it("has let go of its folder", async () => {
    const taken = await startCluster(1);
    const clusterFile = join(dir, "again.json");
    const dataDir = join(dir, "again");
    const write = (url: string): void => {
      const members = [{ id: "r1", zone: "a", url }];
      writeFileSync(clusterFile, JSON.stringify({ name: "one", partitions: 8, n: 1, members }));
    };
    const again = (): Promise<RunningNode> =>
      startNode({ clusterFile, id: "r1", dataDir, log: () => {} });
    try {
      write(taken.urls[0] ?? "");
      await expect(again()).rejects.toThrow(/taken/);
      write(`http://127.0.0.1:${(await freePorts(1))[0]}`);
      await (await again()).close();
    } finally {
      await taken.close();
    }
  });
});

describe("a folder of another cluster", () => {
  it("is refused in one line with the mend, and let go of", async () => {
    const [port] = await freePorts(1);
    const members = [{ id: "r1", zone: "a", url: `http://127.0.0.1:${port}` }];
    const dataDir = join(dir, "foreign");
    const clusterFile = join(dir, "foreign.json");
    const startAs = (name: string, partitions: number): Promise<RunningNode> => {
      writeFileSync(clusterFile, JSON.stringify({ name, partitions, n: 1, members }));
      return startNode({ clusterFile, id: "r1", dataDir, log: () => {} });
    };
    const first = await startAs("mine", 8);
    await fetch(`${first.url}/v1/namespaces/a`, { method: "PUT", body: "{}" });
    await first.close();
    for (const [name, partitions] of [
      ["other", 8],
      ["mine", 16],
    ] as const) {
      const error: unknown = await startAs(name, partitions).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).message).toMatch(/foreign: .*another --data$/);
    }
    await (await startAs("mine", 8)).close();
  });
});

describe("a node that listens", () => {
  it("says so after the secret, stops with a word, and hides what is internal", async () => {
    const events: string[] = [];
    const [port] = await freePorts(1);
    const node = await start(`http://127.0.0.1:${port}`, { log: (event) => events.push(event) });
    const lines = ["Connection: Upgrade", "Upgrade: starling-internal/1", "Starling-Cluster: one"];
    const ask = (path: string): ReturnType<typeof rawRequest> =>
      rawRequest(
        node.url,
        `${[`GET ${path} HTTP/1.1`, "Host: localhost", ...lines].join("\r\n")}\r\n\r\n`,
      );
    const [internal, unknown] = [await ask("/internal"), await ask("/no-such")];
    expect([internal.status, internal.body]).toEqual([404, unknown.body]);
    expect(internal.body).toContain("no-such-route");
    await node.close();
    expect(events).toEqual(["derived-secret", "no-tokens", "listening", "stopped"]);
    await expect(fetch(node.url)).rejects.toThrow();
  });

  it("waits for nobody who has gone when it stops", async () => {
    const cluster = await startCluster(3, { timing: { heartbeatMs: 50, suspectAfterMs: 200 } });
    for (const url of cluster.urls) {
      await fetch(`${url}/v1/kv/a/${url.slice(-2)}`, { method: "PUT", body: "x" });
    }
    // A hang is what would be seen: by the limit of this test.
    await Promise.all(["r1", "r2", "r3"].map((id) => cluster.stop(id)));
    await cluster.close();
  }, 10_000);
});

describe("the keys of a cluster", () => {
  it("follow from the secret, and each is of its own", () => {
    const [a, same, other] = ["one secret", "one secret", "another"].map((text) =>
      clusterKeys(Buffer.from(text), "c"),
    );
    expect(a?.ringSeed).toBe(same?.ringSeed);
    expect(a?.transport).toEqual(same?.transport);
    expect(a?.hash.digest("x")).toBe(same?.hash.digest("x"));
    expect(a?.ringSeed).not.toBe(other?.ringSeed);
    expect(a?.transport).not.toEqual(other?.transport);
    expect(a?.hash.digest("x")).not.toBe(other?.hash.digest("x"));
    // ETags and contexts are of one hash; contexts are bound to the name beside it.
    expect([a?.hash.realm, clusterKeys(Buffer.from("one secret"), "d").hash.realm]).toEqual([
      "c",
      "d",
    ]);
    expect(BigInt(a?.ringSeed ?? -1)).toBeLessThan(2n ** 64n);
  });

  it("are not what a generator starts from", () => {
    const draws = new Set(Array.from({ length: 8 }, () => systemPrng().below(2 ** 32)));
    expect(draws.size).toBe(8);
  });
});
