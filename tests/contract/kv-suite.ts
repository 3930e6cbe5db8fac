/** The Workers KV façade from outside, as every host has to serve it. */
import { expect, it } from "vitest";

type CallIt = (path: string, init?: RequestInit) => Promise<Response>;

const BASE = "/client/v4/accounts/0123abc/storage/kv/namespaces";

interface Envelope {
  readonly success: boolean;
  readonly errors: readonly { readonly code: number }[];
  readonly result: unknown;
  readonly result_info?: { readonly count: number; readonly cursor: string };
}

export function kvFacade(call: CallIt, freshNamespace: () => string): void {
  const read = async (path: string, init?: RequestInit): Promise<Envelope> =>
    (await (await call(BASE + path, init)).json()) as Envelope;
  const send = (method: string, path: string, body: unknown): Promise<Envelope> =>
    read(path, { method, body: JSON.stringify(body) });

  it("stores a value, shows it, lists it and lets it go", async () => {
    const namespace = freshNamespace();
    const path = `/${namespace}/values/a%2Fb%00%C3%BC`;
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const put = await read(`${path}?expiration_ttl=30`, { method: "PUT", body: bytes });
    expect(put.success).toBe(true);
    const got = await call(BASE + path);
    expect(got.headers.get("content-type")).toBe("application/octet-stream");
    expect(Number(got.headers.get("expiration"))).toBeGreaterThan(Date.now() / 1000);
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);
    const { result } = await read(`/${namespace}/keys?prefix=a/`);
    expect(result).toMatchObject([{ name: "a/b\0ü" }]);
    expect((await read(path, { method: "DELETE" })).success).toBe(true);
    const gone = await call(BASE + path);
    expect(gone.status).toBe(404);
    expect(((await gone.json()) as Envelope).errors[0]?.code).toBe(10009);
  });

  it("takes forms, streams, and a second for a value's life", async () => {
    const namespace = freshNamespace();
    const form = new FormData();
    form.set("value", new Blob([Uint8Array.of(255, 0, 13, 10)]), "blob");
    form.set("metadata", '{"a":[1]}');
    const path = `/${namespace}/values/k`;
    const put = await read(`${path}?expiration_ttl=1`, { method: "PUT", body: form });
    expect(put.success).toBe(true);
    expect((await read(`/${namespace}/metadata/k`)).result).toEqual({ a: [1] });
    const bytes = new Uint8Array(await (await call(BASE + path)).arrayBuffer());
    expect([...bytes]).toEqual([255, 0, 13, 10]);
    const status = async (): Promise<number> => (await call(BASE + path)).status;
    await expect.poll(status, { timeout: 5000 }).toBe(404);
    expect((await read(`/${namespace}/keys`)).result).toEqual([]);
  });

  it("writes, reads, lists and deletes in bulk", async () => {
    const namespace = freshNamespace();
    const names = Array.from({ length: 30 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    const pairs = names.map((key) => ({ key, value: `value of ${key}`, metadata: { key } }));
    const put = await send("PUT", `/${namespace}/bulk`, pairs);
    expect(put.result).toEqual({ successful_key_count: 30, unsuccessful_keys: [] });
    const keys = ["k03", "none"];
    const got = await send("POST", `/${namespace}/bulk/get`, { keys, withMetadata: true });
    const one = { value: "value of k03", metadata: { key: "k03" } };
    expect(got.result).toEqual({ values: { k03: one, none: null } });
    const listed: unknown[] = [];
    let cursor = "";
    do {
      const query = `limit=7&cursor=${encodeURIComponent(cursor)}`;
      const page = await read(`/${namespace}/keys?${query}`);
      listed.push(...(page.result as unknown[]));
      cursor = page.result_info?.cursor ?? "";
    } while (cursor !== "");
    expect(listed).toEqual(names.map((name) => ({ name, metadata: { key: name } })));
    await send("DELETE", `/${namespace}/bulk`, names.slice(0, 29));
    await send("POST", `/${namespace}/bulk/delete`, names.slice(28));
    // Every page has a key, or is the last: what was deleted is passed over.
    expect(await read(`/${namespace}/keys?limit=1`)).toMatchObject({
      result: [],
      result_info: { count: 0, cursor: "" },
    });
  });

  it("creates a namespace, empties it, and lists what there is", async () => {
    const title = freshNamespace();
    expect((await send("POST", "", { title })).result).toMatchObject({ id: title, title });
    const again = await send("POST", "", { title });
    expect([again.success, again.errors[0]?.code]).toEqual([false, 10014]);
    const ids: string[] = [];
    for (let page = 1; ; page++) {
      const { result } = await read(`?per_page=2&order=title&direction=asc&page=${page}`);
      const shown = result as readonly { readonly id: string }[];
      if (shown.length === 0) break;
      ids.push(...shown.map(({ id }) => id));
    }
    expect(ids).toContain(title);
    await read(`/${title}/values/k`, { method: "PUT", body: "v" });
    expect((await send("DELETE", `/${title}`, undefined)).success).toBe(true);
    // Through every frontend that the suite goes round.
    for (let i = 0; i < 5; i++) {
      expect((await call(`${BASE}/${title}/values/k`)).status).toBe(404);
      const listed = async (): Promise<unknown> => (await read("?per_page=1000")).result;
      await expect.poll(listed).not.toContainEqual(expect.objectContaining({ id: title }));
    }
    const settings = { method: "PUT", body: "{}" };
    expect((await call(`/v1/namespaces/${title}`, settings)).status).toBe(201);
    expect((await send("DELETE", `/${title}`, undefined)).success).toBe(true);
    const back = await send("POST", "", { title });
    expect([back.success, (await call(`${BASE}/${title}/values/k`)).status]).toEqual([true, 404]);
  });
}
