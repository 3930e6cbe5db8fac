import {
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
  SELF,
} from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { decodeDocument } from "../../ring/cluster-document.ts";
import { ask, knowledge, stubOf } from "./support.ts";

const base = "http://localhost";
const ids = ["r1", "r2", "r3", "r4", "r5"];
const BOUND = 100_000;
const VALUE_BYTES = 2000;

async function fetched(path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await SELF.fetch(`${base}${path}`, init);
  return new Response(await answer.arrayBuffer(), answer);
}

async function bound(namespace: string, more: object): Promise<void> {
  const document = {
    ...{ n: 3, r: "quorum", w: "quorum", dw: "quorum", ttl: null },
    ...{ maxValueBytes: 1_048_576, maxBytes: BOUND, trustedContent: false },
    ...more,
  };
  const request = { method: "PUT", body: JSON.stringify(document) };
  expect((await fetched(`/v1/namespaces/${namespace}`, request)).ok).toBe(true);
}

const put = async (path: string, byteCount = VALUE_BYTES): Promise<number> =>
  (await fetched(`/v1/kv/${path}?w=all`, { method: "PUT", body: "x".repeat(byteCount) })).status;

/** Bytes of the namespace's values on each replica, as it counts them itself. */
const usedOf = (namespace: string): Promise<number[]> =>
  Promise.all(
    ids.map((id) =>
      runInDurableObject(stubOf(id), (_, { storage }) => {
        const query = "SELECT value_bytes FROM usage WHERE namespace = ?";
        return Number(storage.sql.exec(query, namespace).toArray()[0]?.["value_bytes"] ?? 0);
      }),
    ),
  );

/** The namespaces made here are part of what nodes must agree on before they speak. */
async function learn(): Promise<void> {
  const reply = await ask("r1", { kind: "touched", keys: [] });
  if (reply.kind === "stale") (await knowledge()).learn(decodeDocument(reply.document));
}

describe("a bounded namespace on Durable Objects", () => {
  it("stays within its bound, as a whole, over the objects' sleep", async () => {
    await bound("bounded", {});
    for (let i = 0; i < 100; i++) {
      expect(await put(`bounded/k${i}`)).toBe(201);
      // An object that sleeps forgets what was read, not what is stored.
      if (i === 60) for (const id of ids) await evictDurableObject(stubOf(id));
    }
    for (let i = 0; i < 3; i++) for (const id of ids) await runDurableObjectAlarm(stubOf(id));
    const used = await usedOf("bounded");
    const copies = used.reduce((sum, byteCount) => sum + byteCount, 0);
    // Three copies of each value; a replica that holds three of five partitions judges by those.
    expect(copies).toBeLessThan(3 * BOUND * 1.1);
    expect(copies).toBeGreaterThan(3 * BOUND * 0.6);
  });

  it("notes a read in memory alone", async () => {
    await bound("noted", { maxBytes: 1_000_000 });
    await put("noted/k");
    const changes = async (): Promise<number[]> =>
      Promise.all(
        ids.map((id) =>
          runInDurableObject(stubOf(id), (_, { storage }) =>
            Number(storage.sql.exec("SELECT total_changes() AS n").one()["n"]),
          ),
        ),
      );
    const before = await changes();
    const READS = 20;
    for (let i = 0; i < READS; i++) expect((await fetched("/v1/kv/noted/k?r=3")).status).toBe(200);
    // A replica's own rows may change meanwhile, by an alarm; each read would be one more.
    for (const [i, count] of (await changes()).entries()) {
      expect(count - (before[i] ?? 0)).toBeLessThan(READS);
    }
    const keys = ["noted\0k", "noted\0none"];
    await learn();
    const replies = await Promise.all(ids.map((id) => ask(id, { kind: "touched", keys })));
    const touched = replies.filter((reply) => reply.kind === "touched" && reply.keys.length === 1);
    expect(touched).toHaveLength(3);
  });

  it("answers 507 to what is larger than all of it", async () => {
    await bound("tiny", { maxBytes: 3000 });
    expect(await put("tiny/k", 2000)).toBe(201);
    expect(await put("tiny/k", 4000)).toBe(507);
    expect((await fetched("/v1/kv/tiny/k")).status).toBe(200);
  });
});
