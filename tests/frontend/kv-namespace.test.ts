/** The binding's class by itself; tests/worker has it as other Workers see it. */
import { describe, expect, it } from "vitest";
import { KvNamespace } from "../../src/frontend/kv/kv-namespace.ts";
import { MemoryBackend, testDefaults, testHash } from "./memory-backend.ts";
import { testRing } from "./support.ts";

const MIB = 1024 * 1024;

async function openOver(maxValueBytes: number): Promise<[KvNamespace, MemoryBackend]> {
  const backend = new MemoryBackend(await testRing());
  backend.namespaces.set("ns", { ...testDefaults, maxValueBytes });
  return [new KvNamespace({ backend, hash: testHash, namespace: "ns" }), backend];
}

describe("a KvNamespace", () => {
  it("gives as much of many values at once as KV does", async () => {
    const [kv] = await openOver(5 * MIB);
    const value = new Uint8Array(5 * MIB);
    const keys = Array.from({ length: 6 }, (_, i) => `k${i}`);
    for (const key of keys) await kv.put(key, value);
    const five = (await kv.get(keys.slice(1))) as Map<string, string>;
    expect([...five.values()].map(({ length }) => length)).toEqual(Array(5).fill(5 * MIB));
    const words = "KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB";
    await expect(kv.get(keys)).rejects.toThrow(words);
  });

  it("hands options on, and the failures of the store in KV's words", async () => {
    const [kv, backend] = await openOver(1000);
    await kv.put("k", "v", { w: "all", dw: 1, expirationTtl: 0.5 });
    expect(backend.last).toMatchObject({ options: { w: "all", dw: 1 }, ttlMs: 500 });
    await kv.get("k", { r: 1, timeoutMs: 250, notfoundOk: false });
    expect(backend.last).toMatchObject({ options: { r: 1, timeoutMs: 250, notfoundOk: false } });
    await kv.delete("k", { consistency: "strict" });
    expect(backend.last).toMatchObject({ content: null, options: { consistency: "strict" } });
    backend.failure = { code: "quorum-unavailable", detail: "Too few replicas." };
    await expect(kv.put("k", "v")).rejects.toThrow(/^KV PUT failed: 503 .*outcome is unknown/);
    await expect(kv.get("k")).rejects.toThrow("KV GET failed: 503");
    await expect(kv.delete("k")).rejects.toThrow("KV DELETE failed: 503");
    await expect(kv.list()).rejects.toThrow("KV GET failed: 503");
  });

  it("says that a value is no JSON, and which types there are", async () => {
    const [kv] = await openOver(1000);
    await kv.put("k", "no json");
    await expect(kv.get("k", "json")).rejects.toThrow(SyntaxError);
    await expect(kv.get("k", "blob" as "text")).rejects.toThrow(
      "Unknown response type. Possible types are",
    );
  });
});
