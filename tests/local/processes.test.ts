import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../cli/run.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const timing = { heartbeatMs: 200, suspectAfterMs: 800, handoffMs: 200 };

let cluster: ProcessCluster;
beforeAll(async () => {
  cluster = await startProcesses(4, { timing });
});
afterAll(() => cluster.close());

const at = (id: string, key: string): string => `${cluster.urlOf(id)}/v1/kv/real/${key}`;
const put = (id: string, key: string, body: string): Promise<Response> =>
  fetch(at(id, key), { method: "PUT", body });

async function suspected(by: string): Promise<readonly string[]> {
  const answer = await fetch(`${cluster.urlOf(by)}/v1/cluster`);
  const { members } = (await answer.json()) as { members: { id: string; reachable: boolean }[] };
  return members.filter(({ reachable }) => !reachable).map(({ id }) => id);
}

/** Writes through one node and reads through another, by default quorums. */
async function expectService(writer: string, reader: string, prefix: string): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const key = `${prefix}${i}`;
    const written = await put(writer, key, key);
    expect([key, written.status]).toEqual([key, 201]);
    const got = await fetch(at(reader, key));
    expect([key, got.status, await got.text()]).toEqual([key, 200, key]);
  }
}

describe("four processes", () => {
  it("log first that they listen, in JSON, and that the secret was derived", async () => {
    for (const id of cluster.ids) {
      await expect.poll(() => cluster.linesOf(id).length).toBeGreaterThan(1);
      const [first, second] = cluster.linesOf(id);
      expect(first).toMatchObject({ event: "listening", id, url: cluster.urlOf(id) });
      expect(second).toMatchObject({ event: "derived-secret", id });
    }
  });

  it("store, show and delete through each other", async () => {
    await expectService("r1", "r2", "whole");
    expect((await fetch(at("r3", "whole1"), { method: "DELETE" })).status).toBe(204);
    expect((await fetch(at("r4", "whole1"))).status).toBe(404);
  });

  it("serve on while one is killed, and it has what it acknowledged when it is back", async () => {
    await cluster.kill("r3");
    const checked = await run(["check", join(cluster.dir, "r3")]);
    expect(checked.out).toMatch(/not stopped cleanly\n$/);
    // A node killed between two records leaves a sound log; otherwise its tail is torn.
    expect(checked.code).toBe(/ 0 bytes torn, 0 corrupt/.test(checked.out) ? 0 : 1);
    await expectService("r1", "r4", "killed");
    expect(await suspected("r1")).toEqual(["r3"]);
    await cluster.start("r3");
    for (const id of ["r1", "r2", "r4"]) await expect.poll(() => suspected(id)).toEqual([]);
    for (let i = 2; i < 30; i++) {
      for (const key of [`whole${i}`, `killed${i}`]) {
        const got = await fetch(at("r3", key));
        expect([key, got.status, await got.text()]).toEqual([key, 200, key]);
      }
    }
  });

  it("serve on while one is frozen, and take it back when it thaws", async () => {
    cluster.pause("r2");
    await expectService("r1", "r3", "frozen");
    await expect.poll(() => suspected("r1")).toEqual(["r2"]);
    cluster.resume("r2");
    await expect.poll(() => suspected("r1"), { timeout: 10_000 }).toEqual([]);
    await expectService("r2", "r1", "thawed");
  });

  it("end with status 0 when asked to, with what is in flight answered", async () => {
    const keys = Array.from({ length: 50 }, (_, i) => `last${i}`);
    const writes = keys.map(async (key) => (await put("r4", key, key)).status);
    expect(await Promise.race(writes)).toBe(201);
    expect(await cluster.stop("r4")).toBe(0);
    const statuses = await Promise.allSettled(writes);
    // The others came too late: their connection was refused.
    const answered = keys.filter((_, i) => statuses[i]?.status === "fulfilled");
    for (const [i, outcome] of statuses.entries()) {
      if (outcome.status === "fulfilled") expect([keys[i], outcome.value]).toEqual([keys[i], 201]);
    }
    await cluster.start("r4");
    for (const key of answered) expect(await (await fetch(at("r4", key))).text()).toBe(key);
    expect(cluster.linesOf("r4").map(({ event }) => event)).toContain("stopped");
  });

  it("never log a value, a key or a stack", () => {
    for (const id of cluster.ids) {
      const text = JSON.stringify(cluster.linesOf(id));
      for (const word of ["whole1", "frozen1", ".ts:"])
        expect([id, text.includes(word)]).toEqual([id, false]);
    }
  });
});

describe("a process with tokens", () => {
  it("reads them again on SIGHUP, and keeps the old ones when they make no sense", async () => {
    const file = join(cluster.dir, "tokens.json");
    const write = (token: string): void =>
      writeFileSync(file, JSON.stringify({ tokens: [{ token, role: "read" }] }));
    write("the-first-token");
    const guarded = await startProcesses(1, { flags: ["--tokens-file", file] });
    try {
      const status = async (token: string): Promise<number> => {
        const headers = { Authorization: `Bearer ${token}` };
        return (await fetch(`${guarded.urlOf("r1")}/v1/kv/a/b`, { headers })).status;
      };
      expect([await status("the-first-token"), await status("the-second-token")]).toEqual([
        404, 401,
      ]);
      write("the-second-token");
      guarded.signal("r1", "SIGHUP");
      await expect.poll(() => status("the-second-token")).toBe(404);
      expect(await status("the-first-token")).toBe(401);
      writeFileSync(file, "no JSON");
      guarded.signal("r1", "SIGHUP");
      await expect
        .poll(() => guarded.linesOf("r1").some(({ event }) => event === "tokens-unreadable"))
        .toBe(true);
      expect(await status("the-second-token")).toBe(404);
      expect(JSON.stringify(guarded.linesOf("r1"))).not.toContain("second-token");
    } finally {
      await guarded.close();
    }
  });
});
