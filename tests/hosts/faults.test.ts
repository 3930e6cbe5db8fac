import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startDev } from "../../src/local/dev.ts";
import { availabilityContract } from "../contract/availability-suite.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

const timing = { handoffMs: 200, heartbeatMs: 200, suspectAfterMs: 800, antiEntropyMs: 60_000 };

availabilityContract("Node", () => startCluster(5, { timing, takesFaults: true }));

availabilityContract("Miniflare", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "starling-test-"));
  const dev = await startDev({ port: 0, replicas: 5, dataDir, takesFaults: true, log: () => {} });
  const close = async (): Promise<void> => {
    await dev.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { urls: [dev.url], close };
});

describe("a deployment that does not take faults", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(1);
  });
  afterAll(() => cluster.close());

  it("says how to turn them on", async () => {
    const answer = await fetch(`${cluster.urls[0]}/v1/cluster/faults/r1`, {
      method: "PUT",
      body: JSON.stringify({ kind: "down" }),
    });
    expect(answer.status).toBe(403);
    const detail = expect.stringContaining("--faults");
    expect(await answer.json()).toMatchObject({ code: "faults-off", detail });
  });
});
