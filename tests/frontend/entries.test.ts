import { decode, encode } from "@msgpack/msgpack";
import { afterEach, describe, expect, it } from "vitest";
import { TestCluster } from "../../src/testing/index.ts";
import { makeApp, problemOf, tokensOf } from "./support.ts";

const running: TestCluster[] = [];
afterEach(() => {
  for (const cluster of running.splice(0)) cluster.close();
});

async function start(nodes = 3): Promise<TestCluster> {
  const cluster = await TestCluster.start({ nodes });
  running.push(cluster);
  return cluster;
}

const ROUTE = "/v1/cluster/entries";

interface Page {
  readonly entries: readonly { readonly key: string; readonly entry: Uint8Array }[];
  readonly cursor: string | null;
}

async function pagesOf(cluster: TestCluster, limit: number): Promise<readonly Page[]> {
  const pages: Page[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const answer = await cluster.fetch(`${ROUTE}?namespace=ns&limit=${limit}${more}`);
    expect(answer.status).toBe(200);
    const page = decode(await answer.arrayBuffer()) as Page;
    pages.push(page);
    ({ cursor } = page);
  }
  return pages;
}

function bring(cluster: TestCluster, entries: Page["entries"], mode?: string): Promise<Response> {
  const body = encode({ namespace: "ns", entries, ...(mode === undefined ? {} : { mode }) });
  return cluster.fetch(ROUTE, { method: "POST", body: new Uint8Array(body) });
}

async function put(cluster: TestCluster, key: string, body: string, headers = {}) {
  const answer = await cluster.fetch(`/v1/kv/ns/${key}`, { method: "PUT", body, headers });
  expect([201, 204]).toContain(answer.status);
  return answer;
}

const get = (cluster: TestCluster, key: string): Promise<Response> =>
  cluster.fetch(`/v1/kv/ns/${key}?r=all`);
const remove = (cluster: TestCluster, key: string): Promise<Response> =>
  cluster.fetch(`/v1/kv/ns/${key}?w=all`, { method: "DELETE" });

describe("entries out of a cluster and into one", () => {
  it("come page by page, tombstones among them, each key once", async () => {
    const cluster = await start();
    for (const key of ["a", "b", "c", "d", "e"]) await put(cluster, key, key);
    await remove(cluster, "c");
    const pages = await pagesOf(cluster, 2);
    expect(pages.flatMap(({ entries }) => entries.map(({ key }) => key))).toEqual([
      ...["a", "b", "c", "d", "e"],
    ]);
    expect(pages.every(({ entries }) => entries.length <= 2)).toBe(true);
  });

  it("are taken under the very key that they are brought as, or refused", async () => {
    const cluster = await start(1);
    await put(cluster, "a", "v");
    const [{ entry } = { entry: new Uint8Array(0) }] =
      (await pagesOf(cluster, 1))[0]?.entries ?? [];
    const key = `\ufeff${"k".repeat(250)}`;
    expect((await bring(cluster, [{ key, entry }])).status).toBe(200);
    expect(await (await get(cluster, encodeURIComponent(key))).text()).toBe("v");
    const body = new Uint8Array(encode({ namespace: "ns", entries: [{ key: "ZZZZ", entry }] }));
    body[body.indexOf("Z".charCodeAt(0))] = 0xff;
    const refused = await cluster.fetch(ROUTE, { method: "POST", body });
    expect(await problemOf(refused)).toMatchObject({ status: 400, code: "invalid-request" });
  });

  it("bring values with all that belongs to them, into a cluster of another size", async () => {
    const [from, to] = [await start(3), await start(5)];
    const headers = {
      "Content-Type": "text/plain",
      "Content-Language": "de",
      "Cache-Tag": "x,y",
      "Cache-Control": "max-age=1000",
      "Starling-Metadata": '{"m":1}',
    };
    await put(from, "a", "value", headers);
    const [page] = await pagesOf(from, 100);
    const answer = await bring(to, page?.entries ?? []);
    expect(await answer.json()).toEqual({ keys: 1, known: 0 });
    const [before, after] = [await get(from, "a"), await get(to, "a")];
    expect(await after.text()).toBe("value");
    for (const name of ["content-type", "content-language", "starling-metadata", "last-modified"]) {
      expect([name, after.headers.get(name)]).toEqual([name, before.headers.get(name)]);
    }
    const plain = await to.fetch("/v1/kv/ns/a");
    expect(plain.headers.get("cache-control")).toMatch(/^max-age=(1000|99\d)$/);
    const purge = { method: "POST", body: JSON.stringify({ namespace: "ns", tags: ["y"] }) };
    expect((await to.fetch("/v1/purge", purge)).status).toBe(200);
    expect((await get(to, "a")).status).toBe(404);
  });

  it("leave deleted what was deleted since, unless they are written anew", async () => {
    const cluster = await start();
    await put(cluster, "a", "value");
    await put(cluster, "b", "one");
    const [page] = await pagesOf(cluster, 100);
    const entries = page?.entries ?? [];
    await remove(cluster, "a");
    expect(await (await bring(cluster, entries)).json()).toEqual({ keys: 2, known: 2 });
    expect((await get(cluster, "a")).status).toBe(404);
    const answer = await bring(cluster, entries, "overwrite");
    expect(await answer.json()).toEqual({ keys: 2, written: 2 });
    expect(await (await get(cluster, "a")).text()).toBe("value");
    expect((await get(cluster, "a")).headers.get("starling-siblings")).toBeNull();
  });

  it("write siblings as siblings, over all that is there", async () => {
    const [cluster, other] = [await start(), await start()];
    const first = await put(cluster, "a", "one");
    const context = { "Starling-Context": first.headers.get("starling-context") ?? "" };
    await put(cluster, "a", "two", context);
    await put(cluster, "a", "three", context);
    const [page] = await pagesOf(cluster, 100);
    for (const target of [cluster, other]) {
      await put(target, "a", "four");
      expect((await bring(target, page?.entries ?? [], "overwrite")).status).toBe(200);
      const shown = await target.fetch("/v1/kv/ns/a?r=all&siblings=all", {
        headers: { Accept: "application/json" },
      });
      const { siblings } = (await shown.json()) as { siblings: { value: string }[] };
      expect(siblings.map(({ value }) => atob(value))).toEqual(["three", "two"]);
    }
  });

  it("are refused in one line when they are none", async () => {
    const cluster = await start();
    const bad: readonly unknown[] = [
      "text",
      { entries: [] },
      { namespace: "ns" },
      { namespace: "_site.x", entries: [] },
      { namespace: "ns", entries: [{ key: "", entry: new Uint8Array(1) }] },
      { namespace: "ns", entries: [{ key: "a", entry: new Uint8Array(1) }] },
      { namespace: "ns", entries: [{ key: "a" }] },
      { namespace: "ns", entries: [], mode: "fly" },
      { namespace: "ns", entries: [], colour: 1 },
    ];
    for (const body of bad) {
      const init = { method: "POST", body: new Uint8Array(encode(body)) };
      const { status } = await cluster.fetch(ROUTE, init);
      expect([JSON.stringify(body), [400, 404].includes(status)]).toEqual([
        JSON.stringify(body),
        true,
      ]);
    }
    for (const query of ["", "?namespace=ns&limit=0", "?namespace=ns&colour=1"]) {
      expect((await cluster.fetch(ROUTE + query)).status).toBe(400);
    }
    const forged = await cluster.fetch(`${ROUTE}?namespace=ns&cursor=forged`);
    expect((await problemOf(forged)).code).toBe("invalid-cursor");
  });

  it("are for those alone who may rule the cluster", async () => {
    const auth = tokensOf([
      { token: "writes-everything", role: "write" },
      { token: "rules-one-namespace", role: "admin", namespaces: ["ns"] },
    ]);
    const { call } = await makeApp({ auth });
    for (const token of ["writes-everything", "rules-one-namespace"]) {
      const headers = { Authorization: `Bearer ${token}` };
      for (const method of ["GET", "POST"]) {
        const answer = await call(method, `${ROUTE}?namespace=ns`, { headers });
        expect((await problemOf(answer)).code).toBe("forbidden");
      }
    }
  });
});
