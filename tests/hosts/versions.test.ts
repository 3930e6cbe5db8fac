/** A cluster in which one node is of a version too far from the others'. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROGRAM_VERSION, PROTOCOL_VERSION } from "../../core/version.ts";
import { type ClusterBody, type RingBody, verdictOf } from "../../src/frontend/admin/verdict.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

describe("a cluster with a node of another version", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const [next, later] = [PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 2];
    const near = { protocol: next, least: PROTOCOL_VERSION, version: "9.0.0" };
    const far = { protocol: later, least: next, version: "9.1.0-far" };
    cluster = await startCluster(3, {
      timing: { heartbeatMs: 50, suspectAfterMs: 200 },
      speech: { r2: near, r3: far },
    });
  });
  afterAll(() => cluster.close());

  const json = async (path: string): Promise<unknown> =>
    (await fetch(`${cluster.urls[0]}${path}`)).json();

  it("names the member and both versions, and works with the one next to it", async () => {
    const status = async () => (await json("/v1/cluster")) as ClusterBody;
    const shown = async () => {
      const { version, members } = await status();
      return [
        version,
        ...members.map((one) => [one.version, one.reachable, one.incompatible] as const),
      ];
    };
    await expect
      .poll(shown)
      .toEqual([
        PROGRAM_VERSION,
        [PROGRAM_VERSION, true, false],
        ["9.0.0", true, false],
        ["9.1.0-far", false, true],
      ]);
    const verdict = verdictOf(await status(), (await json("/v1/cluster/ring")) as RingBody);
    expect(verdict.text).toContain(
      `The frontend asked (starling ${PROGRAM_VERSION}) and r3 (starling 9.1.0-far) refuse each other`,
    );
    expect(verdict.text).not.toContain("Start r3");
    const metrics = await (await fetch(`${cluster.urls[0]}/metrics`)).text();
    expect(metrics).toContain("starling_peers_incompatible 1\n");
  });

  it("says when members began, and since when one is away", async () => {
    const began = Date.now();
    const { members } = (await json("/v1/cluster")) as ClusterBody;
    const [r1, , r3] = members;
    expect(Date.parse(r1?.startedAt ?? "")).toBeLessThan(began);
    expect(r1?.unreachableSince).toBeNull();
    expect(Date.parse(r3?.unreachableSince ?? "")).toBeLessThanOrEqual(Date.now());
    expect(r3?.startedAt).toBeNull();
  });

  it("says since when the oldest hint waits for the one that is away", async () => {
    const began = Date.now();
    const [url = ""] = cluster.urls;
    const body = JSON.stringify({ replica: "r1" });
    // It no longer waits for members that it cannot reach, and then coordinates requests itself.
    expect((await fetch(`${url}/v1/cluster/accept-loss`, { method: "POST", body })).ok).toBe(true);
    await expect.poll(async () => (await fetch(`${url}/readyz?owns`)).status).toBe(200);
    expect((await fetch(`${url}/v1/kv/a/k`, { method: "PUT", body: "v" })).ok).toBe(true);
    const hintedAt = async (): Promise<string> => {
      const { members } = (await json("/v1/cluster")) as ClusterBody;
      return members.find(({ id }) => id === "r1")?.oldestHintAt ?? "";
    };
    await expect.poll(hintedAt).not.toBe("");
    expect(Date.parse(await hintedAt())).toBeGreaterThanOrEqual(began - 1);
  });
});
