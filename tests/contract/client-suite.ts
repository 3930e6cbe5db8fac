/** The client library against a real deployment: one suite for every host. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StarlingClient } from "../../src/client/index.ts";
import type { Deployment } from "./frontends.ts";

const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

export function clientContract(name: string, start: () => Promise<Deployment>): void {
  let deployment: Deployment;
  let count = 0;
  const fresh = (): StarlingClient =>
    new StarlingClient({ url: deployment.urls, namespace: `client-${++count}` });

  describe(`the client on ${name}`, () => {
    beforeAll(async () => {
      deployment = await start();
    });
    afterAll(() => deployment.close());
    values(fresh);
    codings(fresh);
    many(fresh);
    versions(fresh);
    feeds(fresh);
  });
}

function feeds(fresh: () => StarlingClient): void {
  it("follows what changes, and goes on from the token of any change", async () => {
    const cache = fresh();
    await cache.put("a", "one", { w: "all" });
    await cache.put("b", "two", { w: "all" });
    const seen: string[] = [];
    const tokens: string[] = [];
    for await (const change of cache.changes({ since: "beginning", values: true })) {
      if (change.key === undefined || !("etag" in change)) continue;
      const value = new TextDecoder().decode(change.value);
      if (change.type !== "delete") seen.push(`${change.key}=${value}`);
      else seen.push(`-${change.key}`);
      tokens.push(change.token);
      if (seen.length === 2) await cache.delete("a", { w: "all" });
      if (seen.length === 3) break;
    }
    expect(seen.slice(0, 2).sort()).toEqual(["a=one", "b=two"]);
    expect(seen[2]).toBe("-a");
    await cache.put("c", "three", { w: "all" });
    for await (const change of cache.changes({ since: tokens[2] ?? "" })) {
      expect([change.type, change.key]).toEqual(["put", "c"]);
      break;
    }
    const forged = cache.changes({ since: "forged" }).next();
    await expect(forged).rejects.toMatchObject({ code: "invalid-token" });
    const signal = AbortSignal.timeout(50);
    await expect(cache.changes({ signal }).next()).rejects.toThrow();
  });
}

function values(fresh: () => StarlingClient): void {
  it("stores what it is given in any form, and reads it in any form", async () => {
    const cache = fresh();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const forms = [
      bytes,
      bytes.buffer,
      new Blob([bytes]),
      new Blob([bytes]).stream() as ReadableStream<Uint8Array>,
    ];
    for (const [i, form] of forms.entries()) {
      const written = await cache.put(`forms/${i}`, form);
      expect(written).toMatchObject({ created: true, siblings: 1, quorum: { n: 3, w: 2 } });
      expect(await (await cache.get(`forms/${i}`)).bytes()).toEqual(bytes);
    }
    const metadata = { by: "Zoë 🐦" };
    await cache.put("ünï/✓", '{"a":1}', { metadata, ttl: 100, contentType: "application/json" });
    const got = await cache.get("ünï/✓", { consistency: "strict" });
    expect(got).toMatchObject({ exists: true, metadata, contentType: "application/json" });
    const left = (got.expiresAt?.getTime() ?? 0) - Date.now();
    expect(left > 90_000 && left <= 100_000).toBe(true);
    expect(await got.json()).toEqual({ a: 1 });
    const head = await cache.head("ünï/✓");
    expect([head.etag, await head.text()]).toEqual([got.etag, null]);
    const again = await cache.get("ünï/✓", { ifNoneMatch: got.etag ?? "" });
    expect(again.isUnchanged).toBe(true);
  });

  it("deletes, and a miss has a context still", async () => {
    const cache = fresh();
    expect((await cache.get("k")).exists).toBe(false);
    await cache.put("k", "v");
    await cache.delete("k");
    const got = await cache.get("k");
    expect([got.exists, await got.text()]).toEqual([false, null]);
    expect(got.context).not.toBe("");
  });

  it("is told why something was refused", async () => {
    const cache = fresh();
    const w = cache.put("k", "v", { w: 9 });
    await expect(w).rejects.toMatchObject({ code: "invalid-option", option: "w", outcome: "no" });
    await cache.put("k", "v");
    const other = cache.put("k", "x", { ifNoneMatch: "*" });
    await expect(other).rejects.toMatchObject({ code: "precondition-failed", status: 412 });
    expect(await (await cache.get("k")).text()).toBe("v");
  });
}

const gzip = async (text: string): Promise<Uint8Array<ArrayBuffer>> => {
  const coded = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(coded).arrayBuffer());
};

/** Values that are coded, and one that only says so. */
function codings(fresh: () => StarlingClient): void {
  it("gives coded values decoded, one as well as many", async () => {
    const cache = fresh();
    const coding = { contentEncoding: "gzip" };
    await cache.put("k", await gzip("one"), coding);
    expect(await (await cache.get("k")).text()).toBe("one");
    const alone = await cache.siblings("k");
    expect(alone.versions.map((version) => version.text())).toEqual(["one"]);
    expect(alone.versions[0]?.contentEncoding).toBe("gzip");
    const [batched] = await cache.batch([{ op: "get", key: "k" }]);
    expect(batched?.version?.text()).toBe("one");

    const [ada, grace] = [cache.session(), cache.session()];
    await Promise.all([ada.get("k"), grace.get("k")]);
    await ada.put("k", await gzip("ada"), coding);
    await grace.put("k", "grace");
    const { versions: both } = await cache.siblings("k");
    const told = both.map((version) => [version.text(), version.contentEncoding]).sort();
    expect(told).toEqual([
      ["ada", "gzip"],
      ["grace", null],
    ]);
    await cache.update("k", (found) =>
      found
        .map((version) => version.text())
        .sort()
        .join("+"),
    );
    expect(await (await cache.get("k")).text()).toBe("ada+grace");
  });

  it("can resolve a sibling that says that it is coded and is not", async () => {
    const cache = fresh();
    const [ada, grace] = [cache.session(), cache.session()];
    await Promise.all([ada.get("k"), grace.get("k")]);
    await ada.put("k", "plain", { contentEncoding: "gzip" });
    await grace.put("k", "grace");
    const { versions: both } = await cache.siblings("k");
    expect(both.map((version) => version.text()).sort()).toEqual(["grace", "plain"]);
    await cache.update("k", () => "resolved");
    expect(await (await cache.get("k")).text()).toBe("resolved");
  });
}

function many(fresh: () => StarlingClient): void {
  it("lists page by page and does batches", async () => {
    const cache = fresh();
    const keys = Array.from({ length: 7 }, (_, i) => `p/${i}`);
    const put = keys.map((key) => ({ op: "put", key, value: text(key), metadata: key }) as const);
    const results = await cache.batch([...put, { op: "put", key: "", value: "" }]);
    expect(results.map(({ error }) => error?.code ?? null)).toEqual([
      ...keys.map(() => null),
      "invalid-key",
    ]);
    const listed: unknown[] = [];
    for await (const { name, metadata } of cache.list({ prefix: "p/", limit: 3 })) {
      listed.push([name, metadata]);
    }
    expect(listed).toEqual(keys.map((key) => [key, key]));
    const ops = [...keys, "none"].map((key) => ({ op: "get", key }) as const);
    const got = await cache.batch(ops);
    expect(got.map(({ version }) => version?.text() ?? null)).toEqual([...keys, null]);
    expect(got.every(({ error }) => error === null)).toBe(true);
  });

  it("purges by tag", async () => {
    const cache = fresh();
    await cache.put("a", "1", { tags: ["red", "all"] });
    await cache.put("b", "1", { tags: ["all"] });
    const purged = await cache.purge({ tags: ["red"] });
    expect(purged.until).toBeInstanceOf(Date);
    expect(purged.learnt).toBeGreaterThanOrEqual(purged.of / 2);
    const [a, b] = [await cache.get("a"), await cache.get("b")];
    expect([a.exists, b.exists]).toEqual([false, true]);
  });
}

function versions(fresh: () => StarlingClient): void {
  it("reads in a session what the session wrote, at the price of one replica", async () => {
    const session = fresh().session();
    for (let i = 0; i < 20; i++) {
      await session.put("k", `${i}`, { w: 1, dw: 0 });
      const got = await session.get("k", { r: 1 });
      expect([await got.text(), got.siblings]).toEqual([`${i}`, 1]);
    }
  });

  it("keeps the writes of sessions that did not know of each other, and joins them", async () => {
    const cache = fresh();
    const [ada, grace] = [cache.session(), cache.session()];
    await Promise.all([ada.get("k"), grace.get("k")]);
    await ada.put("k", "ada");
    await grace.put("k", "grace");
    const all = await cache.siblings("k");
    expect(all.versions.map((version) => version.text()).sort()).toEqual(["ada", "grace"]);
    await cache.update("k", (found) =>
      found
        .map((version) => version.text())
        .sort()
        .join(" and "),
    );
    const got = await cache.get("k");
    expect([await got.text(), got.siblings]).toEqual(["ada and grace", 1]);
  });

  it("loses no element of a set that several add to at once", async () => {
    const cache = fresh();
    const add = (element: string) =>
      cache.update(
        "set",
        (found) => {
          const elements = found.flatMap((version) => version.json<string[]>());
          return JSON.stringify([...new Set([...elements, element])].sort());
        },
        { roundsMax: 50 },
      );
    const wanted = Array.from({ length: 12 }, (_, i) => `e${String(i).padStart(2, "0")}`);
    const workers = [0, 1, 2].map(async (worker) => {
      for (const element of wanted.filter((_, i) => i % 3 === worker)) await add(element);
    });
    await Promise.all(workers);
    const { versions: left } = await cache.siblings("set");
    const elements = new Set(left.flatMap((version) => version.json<string[]>()));
    expect([...elements].sort()).toEqual(wanted);
  });
}
