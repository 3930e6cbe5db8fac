import { runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { stubOf } from "./support.ts";

const base = "http://localhost";

describe("a purge on Workers", () => {
  it("ends what was written before, and an alarm gives its space back", async () => {
    const url = `${base}/v1/kv/purged/k`;
    const value = "x".repeat(5000);
    const headers = { "Cache-Tag": "red" };
    await (await SELF.fetch(`${url}?w=all`, { method: "PUT", body: value, headers })).text();
    const explain = await SELF.fetch(`${base}/v1/cluster/explain/purged/k`);
    const { preferenceList } = (await explain.json()) as { preferenceList: string[] };
    const stub = stubOf(preferenceList[0] ?? "");
    const byteCount = (): Promise<number> =>
      runInDurableObject(stub, (_, { storage }) => {
        const row = storage.sql.exec("SELECT sum(byte_count) AS size FROM entries").one();
        return Number(row["size"]);
      });
    expect(await byteCount()).toBeGreaterThan(5000);
    const body = JSON.stringify({ namespace: "purged", tags: ["red"] });
    const purged = await SELF.fetch(`${base}/v1/purge`, { method: "POST", body });
    expect([purged.status, await purged.json()]).toMatchObject([
      200,
      { replicas: { learnt: 5, of: 5 } },
    ]);
    for (const r of [1, 2, 3]) {
      const read = await SELF.fetch(`${url}?r=${r}`);
      await read.text();
      expect(read.status).toBe(404);
    }
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await byteCount()).toBeLessThan(1000);
    for (let i = 0; i < 8; i++) await runDurableObjectAlarm(stub);
    // Nothing is left to do until what is now a tombstone may be collected.
    const alarmAt = await runInDurableObject(stub, (_, state) => state.storage.getAlarm());
    expect((alarmAt ?? 0) - Date.now()).toBeGreaterThan(3_000_000);
  });
});
