import { describe, expect, it } from "vitest";
import { makeApp, type TestApp, type TestAppOptions, tokensOf } from "./support.ts";

const BASE = "/client/v4/accounts/any/storage/kv/namespaces";
const NS = `${BASE}/ns`;

interface Envelope {
  readonly success: boolean;
  readonly errors: readonly { readonly code: number; readonly message: string }[];
  readonly messages: readonly unknown[];
  readonly result: unknown;
  readonly result_info?: Readonly<Record<string, unknown>>;
}

async function envelopeOf(response: Response): Promise<Envelope> {
  expect(response.headers.get("content-type")).toBe("application/json");
  return (await response.json()) as Envelope;
}

async function resultOf(response: Response): Promise<unknown> {
  const body = await envelopeOf(response);
  expect(body).toMatchObject({ success: true, errors: [], messages: [] });
  return body.result;
}

async function expectRefusal(response: Response, status: number, code: number): Promise<string> {
  const body = await envelopeOf(response);
  expect([response.status, body.success, body.errors[0]?.code]).toEqual([status, false, code]);
  return body.errors[0]?.message ?? "";
}

const json = (method: string, body: unknown): RequestInit & { readonly method: string } => ({
  method,
  body: JSON.stringify(body),
});
const send = (app: TestApp, target: string, init: RequestInit & { method: string }) =>
  app.call(init.method, target, init);

const listed = async (app: TestApp, query = ""): Promise<readonly { readonly name: string }[]> =>
  (await resultOf(await app.get(`${NS}/keys${query}`))) as { name: string }[];

describe("values of the Workers KV façade", () => {
  it("are stored and given back as bytes, with their expiration", async () => {
    const app = await makeApp();
    const target = `${NS}/values/a%2Fb%20%25`;
    expect(await resultOf(await app.put(target, "one", { "Content-Type": "text/x" }))).toEqual({});
    const got = await app.get(target);
    expect(got.headers.get("content-type")).toBe("application/octet-stream");
    expect(got.headers.get("x-content-type-options")).toBe("nosniff");
    expect(got.headers.get("expiration")).toBeNull();
    expect(await got.text()).toBe("one");
    const plain = await app.get("/v1/kv/ns/a/b%20%25");
    expect([plain.headers.get("content-type"), await plain.text()]).toEqual(["text/x", "one"]);
  });

  it("expire by expiration_ttl, by expiration, or by what the namespace says", async () => {
    const app = await makeApp();
    const now = app.backend.nowMs / 1000;
    const cases: [string, number][] = [
      ["expiration_ttl=5", 5],
      [`expiration=${now + 90}`, 90],
      [`expiration=${now + 90}&expiration_ttl=7`, 7],
      ["expiration_ttl=0.5&unknown=1", 0.5],
      ["expiration_ttl=3153600000", 3_153_600_000],
      ["expiration=5&expiration_ttl=60", 60],
    ];
    for (const [query, seconds] of cases) {
      await resultOf(await app.put(`${NS}/values/k?${query}`, "v"));
      expect(app.backend.last).toMatchObject({ ttlMs: seconds * 1000 });
    }
    await app.put(`${NS}/values/k?expiration=${now + 90}`, "v");
    const got = await app.get(`${NS}/values/k`);
    expect(got.headers.get("expiration")).toBe(String(now + 90));
    expect(await listed(app)).toEqual([{ name: "k", expiration: now + 90 }]);
    app.backend.nowMs += 90_000;
    await expectRefusal(await app.get(`${NS}/values/k`), 404, 10009);
    const beyond = ["expiration_ttl=3153600001", "expiration=1e20"];
    for (const bad of ["expiration_ttl=0", "expiration_ttl=x", "expiration=1", ...beyond]) {
      const message = await expectRefusal(await app.put(`${NS}/values/k?${bad}`, "v"), 400, 400);
      expect(message).toMatch(/^expiration.*\(invalid-option\)$/);
    }
  });

  it("come in a form with metadata, byte for byte", async () => {
    const app = await makeApp();
    const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0, 13, 10, 0x2d, 0x2d, 0xff, 13, 10);
    const form = new FormData();
    form.set("metadata", JSON.stringify({ ü: [1] }));
    form.set("value", new Blob([bytes], { type: "image/png" }));
    await resultOf(await app.call("PUT", `${NS}/values/k`, { body: form }));
    const got = await app.get(`${NS}/values/k`);
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);
    expect(await resultOf(await app.get(`${NS}/metadata/k`))).toEqual({ ü: [1] });
    expect(await listed(app)).toEqual([{ name: "k", metadata: { ü: [1] } }]);
    await app.put(`${NS}/values/k`, "no metadata");
    expect(await resultOf(await app.get(`${NS}/metadata/k`))).toBeNull();
    await expectRefusal(await app.get(`${NS}/metadata/none`), 404, 10009);
  });

  it("are refused in forms that would lose something", async () => {
    const app = await makeApp();
    const formOf = (fields: Record<string, string>): FormData => {
      const form = new FormData();
      for (const [name, text] of Object.entries(fields)) form.set(name, text);
      return form;
    };
    const refuse = async (fields: Record<string, string>, status = 400): Promise<string> => {
      const answer = await app.call("PUT", `${NS}/values/k`, { body: formOf(fields) });
      return expectRefusal(answer, status, status);
    };
    expect(await refuse({ metadata: "{}" })).toContain(`no part "value"`);
    expect(await refuse({ value: "v", "metadata[a]": "1" })).toContain("JSON.stringify");
    expect(await refuse({ value: "v", metadata: "{" })).toContain("(invalid-metadata)");
    expect(await refuse({ value: "v".repeat(1001) }, 413)).toContain("(value-too-large)");
    const headers = { "Content-Type": "multipart/form-data; boundary=x" };
    for (const body of ["", "--x", "--x\r\n", "--x\r\n\r\nv\r\n--x--", "--y--"]) {
      await expectRefusal(await app.put(`${NS}/values/k`, body, headers), 400, 400);
    }
    expect(app.backend.operations).toEqual([]);
  });

  it("are deleted, whether they are there or not", async () => {
    const app = await makeApp();
    await app.put(`${NS}/values/k`, "v");
    for (let i = 0; i < 2; i++) {
      expect(await resultOf(await app.call("DELETE", `${NS}/values/k`))).toEqual({});
    }
    const message = await expectRefusal(await app.get(`${NS}/values/k`), 404, 10009);
    expect(message).toContain("key not found");
  });

  it("take the contract's options in the header", async () => {
    const app = await makeApp();
    const headers = { "Starling-Quorum": "r=1, w=3" };
    await app.put(`${NS}/values/k`, "v", headers);
    expect(app.backend.last).toMatchObject({ kind: "write", options: { w: 3 } });
    await app.get(`${NS}/values/k?r=9`, headers);
    expect(app.backend.last).toMatchObject({ kind: "get", options: { r: 1 } });
    const bad = await app.get(`${NS}/values/k`, { "Starling-Quorum": "r=9" });
    await expectRefusal(bad, 400, 400);
  });
});

describe("lists and bulks of the Workers KV façade", () => {
  it("give pages with a cursor that is empty at the end", async () => {
    const app = await makeApp();
    for (const key of ["a", "b1", "b2", "c"]) await app.put(`${NS}/values/${key}`, "v");
    const first = await envelopeOf(await app.get(`${NS}/keys?prefix=b&limit=1&namespace_id=x`));
    expect(first.result).toEqual([{ name: "b1" }]);
    expect(first.result_info).toMatchObject({ count: 1 });
    // Some versions of Cloudflare's SDK look here.
    expect(first.result_info?.["cursors"]).toEqual({ after: first.result_info?.["cursor"] });
    const cursor = encodeURIComponent(String(first.result_info?.["cursor"]));
    const next = await envelopeOf(await app.get(`${NS}/keys?prefix=b&limit=9&cursor=${cursor}`));
    expect(next.result).toEqual([{ name: "b2" }]);
    expect(next.result_info).toEqual({ count: 1, cursor: "", cursors: { after: "" } });
    await expectRefusal(await app.get(`${NS}/keys?prefix=a&cursor=${cursor}`), 400, 400);
    for (const limit of ["0", "1001", "x", "1.5"]) {
      await expectRefusal(await app.get(`${NS}/keys?limit=${limit}`), 400, 400);
    }
  });

  it("write, read and delete many", async () => {
    const app = await makeApp();
    const pairs = [
      { key: "t", value: "text", metadata: { m: 1 }, expiration_ttl: 9 },
      { key: "b", value: btoa("bytes"), base64: true },
      { key: "__proto__", value: '{"x":1}' },
      { key: "t", value: "last", metadata: { m: 2 } },
    ];
    const put = await resultOf(await send(app, `${NS}/bulk`, json("PUT", pairs)));
    expect(put).toEqual({ successful_key_count: 3, unsuccessful_keys: [] });
    const ask = async (body: unknown): Promise<unknown> =>
      resultOf(await send(app, `${NS}/bulk/get`, json("POST", body)));
    const texts = JSON.parse('{"t":"last","b":"bytes","none":null,"__proto__":"{\\"x\\":1}"}');
    expect(await ask({ keys: ["t", "b", "none", "__proto__"] })).toEqual({ values: texts });
    const withMetadata = { keys: ["t", "none"], type: "text", withMetadata: true };
    const values = { t: { value: "last", metadata: { m: 2 } }, none: null };
    expect(await ask(withMetadata)).toEqual({ values });
    const parsed = (await ask({ keys: ["__proto__"], type: "json" })) as { values: object };
    expect(Object.entries(parsed.values)).toEqual([["__proto__", { x: 1 }]]);
    const notJson = await send(app, `${NS}/bulk/get`, json("POST", { keys: ["t"], type: "json" }));
    await expectRefusal(notJson, 400, 400);
    await resultOf(await send(app, `${NS}/bulk/delete`, json("POST", ["t", "none"])));
    await resultOf(await send(app, `${NS}/bulk`, json("DELETE", ["b"])));
    expect((await listed(app)).map(({ name }) => name)).toEqual(["__proto__"]);
  });

  it("write nothing when one pair is malformed", async () => {
    const app = await makeApp();
    const fine = { key: "a", value: "v" };
    const bad: unknown[] = [
      { key: "", value: "v" },
      { key: "b" },
      { key: "b", value: 1 },
      { key: "b", value: "!", base64: true },
      { key: "b", value: "v", expiration: 5 },
      { key: "b", value: "v", expiration_ttl: "9" },
      { key: "b", value: "v", metadata: "m".repeat(1025) },
      null,
    ];
    for (const pair of bad) {
      await expectRefusal(await send(app, `${NS}/bulk`, json("PUT", [fine, pair])), 400, 400);
    }
    const long = { key: "b", value: "v".repeat(1001) };
    await expectRefusal(await send(app, `${NS}/bulk`, json("PUT", [fine, long])), 413, 413);
    for (const body of [{}, "x", [1]]) {
      await expectRefusal(await send(app, `${NS}/bulk/delete`, json("POST", body)), 400, 400);
    }
    const many = Array.from({ length: 10_001 }, (_, i) => String(i));
    await expectRefusal(await send(app, `${NS}/bulk/delete`, json("POST", many)), 400, 400);
    expect(app.backend.operations).toEqual([]);
  });

  it("report no success when a key of many failed, and name the keys", async () => {
    const app = await makeApp();
    app.backend.failure = { code: "quorum-timeout", detail: "Too few." };
    const answer = await send(app, `${NS}/bulk`, json("PUT", [{ key: "a", value: "v" }]));
    expect(answer.status).toBe(504);
    const body = await envelopeOf(answer);
    expect(body.success).toBe(false);
    expect(body.errors[0]?.message).toContain("outcome is unknown");
    expect(body.result).toEqual({ successful_key_count: 0, unsuccessful_keys: ["a"] });
  });
});

describe("namespaces of the Workers KV façade", () => {
  it("are created, listed page by page, and end with an empty page", async () => {
    const app = await makeApp();
    for (const title of ["c", "a", "b"]) {
      const created = await resultOf(await send(app, BASE, json("POST", { title })));
      expect(created).toEqual({ id: title, title, supports_url_encoding: true });
    }
    await expectRefusal(await send(app, BASE, json("POST", { title: "a" })), 409, 10014);
    for (const title of ["", " ", "t".repeat(513), "\ud800", 5, null]) {
      await expectRefusal(await send(app, BASE, json("POST", { title })), 400, 400);
    }
    const page = async (query: string): Promise<string[]> => {
      const body = await envelopeOf(await app.get(`${BASE}?${query}`));
      expect(body.result_info).toMatchObject({ total_count: 3 });
      return (body.result as { id: string }[]).map(({ id }) => id);
    };
    expect(await page("per_page=2&order=title")).toEqual(["a", "b"]);
    expect(await page("per_page=2&page=2")).toEqual(["c"]);
    expect(await page("per_page=2&page=3")).toEqual([]);
    expect(await page("direction=desc")).toEqual(["c", "b", "a"]);
    await expectRefusal(await app.get(`${BASE}?page=0`), 400, 400);
    expect(await resultOf(await app.get(`${BASE}/a`))).toMatchObject({ id: "a" });
    await resultOf(await send(app, `${BASE}/a`, json("PUT", { title: "a" })));
  });

  it("have titles of their own, and ids for those that can be no name", async () => {
    const app = await makeApp();
    const create = async (title: string): Promise<{ id: string; title: string }> =>
      (await resultOf(await send(app, BASE, json("POST", { title })))) as never;
    const titled = await create("My Worker: sessions (ü)");
    expect(titled).toMatchObject({ title: "My Worker: sessions (ü)" });
    expect(titled.id).toMatch(/^[0-9a-f]{32}$/);
    await app.put(`${BASE}/${titled.id}/values/k`, "v");
    expect(await (await app.get(`${BASE}/${titled.id}/values/k`)).text()).toBe("v");
    const again = await send(app, BASE, json("POST", { title: titled.title }));
    await expectRefusal(again, 409, 10014);
    expect(await resultOf(await app.get(`${BASE}/${titled.id}`))).toMatchObject(titled);
  });

  it("are renamed, and keep their id, what is in them and their settings", async () => {
    const app = await makeApp();
    const settings = { method: "PUT", body: '{"ttl":60}' };
    await app.call("PUT", "/v1/namespaces/a", settings);
    await app.put(`${BASE}/a/values/k`, "v");
    const rename = (id: string, title: string): Promise<Response> =>
      send(app, `${BASE}/${id}`, json("PUT", { title }));
    expect(await resultOf(await rename("a", "A new name"))).toMatchObject({
      id: "a",
      title: "A new name",
    });
    expect(await (await app.get(`${BASE}/a/values/k`)).text()).toBe("v");
    expect(await (await app.get("/v1/namespaces/a")).json()).toMatchObject({
      ttl: 60,
      title: "A new name",
    });
    // Its name is free as a title now, and taken as an id.
    const other = (await resultOf(await send(app, BASE, json("POST", { title: "a" })))) as {
      id: string;
    };
    expect(other).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/), title: "a" });
    await expectRefusal(await rename(other.id, "A new name"), 409, 10014);
    const titles = (
      (await resultOf(await app.get(`${BASE}?order=title`))) as { title: string }[]
    ).map(({ title }) => title);
    expect(titles).toEqual(["A new name", "a"]);
    await resultOf(await rename(other.id, "b"));
    await resultOf(await rename("a", "a"));
    expect(await (await app.get("/v1/namespaces/a")).json()).not.toHaveProperty("title");
    // Settings that are put keep the title.
    await app.call("PUT", `/v1/namespaces/${other.id}`, { body: '{"w":"all"}' });
    expect(await resultOf(await app.get(`${BASE}/${other.id}`))).toMatchObject({ title: "b" });
  });
});

describe("who may call the Workers KV façade", () => {
  const auth = tokensOf([
    { token: "a-reader", role: "read", namespaces: ["ns"] },
    { token: "a-writer", role: "write", namespaces: ["ns"] },
    { token: "an-admin", role: "admin" },
  ]);
  const options: TestAppOptions = { auth, openOnLoopback: false };
  const status = async (app: TestApp, token: string, target: string, init: RequestInit) => {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await app.call(init.method ?? "GET", target, { ...init, headers });
    if (!answer.ok) expect((await envelopeOf(answer)).errors[0]?.code).toBeGreaterThan(0);
    return answer.status;
  };

  it("needs a token with the right, told in Cloudflare's shape", async () => {
    const app = await makeApp(options);
    const answer = await app.get(`${NS}/values/k`);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    await expectRefusal(answer, 401, 10000);
    const cases: [string, string, RequestInit, number][] = [
      ["wrong", `${NS}/keys`, {}, 401],
      ["a-reader", `${NS}/keys`, {}, 200],
      ["a-reader", `${NS}/bulk/get`, json("POST", { keys: ["a"] }), 200],
      ["a-reader", `${NS}/values/k`, { method: "PUT", body: "v" }, 403],
      ["a-reader", `${NS}/bulk`, json("PUT", []), 403],
      ["a-reader", `${NS}/bulk`, json("DELETE", []), 403],
      ["a-writer", `${NS}/values/k`, { method: "PUT", body: "v" }, 200],
      ["a-writer", `${BASE}/other/values/k`, { method: "PUT", body: "v" }, 403],
      ["a-writer", NS, { method: "DELETE" }, 403],
      ["a-writer", BASE, json("POST", { title: "ns" }), 403],
      ["an-admin", BASE, json("POST", { title: "ns" }), 200],
      ["an-admin", BASE, json("POST", { title: "hidden" }), 200],
    ];
    for (const [token, target, init, expected] of cases) {
      expect([target, await status(app, token, target, init)]).toEqual([target, expected]);
    }
    const headers = { Authorization: "Bearer a-reader" };
    const own = await app.get(BASE, headers);
    expect(await resultOf(own)).toEqual([{ id: "ns", title: "ns", supports_url_encoding: true }]);
  });

  it("is told of unknown routes and methods in Cloudflare's shape too", async () => {
    const app = await makeApp();
    await expectRefusal(await app.get("/client/v4/user"), 404, 7003);
    await expectRefusal(await app.get(`${NS}/values`), 404, 7003);
    const posted = await app.call("POST", `${NS}/values/k`);
    expect(posted.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
    await expectRefusal(posted, 405, 405);
    await expectRefusal(await app.get(`${NS}/values/`), 400, 400);
    await expectRefusal(await app.get(`${NS}/values/%ff`), 400, 400);
    await expectRefusal(await app.get(`${BASE}/-bad/keys`), 400, 400);
    await expectRefusal(await app.get(`${NS}/values/${"k".repeat(513)}`), 414, 414);
  });
});

describe("workerd's own wire", () => {
  const WIRE = "/v1/workerd-kv/ns/";

  it("is spoken with the namespace in front", async () => {
    const app = await makeApp();
    const target = `${WIRE}a%2Fb%20%25?urlencoded=true&expiration_ttl=9`;
    const put = await app.put(target, "v", { "CF-KV-Metadata": '{"m":1}' });
    expect(put.status).toBe(200);
    const got = await app.get(`${WIRE}a%2Fb%20%25?urlencoded=true&cache_ttl=60`);
    expect([await got.text(), got.headers.get("cf-kv-metadata")]).toEqual(["v", '{"m":1}']);
    const expiration = app.backend.nowMs / 1000 + 9;
    const listed = await app.get(`${WIRE}?key_count_limit=5&prefix=a`);
    expect(await listed.json()).toEqual({
      keys: [{ name: "a/b %", expiration, metadata: '{"m":1}' }],
      list_complete: true,
    });
    const body = JSON.stringify({ keys: ["a/b %", "none"] });
    const bulk = await app.call("POST", `${WIRE}bulk/get`, { body });
    expect(await bulk.json()).toEqual({ "a/b %": "v", none: null });
    expect((await app.call("DELETE", `${WIRE}a%2Fb%20%25`)).status).toBe(200);
    expect((await app.get(`${WIRE}a%2Fb%20%25`)).status).toBe(404);
    for (const wrong of ["POST k", "POST ", "POST bulk%2Fget", "PATCH k"]) {
      const [method = "", key = ""] = wrong.split(" ");
      const { status, headers } = await app.call(method, `${WIRE}${key}`);
      expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD, PUT, DELETE"]);
    }
    expect((await app.put(`${WIRE}k?expiration=5`, "v")).status).toBe(400);
  });

  it("asks for tokens as everything does", async () => {
    const auth = tokensOf([{ token: "a-reader", role: "read", namespaces: ["ns"] }]);
    const app = await makeApp({ auth, openOnLoopback: false });
    expect((await app.get(WIRE)).status).toBe(401);
    const headers = { Authorization: "Bearer a-reader" };
    expect((await app.get(WIRE, headers)).status).toBe(200);
    expect((await app.put(`${WIRE}k`, "v", headers)).status).toBe(403);
    expect((await app.get("/v1/workerd-kv/other/", headers)).status).toBe(403);
  });
});
