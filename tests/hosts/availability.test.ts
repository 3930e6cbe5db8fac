import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

/** Anti-entropy is as good as off: here handoff brings everything home. */
const timing = {
  ...{ handoffMs: 200, heartbeatMs: 200, suspectAfterMs: 800 },
  ...{ antiEntropyMs: 86_400_000 },
};

interface Explained {
  readonly replicas: readonly {
    readonly id: string;
    readonly role: string;
    readonly entry: { readonly etag: string; readonly hintFor: string | null } | null;
  }[];
}

describe("five processes of which two were killed", () => {
  let cluster: ProcessCluster;
  const keys = Array.from({ length: 60 }, (_, i) => `/v1/kv/away/k${i}`);
  const urls = (): readonly string[] => cluster.ids.map((id) => cluster.urlOf(id));
  const live = (): readonly string[] => [0, 3, 4].map((i) => urls()[i] as string);
  beforeAll(async () => {
    cluster = await startProcesses(5, { timing });
    await Promise.all([cluster.kill("r2"), cluster.kill("r3")]);
  });
  afterAll(() => cluster.close());

  it("take every default write and read through any live frontend", async () => {
    for (const [i, key] of keys.entries()) {
      const writer = live()[i % 3] as string;
      const reader = live()[(i + 1) % 3] as string;
      const written = await fetch(writer + key, { method: "PUT", body: key });
      expect([key, written.status]).toEqual([key, 201]);
      const got = await fetch(reader + key);
      expect([key, got.status, await got.text()]).toEqual([key, 200, key]);
    }
  });

  it("say in Starling-Quorum who stood in, and refuse what strictness cannot have", async () => {
    let fallbacks = 0;
    let refusals = 0;
    for (const key of keys) {
      const answer = await fetch(`${live()[0]}${key}?w=all`, { method: "PUT", body: key });
      expect(answer.status).toBe(204);
      const quorum = answer.headers.get("starling-quorum") ?? "";
      expect(quorum).toMatch(/acked=3/);
      fallbacks += Number(/fallbacks=(\d)/.exec(quorum)?.[1]);
      const strict = await fetch(`${live()[0]}${key}?consistency=strict`);
      if (strict.status === 200) continue;
      refusals++;
      expect(strict.status).toBe(503);
      expect(strict.headers.get("retry-after")).not.toBeNull();
      const problem = (await strict.json()) as Record<string, unknown>;
      expect(problem).toMatchObject({ code: "quorum-unavailable", required: 2 });
      expect(Number(problem["achieved"])).toBeLessThan(2);
    }
    expect(fallbacks).toBeGreaterThan(0);
    expect(refusals).toBeGreaterThan(0);
    const write = `${live()[0]}${keys[0]}?w=3&pw=3&sloppy=false`;
    const refused = await fetch(write, { method: "PUT", body: "x" });
    expect([503, 204]).toContain(refused.status);
    if (refused.status === 503) expect(await refused.text()).toContain("unknown");
  });

  it("hand everything over when the two are back, and then all primaries agree", async () => {
    await cluster.start("r2");
    await cluster.start("r3");
    const hintCount = async (): Promise<number> => {
      const answer = await fetch(`${urls()[0]}/v1/cluster`);
      const { members } = (await answer.json()) as {
        members: { hintsHeld: Record<string, number>; reachable: boolean }[];
      };
      if (!members.every(({ reachable }) => reachable)) return -1;
      return members.flatMap((m) => Object.values(m.hintsHeld)).reduce((a, b) => a + b, 0);
    };
    await expect.poll(hintCount, { timeout: 20_000, interval: 100 }).toBe(0);
    for (const key of keys) {
      const path = key.replace("/v1/kv/", "/v1/cluster/explain/");
      const explained = (await (await fetch(urls()[1] + path)).json()) as Explained;
      const primaries = explained.replicas.filter(({ role }) => role === "primary");
      const tags = new Set(primaries.map(({ entry }) => entry?.etag));
      expect([key, tags.size, tags.has(undefined)]).toEqual([key, 1, false]);
    }
  });

  it("answer alike through every frontend, ETags too", async () => {
    for (const key of keys) {
      const answers = await Promise.all(urls().map((url) => fetch(url + key)));
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      const tags = answers.map((answer) => answer.headers.get("etag"));
      expect([key, new Set(texts).size, new Set(tags).size]).toEqual([key, 1, 1]);
    }
  });
});
