/** A bounded namespace from outside, on real processes: it stays within its bound, and useful. */
import { afterEach, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const settings = { n: 3, r: "quorum", w: "quorum", dw: "quorum", ttl: null };
const BOUND = 1_000_000;
const VALUE_BYTES = 4000;
let cluster: ProcessCluster;

interface Page {
  readonly keys: readonly { readonly name: string }[];
  readonly list_complete: boolean;
  readonly cursor: string;
}

afterEach(() => cluster.close());

async function bound(namespace: string, more: object): Promise<void> {
  const document = {
    ...settings,
    maxValueBytes: 1_048_576,
    maxBytes: BOUND,
    trustedContent: false,
  };
  const request = { method: "PUT", body: JSON.stringify({ ...document, ...more }) };
  const answer = await fetch(`${cluster.urlOf("r1")}/v1/namespaces/${namespace}`, request);
  expect(answer.ok).toBe(true);
  await answer.text();
}

/** Through one frontend after the other. */
const urlOf = (turn: number, path: string): string =>
  `${cluster.urlOf(cluster.ids[turn % cluster.ids.length] ?? "")}/v1/kv/${path}`;

async function put(turn: number, path: string, byteCount = VALUE_BYTES): Promise<number> {
  const request = { method: "PUT", body: "x".repeat(byteCount) };
  const answer = await fetch(urlOf(turn, path), request);
  await answer.text();
  return answer.status;
}

async function get(turn: number, path: string): Promise<number> {
  const answer = await fetch(urlOf(turn, path));
  await answer.text();
  return answer.status;
}

async function metric(id: string, name: string): Promise<number> {
  const answer = await fetch(`${cluster.urlOf(id)}/metrics`);
  const lines = (await answer.text()).split("\n").filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function keysOf(namespace: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (let cursor = ""; ; ) {
    const answer = await fetch(urlOf(0, `${namespace}?cursor=${cursor}`));
    const page = (await answer.json()) as Page;
    names.push(...page.keys.map(({ name }) => name));
    if (page.list_complete) return names;
    cursor = page.cursor;
  }
}

/** A replica that coordinated a write keeps some bytes more of it than the one that decides. */
const SLACK = 1.03;

async function untilWithin(ids: readonly string[] = cluster.ids): Promise<void> {
  for (;;) {
    const sizes = await Promise.all(ids.map((id) => metric(id, "starling_namespace_bytes")));
    if (Math.min(...sizes) <= BOUND && Math.max(...sizes) <= BOUND * SLACK) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const timing = { antiEntropyMs: 86_400_000, handoffMs: 86_400_000 };

describe("a namespace of 1 MB", () => {
  it("takes 5 MB without an error, keeps what is read, and is the same everywhere", async () => {
    cluster = await startProcesses(3, { timing });
    await bound("cache", {});
    const hot = Array.from({ length: 50 }, (_, i) => `cache/hot${i}`);
    for (const [i, path] of hot.entries()) expect(await put(i, path)).toBe(201);
    const statuses = new Set<number>();
    for (let i = 0; i < 1250; i += 10) {
      const batch = Array.from({ length: 10 }, (_, j) => put(i + j, `cache/k${i + j}`));
      for (const status of await Promise.all(batch)) statuses.add(status);
      const reads = Array.from({ length: 10 }, (_, j) => get(i + j, hot[(i + j) % 50] ?? ""));
      await Promise.all(reads);
    }
    expect([...statuses]).toEqual([201]);
    await untilWithin();
    const keys = await keysOf("cache");
    expect(keys.length * VALUE_BYTES).toBeLessThanOrEqual(BOUND);
    expect(keys.length * VALUE_BYTES).toBeGreaterThan(BOUND * 0.85);
    expect(keys.filter((key) => key.startsWith("hot"))).toHaveLength(50);
    for (const [i, path] of hot.entries()) expect([path, await get(i, path)]).toEqual([path, 200]);
    const compared = await fetch(`${cluster.urlOf("r1")}/v1/cluster/anti-entropy`, {
      method: "POST",
    });
    expect(await compared.json()).toMatchObject({ keysSent: 0, keysReceived: 0 });
    const evicted = cluster.ids.map((id) => metric(id, "starling_evictions_total"));
    const total = (await Promise.all(evicted)).reduce((sum, count) => sum + count, 0);
    expect(total).toBe(1300 - keys.length);
  }, 120_000);

  it("is kept within its bound by the others while one is dead, and by that one after", async () => {
    cluster = await startProcesses(3, { timing: { ...timing, heartbeatMs: 200 } });
    await bound("cache", {});
    for (let i = 0; i < 200; i++) await put(i, `cache/before${i}`);
    for (const dead of cluster.ids) {
      await cluster.kill(dead);
      const alive = cluster.ids.filter((id) => id !== dead);
      for (let i = 0; i < 100; i++) {
        const turn = cluster.ids.indexOf(alive[i % 2] ?? "");
        expect(await put(turn, `cache/while-${dead}-${i}`)).toBe(201);
      }
      await untilWithin(alive);
      await cluster.start(dead);
      for (const job of ["handoff", "anti-entropy"]) {
        const url = `${cluster.urlOf("r1")}/v1/cluster/${job}`;
        await (await fetch(url, { method: "POST" })).text();
      }
      await untilWithin();
    }
    expect((await keysOf("cache")).length * VALUE_BYTES).toBeLessThanOrEqual(BOUND);
  }, 120_000);

  it("refuses with 507 only what is larger than all of it", async () => {
    cluster = await startProcesses(1, { timing });
    await bound("small", { n: 1, maxBytes: 10_000, r: 1, w: 1, dw: 1 });
    for (let i = 0; i < 5; i++) expect(await put(0, `small/k${i}`, 9000)).toBe(201);
    const answer = await fetch(urlOf(0, "small/k4"), { method: "PUT", body: "x".repeat(10_000) });
    expect(answer.status).toBe(507);
    expect(await answer.json()).toMatchObject({
      code: "insufficient-storage",
      detail: expect.stringContaining(`larger than its namespace's "maxBytes"`),
    });
    expect(await get(0, "small/k4")).toBe(200);
    for (;;) if ((await metric("r1", "starling_namespace_bytes")) <= 10_000) break;
    expect(await keysOf("small")).toEqual(["k4"]);
  });
});
