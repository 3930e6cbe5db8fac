/** `consistency=local_quorum` on real processes: three zones of two nodes each. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const timing = { ...{ heartbeatMs: 200, suspectAfterMs: 800 }, antiEntropyMs: 86_400_000 };
const LOCAL = "consistency=local_quorum";
const PATIENT = "timeout=20000";

interface Explained {
  readonly replicas: readonly {
    readonly id: string;
    readonly role: "primary" | "fallback";
    readonly entry: object | null;
  }[];
}

describe("six processes in three zones", () => {
  let cluster: ProcessCluster;
  const zoneOf = (id: string): string => "abc"[(Number(id.slice(1)) - 1) % 3] ?? "";
  const inZone = (zone: string): readonly string[] =>
    cluster.ids.filter((id) => zoneOf(id) === zone);
  const ask = (id: string, path: string, body?: string): Promise<Response> =>
    fetch(cluster.urlOf(id) + path, body === undefined ? {} : { method: "PUT", body });
  const quorumOf = ({ headers }: Response): string => headers.get("starling-quorum") ?? "";
  const primariesOf = async (at: string, key: string): Promise<readonly string[]> => {
    const answer = await ask(at, `/v1/cluster/explain/near/${key}`);
    const { replicas } = (await answer.json()) as Explained;
    return replicas.filter(({ role }) => role === "primary").map(({ id }) => id);
  };

  beforeAll(async () => {
    cluster = await startProcesses(6, { timing });
  });
  afterAll(() => cluster.close());

  it("wait for the frontend's zone alone, whichever it is", async () => {
    for (const id of cluster.ids) {
      const path = `/v1/kv/near/of-${id}?${LOCAL}`;
      const written = await ask(id, path, id);
      expect([written.status, quorumOf(written)]).toEqual([
        201,
        "n=3, w=1, acked=1, primaries=1, fallbacks=0, durable=1",
      ]);
      const got = await ask(id, path);
      expect([await got.text(), quorumOf(got)]).toEqual([
        id,
        "n=3, r=1, answered=1, primaries=1, fallbacks=0",
      ]);
    }
  });

  it("let a number win over the word", async () => {
    const written = await ask("r1", `/v1/kv/near/numbers?${LOCAL}&w=3`, "v");
    expect(quorumOf(written)).toMatch(/^n=3, w=3, acked=3, primaries=3/);
    const got = await ask("r1", `/v1/kv/near/numbers?${LOCAL}&r=all`);
    expect(quorumOf(got)).toBe("n=3, r=3, answered=3, primaries=3, fallbacks=0");
    // The other one of the two is of the zone as before.
    expect(quorumOf(await ask("r1", `/v1/kv/near/numbers?${LOCAL}&w=3`))).toMatch(/^n=3, r=1, /);
    const half = await ask("r1", `/v1/kv/near/numbers?${LOCAL}&r=3`, "v");
    expect(quorumOf(half)).toMatch(/^n=3, w=1, acked=1, /);
  });

  it("refuse several zones of one", async () => {
    const refused = await ask("r1", `/v1/kv/near/spread?${LOCAL}&zones=2`);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: "invalid-option", option: "zones" });
  });

  it("stand in the zone that the ring has for them, whatever a cluster file says later", async () => {
    const text = readFileSync(cluster.clusterFile, "utf8");
    writeFileSync(cluster.clusterFile, text.replaceAll(/"zone":"([abc])"/g, '"zone":"new-$1"'));
    await cluster.stop("r1");
    await cluster.start("r1");
    const path = `/v1/kv/near/renamed?${LOCAL}`;
    await expect.poll(async () => (await ask("r1", path, "v")).status).toBeLessThan(300);
    expect(quorumOf(await ask("r1", path, "v"))).toMatch(/^n=3, w=1, acked=1, /);
    writeFileSync(cluster.clusterFile, text);
  });

  it("show what is stored while the zone's only primary of it is away", async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `away-${i}`);
    // On the primaries themselves, however busy the machine is: members whose connection to r1 is
    // not there again since it was restarted say at once that it cannot be reached.
    for (const key of keys) {
      const path = `/v1/kv/near/${key}?w=all&sloppy=false&${PATIENT}`;
      const isWritten = async (): Promise<boolean> => (await ask("r2", path, key)).ok;
      await expect.poll(isWritten, { timeout: 20_000 }).toBe(true);
    }
    const [away = "", stays = ""] = inZone("a");
    const owned: string[] = [];
    for (const key of keys) if ((await primariesOf("r2", key)).includes(away)) owned.push(key);
    expect(owned.length).toBeGreaterThan(0);
    await cluster.kill(away);
    for (let round = 0; round < 5; round++) {
      for (const key of owned) {
        const got = await ask(stays, `/v1/kv/near/${key}?${LOCAL}&${PATIENT}`);
        expect([key, got.status, await got.text()]).toEqual([key, 200, key]);
      }
    }
    const written = await ask(stays, `/v1/kv/near/${owned[0]}?${LOCAL}`, "anew");
    expect(quorumOf(written)).toMatch(/^n=3, w=1, acked=1, primaries=0, fallbacks=1/);
    await cluster.start(away);
  });
});
