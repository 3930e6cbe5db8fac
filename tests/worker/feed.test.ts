/** The change feed on Workers: through a binding, and past objects that hibernate. */
import { evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import { env as anyEnv } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { ChangesArguments } from "../../src/frontend/feed/feed-binding.ts";
import { env, stubOf } from "./support.ts";

interface Told {
  readonly key?: string;
  readonly type?: string;
  readonly value?: string;
  readonly token?: string;
}

interface Bound extends KVNamespace {
  changes(given?: ChangesArguments): Promise<ReadableStream<Uint8Array>>;
}
const { CACHE } = anyEnv as unknown as { readonly CACHE: Bound };
const IDS = env.STARLING_REPLICAS.split(",").map((part) => part.split(":")[0] ?? "");

class Lines {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  async next(): Promise<Told> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("it has ended");
      this.#rest += this.#decoder.decode(value, { stream: true });
    }
    const at = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, at);
    this.#rest = this.#rest.slice(at + 1);
    return JSON.parse(line) as Told;
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

const headers = { Accept: "application/x-ndjson" };
const put = (path: string): Promise<Response> =>
  SELF.fetch(`http://localhost/v1/kv/${path}?w=all`, { method: "PUT", body: "v" });

/** Bells that hang for the namespace, on all replicas together. */
async function bellsCount(namespace: string): Promise<number> {
  const counts = IDS.map((id) =>
    runInDurableObject(stubOf(id), (_, state) => state.getWebSockets(namespace).length),
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

it("lets objects hibernate while nothing is written, and hears of what is", async () => {
  await put("asleep/before");
  const answer = await SELF.fetch("http://localhost/v1/changes/asleep", { headers });
  const lines = new Lines(answer.body as ReadableStream<Uint8Array>);
  expect(Object.keys(await lines.next())).toEqual(["token"]);
  const waiting = lines.next();
  await vi.waitUntil(async () => (await bellsCount("asleep")) >= 1, { timeout: 20_000 });
  const instances = new Set<unknown>();
  for (const id of IDS) {
    await runInDurableObject(stubOf(id), (instance) => void instances.add(instance));
    // This waits for what is under way, as a held question would be.
    await evictDurableObject(stubOf(id));
  }
  await put("asleep/a");
  expect(await waiting).toMatchObject({ key: "a", type: "put" });
  for (const id of IDS) {
    await runInDurableObject(stubOf(id), (instance) => expect(instances.has(instance)).toBe(false));
  }
  // And again: a bell rings as often as there is news.
  expect(Object.keys(await lines.next())).toEqual(["token"]);
  await put("asleep/b");
  expect(await lines.next()).toMatchObject({ key: "b" });
  await lines.close();
  await vi.waitUntil(async () => (await bellsCount("asleep")) === 0, { timeout: 20_000 });
});

it("tells changes through the binding, and refuses what is none", async () => {
  const stream = new Lines(await CACHE.changes({ prefix: "feed/", include: "value" }));
  const { token = "" } = await stream.next();
  expect(token).toMatch(/^[\w-]+$/);
  await CACHE.put("feed/a", "one");
  expect(await stream.next()).toMatchObject({ key: "feed/a", type: "put", value: btoa("one") });
  await stream.close();
  await CACHE.put("feed/b", "two");
  const later = new Lines(await CACHE.changes({ prefix: "feed/", since: token }));
  expect(Object.keys(await later.next())).toEqual(["token"]);
  const keys = [await later.next(), await later.next()].map(({ key }) => key);
  expect(keys.sort()).toEqual(["feed/a", "feed/b"]);
  await later.close();
  const refusal = async (given: unknown): Promise<string> => {
    try {
      await (await CACHE.changes(given as ChangesArguments)).cancel();
    } catch (error) {
      return String(error);
    }
    return "";
  };
  expect(await refusal({ since: token })).toContain("invalid-token");
  expect(await refusal({ limit: 0 })).toContain("limit is 1 to 10000");
  expect(await refusal({ include: "all" })).toContain("include");
  expect(await refusal({ prefx: "a" })).toContain('no option "prefx"');
  for (const noOptions of ["now", 5, true, [], () => 1]) {
    expect(await refusal(noOptions)).toContain("TypeError: changes takes an object of options");
  }
  // As KV's own methods take them.
  expect(await refusal(null)).toBe("");
  expect(await refusal(undefined)).toBe("");
});
