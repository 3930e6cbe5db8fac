import Cloudflare from "cloudflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NodeProcesses } from "../support/processes.ts";

let cluster: NodeProcesses;
let kv: Cloudflare["kv"]["namespaces"];
const account_id = "any";
const namespace_id = "sdk";
const at = { account_id, namespace_id };

beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
  const baseURL = `${cluster.urls[0]}/client/v4`;
  kv = new Cloudflare({ baseURL, apiToken: "any", maxRetries: 0 }).kv.namespaces;
});
afterAll(() => cluster.close());

const textOf = async (key: string): Promise<string> => (await kv.values.get(key, at)).text();

describe("the cloudflare SDK", () => {
  it("updates, gets and deletes a value with its metadata", async () => {
    const key = "a/b c%ü?#";
    const metadata = JSON.stringify({ n: [1] });
    const expiration = Math.floor(Date.now() / 1000) + 90;
    await kv.values.update(key, { ...at, value: "wörld", metadata, expiration });
    expect(await textOf(key)).toBe("wörld");
    expect(await kv.metadata.get(key, at)).toEqual({ n: [1] });
    const names: unknown[] = [];
    for await (const name of kv.keys.list(namespace_id, { account_id })) names.push(name);
    expect(names).toEqual([{ name: key, expiration, metadata: { n: [1] } }]);
    await kv.values.delete(key, at);
    await expect(textOf(key)).rejects.toMatchObject({ status: 404, errors: [{ code: 10009 }] });
  });

  it("says how metadata is to be given when it would be lost", async () => {
    const put = kv.values.update("k", { ...at, value: "v", metadata: { a: 1 } });
    await expect(put).rejects.toThrow("JSON.stringify");
  });

  it("updates, gets and deletes in bulk, and lists page by page", async () => {
    const body = Array.from({ length: 25 }, (_, i) => ({
      key: `bulk/${String(i).padStart(2, "0")}`,
      value: btoa(`value ${i}`),
      base64: true,
    }));
    const keys = body.map(({ key }) => key);
    const done = { successful_key_count: 25, unsuccessful_keys: [] };
    expect(await kv.bulkUpdate(namespace_id, { account_id, body })).toEqual(done);
    const got = await kv.bulkGet(namespace_id, { account_id, keys: ["bulk/03", "none"] });
    expect(got).toEqual({ values: { "bulk/03": "value 3", none: null } });
    const names: string[] = [];
    const list = kv.keys.list(namespace_id, { account_id, prefix: "bulk/", limit: 10 });
    for await (const { name } of list) names.push(name);
    expect(names).toEqual(keys);
    expect(await kv.bulkDelete(namespace_id, { account_id, body: keys })).toEqual(done);
    expect((await kv.keys.list(namespace_id, { account_id })).result).toEqual([]);
  });

  it("sees a key behind many deleted ones at once, and that it is the last", async () => {
    const keys = Array.from({ length: 700 }, (_, i) => `gone/${i}`);
    const body = keys.map((key) => ({ key, value: "v" }));
    await kv.bulkUpdate(namespace_id, { account_id, body });
    await kv.bulkDelete(namespace_id, { account_id, body: keys });
    await kv.values.update("gone/z", { ...at, value: "v" });
    const list = { account_id, prefix: "gone/", limit: 10 };
    for (const limit of [10, 1000]) {
      const page = await kv.keys.list(namespace_id, { ...list, limit });
      expect(page.result.map(({ name }) => name)).toEqual(["gone/z"]);
      expect(page.hasNextPage()).toBe(false);
    }
    await kv.values.update("gone/y", { ...at, value: "v" });
    const first = await kv.keys.list(namespace_id, { ...list, limit: 1 } as typeof list);
    expect(first.result.map(({ name }) => name)).toEqual(["gone/y"]);
    const second = await first.getNextPage();
    expect(second.result.map(({ name }) => name)).toEqual(["gone/z"]);
    expect(second.hasNextPage()).toBe(false);
    await kv.bulkDelete(namespace_id, { account_id, body: ["gone/y", "gone/z"] });
  });

  it("creates, lists, shows and deletes namespaces", async () => {
    const titles = ["one", "two", "three"];
    for (const title of titles) {
      expect(await kv.create({ account_id, title })).toMatchObject({ id: title, title });
    }
    const ids: string[] = [];
    for await (const { id } of kv.list({ account_id, per_page: 1 })) ids.push(id);
    expect(ids).toEqual(expect.arrayContaining(titles));
    expect(await kv.get("two", { account_id })).toMatchObject({ id: "two" });
    const taken = kv.create({ account_id, title: "one" });
    await expect(taken).rejects.toMatchObject({ errors: [{ code: 10014 }] });
    await kv.values.update("k", { account_id, namespace_id: "two", value: "v" });
    await kv.delete("two", { account_id });
    const gone = kv.values.get("k", { account_id, namespace_id: "two" });
    await expect(gone).rejects.toMatchObject({ status: 404 });
    const left: string[] = [];
    for await (const { id } of kv.list({ account_id })) left.push(id);
    expect(left.sort()).toEqual(["one", "three"]);
  });

  it("creates a namespace with a title of its own, and renames it", async () => {
    const { id } = await kv.create({ account_id, title: "Sessions of my Worker" });
    await kv.values.update("k", { account_id, namespace_id: id, value: "v" });
    await kv.update(id, { account_id, title: "Sessions, renamed" });
    expect(await kv.get(id, { account_id })).toMatchObject({ id, title: "Sessions, renamed" });
    expect(await (await kv.values.get("k", { account_id, namespace_id: id })).text()).toBe("v");
  });
});
