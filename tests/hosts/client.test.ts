import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StarlingClient } from "../../src/client/index.ts";
import { startDev } from "../../src/local/dev.ts";
import { clientContract } from "../contract/client-suite.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

clientContract("five Node nodes", () => startCluster(5));

clientContract("Miniflare", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "starling-test-"));
  const dev = await startDev({ port: 0, replicas: 5, dataDir, log: () => {} });
  return {
    urls: [dev.url],
    close: async () => {
      await dev.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
});

describe("the client with nodes away", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(5);
  });
  afterAll(() => cluster.close());

  it("asks another frontend, and says what quorum was missed", async () => {
    const cache = new StarlingClient({ url: cluster.urls, namespace: "away" });
    const session = cache.session();
    await session.put("k", "v");
    await cluster.stop("r1");
    await cluster.stop("r2");
    expect(await (await session.get("k")).text()).toBe("v");
    const held = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => cache.put(`k${i}`, "v", { w: "all", sloppy: false })),
    );
    const failures = held.filter((result) => result.status === "rejected");
    expect(failures.length).toBeGreaterThan(0);
    for (const { reason } of failures) expect(reason).toMatchObject({ outcome: "unknown" });
    const quorums = failures.map(({ reason }) => reason as { required: number; achieved: number });
    expect(quorums.some(({ required, achieved }) => required === 3 && achieved < 3)).toBe(true);
  });
});
