/** Namespaces with an N of their own, and another N for one that is in use, on real processes. */
import { afterEach, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const KEYS = Array.from({ length: 80 }, (_, i) => `k${i}`);
// No exchange by schedule: only the change itself compares anything.
const timing = { antiEntropyMs: 86_400_000, handoffMs: 500, heartbeatMs: 200 };
let cluster: ProcessCluster;
afterEach(() => cluster.close());

const urlOf = (turn: number, path: string): string =>
  `${cluster.urlOf(cluster.ids[turn % cluster.ids.length] ?? "")}${path}`;

/** Nodes that started at once may have suspected each other: then a fallback answers, or keeps. */
async function startFive(): Promise<void> {
  cluster = await startProcesses(5, { timing });
  for (const id of cluster.ids) {
    for (let areThere = false; !areThere; ) {
      const answer = await fetch(`${cluster.urlOf(id)}/v1/cluster`);
      const { members } = (await answer.json()) as { members: { reachable: boolean }[] };
      areThere = members.every(({ reachable }) => reachable);
    }
  }
}

/** On every owner. */
async function fill(namespace: string): Promise<void> {
  for (const [i, key] of KEYS.entries()) {
    const path = `${namespace}/${key}`;
    expect(await put(i, `${path}?w=all&sloppy=false`, key)).toEqual([expect.anything(), 201]);
  }
}

async function resize(namespace: string, n: number): Promise<number> {
  const request = { method: "PUT", body: JSON.stringify({ n }) };
  const answer = await fetch(urlOf(0, `/v1/namespaces/${namespace}`), request);
  await answer.text();
  return answer.status;
}

async function put(turn: number, path: string, body: string): Promise<[string, number]> {
  const answer = await fetch(urlOf(turn, `/v1/kv/${path}`), { method: "PUT", body });
  await answer.text();
  return [path, answer.status];
}

async function get(turn: number, path: string): Promise<string> {
  const answer = await fetch(urlOf(turn, `/v1/kv/${path}`));
  const text = await answer.text();
  return answer.status === 200 ? text : `${answer.status} ${text}`;
}

interface Explained {
  readonly n: number;
  readonly preferenceList: readonly string[];
  readonly replicas: readonly { readonly id: string; readonly entry: { etag: string } | null }[];
}

/** Who holds the key, in the order of its preference list, and whether all hold the same. */
async function held(path: string): Promise<{ ids: readonly string[]; areEqual: boolean }> {
  const answer = await fetch(urlOf(0, `/v1/cluster/explain/${path}`));
  const { replicas } = (await answer.json()) as Explained;
  const holding = replicas.filter(({ entry }) => entry !== null);
  const etags = new Set(holding.map(({ entry }) => entry?.etag));
  return { ids: holding.map(({ id }) => id), areEqual: etags.size === 1 };
}

async function untilHeldBy(namespace: string, n: number): Promise<void> {
  for (const key of KEYS) {
    for (;;) {
      const { ids, areEqual } = await held(`${namespace}/${key}`);
      if (ids.length === n && areEqual) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function untilSettled(): Promise<void> {
  for (;;) {
    const answer = await fetch(urlOf(0, "/v1/cluster/transfers"));
    const { namespaces } = (await answer.json()) as { namespaces: unknown[] };
    if (namespaces.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("namespaces with an N of their own", () => {
  it("keep so many copies beside each other", async () => {
    await startFive();
    for (const n of [1, 2, 5]) expect(await resize(`copies${n}`, n)).toBe(201);
    for (const namespace of ["copies1", "copies2", "plain", "copies5"]) {
      const n = namespace === "plain" ? 3 : Number(namespace.slice(-1));
      for (const [i, key] of KEYS.slice(0, 20).entries()) {
        const url = urlOf(i, `/v1/kv/${namespace}/${key}?w=all&sloppy=false`);
        const answer = await fetch(url, { method: "PUT", body: key });
        await answer.text();
        expect([answer.status, answer.headers.get("Starling-Quorum")]).toEqual([
          201,
          expect.stringContaining(`n=${n}`),
        ]);
        expect(await get(i + 1, `${namespace}/${key}?r=1&sloppy=false`)).toBe(key);
        expect((await held(`${namespace}/${key}`)).ids.length).toBeGreaterThanOrEqual(n);
      }
    }
  }, 60_000);
});

describe("another N", () => {
  it.each([
    [3, 5],
    [5, 2],
  ])(
    "from %i to %i, while clients read and write",
    async (from, to) => {
      await startFive();
      expect(await resize("live", from)).toBe(201);
      for (const [i, key] of KEYS.entries()) {
        expect(await put(i, `live/${key}`, key)).toEqual([`live/${key}`, 201]);
      }
      let isOver = false;
      const wrong: string[] = [];
      const reader = async (r: number): Promise<void> => {
        for (let i = 0; !isOver; i++) {
          const key = KEYS[i % KEYS.length] ?? "";
          const found = await get(i + r, `live/${key}?r=${r}&sloppy=false`);
          if (found !== key) wrong.push(`${key}: ${found}`);
        }
      };
      const written: string[] = [];
      const writer = async (): Promise<void> => {
        for (let i = 0; !isOver; i++) {
          const [path, status] = await put(i, `live/new${i}`, `new${i}`);
          // A write that was tried a second time may find its own first version.
          if (status === 201 || status === 204) written.push(`new${i}`);
          else wrong.push(`${path}: ${status}`);
        }
      };
      const clients = [reader(1), reader(2), writer()];
      expect(await resize("live", to)).toBe(200);
      await untilSettled();
      await untilHeldBy("live", to);
      isOver = true;
      await Promise.all(clients);
      expect(wrong).toEqual([]);
      expect(written.length).toBeGreaterThan(0);
      for (const [i, key] of written.entries()) expect(await get(i, `live/${key}`)).toBe(key);
    },
    120_000,
  );

  it("goes on when a new owner was killed meanwhile, and no reader notices", async () => {
    await startFive();
    await resize("live", 2);
    await fill("live");
    await cluster.kill("r5");
    expect(await resize("live", 4)).toBe(200);
    const answer = await fetch(urlOf(0, "/v1/cluster/transfers"));
    const { namespaces } = (await answer.json()) as { namespaces: { waitingFor: string[] }[] };
    expect(namespaces[0]).toMatchObject({ namespace: "live", from: 2, to: 4, phase: "filling" });
    expect(namespaces[0]?.waitingFor).toContain("r5");
    for (const [i, key] of KEYS.entries()) {
      expect(await get(i % 4, `live/${key}?r=1&sloppy=false`)).toBe(key);
    }
    await cluster.start("r5");
    await untilSettled();
    await untilHeldBy("live", 4);
  }, 120_000);
});
