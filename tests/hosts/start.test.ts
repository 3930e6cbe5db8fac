import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { startNode } from "../../src/local/serve.ts";
import { freePorts, startCluster } from "../support/cluster.ts";

const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function refusal(config: unknown, more: Record<string, string> = {}): Promise<string> {
  const clusterFile = join(dir, "cluster.json");
  writeFileSync(clusterFile, typeof config === "string" ? config : JSON.stringify(config));
  const options = { clusterFile, id: "r1", dataDir: join(dir, "data"), log: () => {}, ...more };
  const error: unknown = await startNode(options).then(
    async (node) => {
      await node.close();
      return null;
    },
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message.split("\n")).toHaveLength(1);
  return message;
}

const member = (id: string, url = "http://127.0.0.1:1"): unknown => ({ id, zone: "a", url });
const good = { name: "t", partitions: 64, n: 1, members: [member("r1")] };

describe("a node refuses to start", () => {
  it.each([
    ["a file that is no JSON", "{", /JSON/],
    ["an unknown member", { ...good, colour: 1 }, /colour/],
    [
      "two members with one id",
      { ...good, members: [member("r1"), member("r1", "http://127.0.0.1:2")] },
      /r1/,
    ],
    ["an id that is not in it", { ...good, members: [member("r2")] }, /r2/],
    ["partitions that are no power of two", { ...good, partitions: 100 }, /partitions/],
    ["n larger than the members", { ...good, n: 2 }, /"?n"?/],
    [
      "a member that is not on loopback, without a secret",
      { ...good, members: [member("r1", "http://10.0.0.1:1")] },
      /--secret-file/,
    ],
  ])("with %s", async (_, config, pattern) => {
    const line = await refusal(config);
    expect(line).toMatch(pattern);
    expect(line).toContain("cluster.json");
  });

  it("with files that are missing or make no sense", async () => {
    expect(await refusal(good, { secretFile: join(dir, "none") })).toMatch(/secret file/);
    writeFileSync(join(dir, "short"), "short");
    expect(await refusal(good, { secretFile: join(dir, "short") })).toMatch(/16/);
    writeFileSync(join(dir, "tokens"), '{"tokens":[{"token":"long-enough","role":"king"}]}');
    expect(await refusal(good, { tokensFile: join(dir, "tokens") })).toMatch(/role/);
    expect(await refusal(good, { clusterFile: join(dir, "nowhere") })).toMatch(/nowhere/);
  });

  it("on a folder that it cannot write to, and says which and what to do", async () => {
    const below = join(dir, "cluster.json", "data");
    expect(await refusal(good, { dataDir: below })).toMatch(/cluster\.json\/data: .*give --data/);
    // Nobody can write here, not even root.
    expect(await refusal(good, { dataDir: "/proc" })).toMatch(/^\/proc: .*give --data/);
  });

  it("on a port that is taken, and on a folder that is in use", async () => {
    const cluster = await startCluster(1);
    try {
      const url = cluster.urls[0] as string;
      const taken = { ...good, members: [member("r1", url)] };
      expect(await refusal(taken)).toMatch(/taken/);
      const [port] = await freePorts(1);
      const free = { ...good, members: [member("r1", `http://127.0.0.1:${port}`)] };
      expect(await refusal(free, { dataDir: join(cluster.dir, "r1") })).toMatch(/in use/);
    } finally {
      await cluster.close();
    }
  });
});

describe("a node that was stopped", () => {
  it("has everything when it is started again", async () => {
    const cluster = await startCluster(1);
    try {
      const url = `${cluster.urls[0]}/v1/kv/kept`;
      for (let i = 0; i < 20; i++) await fetch(`${url}/k${i}`, { method: "PUT", body: `v${i}` });
      await fetch(`${url}/k3`, { method: "DELETE" });
      await cluster.stop("r1");
      await cluster.start("r1");
      for (let i = 0; i < 20; i++) {
        const got = await fetch(`${url}/k${i}`);
        expect([i, got.status]).toEqual([i, i === 3 ? 404 : 200]);
        if (i !== 3) expect(await got.text()).toBe(`v${i}`);
      }
    } finally {
      await cluster.close();
    }
  });
});
