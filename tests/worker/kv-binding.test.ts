import { SELF } from "cloudflare:test";
import { env as anyEnv } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { KvGetOptions, KvPutOptions } from "../../src/frontend/kv/kv-namespace.ts";

/** Typed as a KV namespace: what compiles against one is what runs here. */
interface Bound {
  readonly CACHE: KVNamespace;
  readonly NOWHERE: KVNamespace;
}
const { CACHE, NOWHERE } = anyEnv as unknown as Bound;

let count = 0;
const fresh = (): string => `key ${++count}/ü`;
/** Awaited at once: a promise of a call that is handed about counts as unhandled. */
async function refusal(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    return String(error);
  }
  throw new Error("it was not refused");
}
const inAMinute = (): number => Math.floor(Date.now() / 1000) + 60;

describe("KV through a service binding", () => {
  it("puts texts, buffers, views and streams, and gets every type", async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i);
    const view = new Uint8Array(bytes.buffer, 5, 10);
    const values: [Parameters<KVNamespace["put"]>[1], Uint8Array][] = [
      ["täxt", new TextEncoder().encode("täxt")],
      [bytes.buffer, bytes],
      [view, view],
      [new Blob([bytes]).stream(), bytes],
    ];
    for (const [value, expected] of values) {
      const key = fresh();
      await CACHE.put(key, value);
      const buffer = await CACHE.get(key, "arrayBuffer");
      expect(new Uint8Array(buffer ?? new ArrayBuffer(0))).toEqual(expected);
      const stream = await CACHE.get(key, { type: "stream", cacheTtl: 60 });
      expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(expected);
    }
    const key = fresh();
    await CACHE.put(key, '{"a":[1]}');
    expect(await CACHE.get(key)).toBe('{"a":[1]}');
    expect(await CACHE.get(key, "text")).toBe('{"a":[1]}');
    expect(await CACHE.get(key, { type: "json" })).toEqual({ a: [1] });
    expect(await CACHE.get(fresh())).toBeNull();
  });

  it("gets up to 100 keys as a Map", async () => {
    const keys = [fresh(), fresh(), fresh()] as const;
    await CACHE.put(keys[0], '{"a":1}', { metadata: { m: 1 } });
    await CACHE.put(keys[1], "2");
    const all = [...keys];
    expect(await CACHE.get<unknown>(all, "json")).toEqual(
      new Map<string, unknown>([
        [keys[0], { a: 1 }],
        [keys[1], 2],
        [keys[2], null],
      ]),
    );
    const withMetadata = await CACHE.getWithMetadata(all);
    expect(withMetadata.get(keys[0])).toEqual({ value: '{"a":1}', metadata: { m: 1 } });
    expect(withMetadata.get(keys[2])).toBeNull();
    const nothing = { value: null, metadata: null, cacheStatus: null };
    expect(await CACHE.getWithMetadata(keys[2])).toEqual(nothing);
    const many = Array.from({ length: 101 }, (_, i) => `k${i}`);
    expect(await refusal(() => CACHE.get(many))).toContain("KV GET_BULK failed: 400");
    expect((await CACHE.get(many.slice(1))).size).toBe(100);
  });

  it("keeps metadata and expiration, under a minute too, and deletes", async () => {
    const key = fresh();
    const expiration = inAMinute();
    await CACHE.put(key, "v", { expiration, metadata: { ü: [null] } });
    expect(await CACHE.getWithMetadata(key)).toEqual({
      value: "v",
      metadata: { ü: [null] },
      cacheStatus: null,
    });
    const { keys } = await CACHE.list({ prefix: key });
    expect(keys).toEqual([{ name: key, expiration, metadata: { ü: [null] } }]);
    await CACHE.delete(key);
    await CACHE.delete(key);
    expect(await CACHE.get(key)).toBeNull();
    await CACHE.put(key, "short", { expirationTtl: 1 });
    expect(await CACHE.get(key)).toBe("short");
    await expect.poll(() => CACHE.get(key), { timeout: 10_000 }).toBeNull();
    // Many writes to one key at once: KV itself takes one a second.
    await Promise.all(Array.from({ length: 10 }, (_, i) => CACHE.put(key, `${i}`)));
    expect(await CACHE.get(key)).toMatch(/^[0-9]$/);
  });

  it("keeps what is to live for decades, a hundred years at most", async () => {
    const prefix = `${fresh()}/`;
    const inDecades = 4_102_444_800;
    await CACHE.put(`${prefix}at`, "v", { expiration: inDecades });
    await CACHE.put(`${prefix}ttl`, "v", { expirationTtl: 3_153_600_000 });
    const { keys } = await CACHE.list({ prefix });
    expect(keys.map(({ name }) => name)).toEqual([`${prefix}at`, `${prefix}ttl`]);
    expect(keys[0]?.expiration).toBe(inDecades);
    expect(keys[1]?.expiration).toBeGreaterThan(inDecades);
    expect(await CACHE.get([`${prefix}at`, `${prefix}ttl`])).toEqual(
      new Map([
        [`${prefix}at`, "v"],
        [`${prefix}ttl`, "v"],
      ]),
    );
    const inMillis = { expiration: 4_102_444_800_000 };
    expect(await refusal(() => CACHE.put("k", "v", inMillis))).toContain("KV PUT failed: 400");
  });

  it("lists page by page, in the shape of KV", async () => {
    const prefix = `${fresh()}/`;
    for (const name of ["a", "b", "c"]) await CACHE.put(prefix + name, "v");
    const first = await CACHE.list({ prefix, limit: 2 });
    const { cursor } = first as { cursor?: string };
    expect(first).toEqual({
      keys: [{ name: `${prefix}a` }, { name: `${prefix}b` }],
      list_complete: false,
      cursor: expect.any(String),
      cacheStatus: null,
    });
    expect(await CACHE.list({ prefix, limit: 2, cursor: cursor ?? null })).toEqual({
      keys: [{ name: `${prefix}c` }],
      list_complete: true,
      cacheStatus: null,
    });
    expect(await refusal(() => CACHE.list({ limit: 1001 }))).toContain("KV GET failed: 400");
  });

  it("takes the contract's options call by call, and no others amiss", async () => {
    const key = fresh();
    const strict: KvPutOptions = { consistency: "strict", timeoutMs: 5000 };
    await CACHE.put(key, "v", { ...strict, ttl: 1, unknown: true } as KvPutOptions);
    const nearest: KvGetOptions & { type: "text" } = { type: "text", r: 1 };
    expect(await CACHE.get(key, nearest)).toBe("v");
    const bad = { type: "text", r: 9 } as const;
    expect(await refusal(() => CACHE.get(key, bad))).toMatch(/KV GET failed: 400 .*invalid-option/);
    expect(await refusal(() => CACHE.put(key, "v", { w: 9 } as KvPutOptions))).toContain(
      "KV PUT failed",
    );
  });

  it("is the same store as the one behind HTTP", async () => {
    const key = fresh();
    await CACHE.put(key, "from the binding");
    const path = `/v1/kv/kv-binding/${encodeURIComponent(key)}`;
    const got = await SELF.fetch(`http://localhost${path}`);
    expect(await got.text()).toBe("from the binding");
  });

  it("says what is wrong in KV's words", async () => {
    expect(await refusal(() => CACHE.get(""))).toContain("TypeError: Key name cannot be empty.");
    expect(await refusal(() => CACHE.put("k".repeat(513), "v"))).toContain("KV PUT failed: 414");
    expect(await refusal(() => CACHE.put("k", "v", { expirationTtl: 0 }))).toContain(
      "KV PUT failed: 400",
    );
    const tooLarge = new Uint8Array(1_048_577);
    expect(await refusal(() => CACHE.put("k", tooLarge))).toContain(
      "KV PUT failed: 413 Value length of 1048577 exceeds limit of 1048576.",
    );
    expect(await refusal(() => CACHE.put("k", new Blob([tooLarge]).stream()))).toContain("413");
    expect(await refusal(() => CACHE.put("k", {} as unknown as string))).toContain(
      "accepts only strings",
    );
    const metadata = "m".repeat(1025);
    expect(await refusal(() => CACHE.put("k", "v", { metadata }))).toContain("KV PUT failed: 413");
    expect(await refusal(() => NOWHERE.get("k"))).toContain("props");
  });
});
