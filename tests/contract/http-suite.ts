/**
 * The HTTP contract, from outside: one suite for every host. Each test uses a namespace of its own,
 * so the deployment may be shared.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rawRequest } from "../support/raw-http.ts";
import { kvFacade } from "./kv-suite.ts";

export interface Deployment {
  /** Frontends: any of them may take any request. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

export interface HostFacts {
  /** The frontend sees the request target as it stood on the request line. */
  readonly seesRawPath: boolean;
  /** The frontend parses HTTP by itself, and answers what it refuses. */
  readonly parsesHttp: boolean;
}

interface Problem {
  readonly type: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly option?: string;
  readonly limit?: number;
}

let urls: readonly string[] = [];
let turn = 0;
let namespaceCount = 0;

/** Every request goes to the next frontend. */
const nextUrl = (): string => urls[turn++ % urls.length] as string;
const freshNamespace = (): string => `suite-${Date.now().toString(36)}-${++namespaceCount}`;
const call = (path: string, init?: RequestInit): Promise<Response> => fetch(nextUrl() + path, init);
const put = (
  path: string,
  body: NonNullable<RequestInit["body"]>,
  headers: Record<string, string> = {},
): Promise<Response> => call(path, { method: "PUT", body, headers });

async function problem(response: Response): Promise<Problem> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return (await response.json()) as Problem;
}

async function expectProblem(response: Response, status: number, code: string): Promise<Problem> {
  const body = await problem(response);
  expect({ status: response.status, code: body.code }).toEqual({ status, code });
  expect(body.type).toBe(`https://starling.dev/problems/${code}`);
  expect(body.status).toBe(status);
  expect(body.detail.length).toBeGreaterThan(10);
  return body;
}

const context = (response: Response): string => response.headers.get("starling-context") ?? "";

function writes(): void {
  it("creates with 201, replaces with 204, and gives back what was stored", async () => {
    const path = `/v1/kv/${freshNamespace()}/a/b`;
    const created = await put(path, "one", { "Content-Type": "text/plain; charset=utf-8" });
    expect(created.status).toBe(201);
    expect((await put(path, "two")).status).toBe(204);
    const got = await call(path);
    expect(got.status).toBe(200);
    expect(await got.text()).toBe("two");
  });

  it("keeps the stored headers and metadata with the value", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const stored = {
      "Content-Type": "image/svg+xml",
      "Content-Encoding": "identity",
      "Content-Language": "de-CH",
      "Content-Disposition": 'attachment; filename="x.svg"',
      "Starling-Metadata": '{"a":[1,null,"ü"]}',
    };
    const headers = { ...stored, "Starling-Metadata": '{"a":[1,null,"\\u00fc"]}' };
    expect((await put(path, "<svg/>", headers)).status).toBe(201);
    for (const method of ["GET", "HEAD"]) {
      const got = await call(path, { method });
      for (const [name, value] of Object.entries(stored)) {
        const given = got.headers.get(name) ?? "";
        if (name === "Starling-Metadata") expect(JSON.parse(given)).toEqual(JSON.parse(value));
        else expect(given).toBe(value);
      }
      expect(got.headers.get("content-length")).toBe("6");
    }
  });

  it("defaults the content type, and stores nothing as a value", async () => {
    const path = `/v1/kv/${freshNamespace()}/empty`;
    expect((await put(path, new Uint8Array(0))).status).toBe(201);
    const got = await call(path);
    expect(got.status).toBe(200);
    expect(got.headers.get("content-type")).toBe("application/octet-stream");
    expect(got.headers.get("content-length")).toBe("0");
  });

  it("stores any bytes", async () => {
    const path = `/v1/kv/${freshNamespace()}/bytes`;
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) & 255);
    await put(path, bytes);
    expect(new Uint8Array(await (await call(path)).arrayBuffer())).toEqual(bytes);
  });

  it("answers a put with the value when asked", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const answer = await put(`${path}?return_body=true`, "body", { "Content-Type": "text/x-a" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/x-a");
    expect(await answer.text()).toBe("body");
  });

  it("deletes with 204, also where nothing was, and orders a re-creation after it", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    expect((await call(path, { method: "DELETE" })).status).toBe(204);
    await put(path, "one");
    expect((await call(path, { method: "DELETE" })).status).toBe(204);
    const gone = await call(path);
    await expectProblem(gone, 404, "not-found");
    expect(context(gone)).not.toBe("");
    const again = await put(path, "two", { "Starling-Context": context(gone) });
    expect(again.status).toBe(201);
    const got = await call(path);
    expect(await got.text()).toBe("two");
    expect(got.headers.get("starling-siblings")).toBeNull();
  });

  it("forgets a value when its time to live is over", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/long?ttl=1000`, "v");
    const long = await call(`/v1/kv/${namespace}/long`);
    expect(long.headers.get("cache-control")).toMatch(/^max-age=(999|1000)$/);
    expect(long.headers.get("age")).toMatch(/^[01]$/);
    await put(`/v1/kv/${namespace}/short`, "v", { "Cache-Control": "max-age=1" });
    await put(`/v1/kv/${namespace}/shorter?ttl=0.2`, "v", { "Cache-Control": "max-age=1000" });
    const isGone = async (key: string): Promise<number> =>
      (await call(`/v1/kv/${namespace}/${key}`)).status;
    await expect.poll(() => isGone("shorter"), { timeout: 5000 }).toBe(404);
    await expect.poll(() => isGone("short"), { timeout: 5000 }).toBe(404);
    expect((await put(`/v1/kv/${namespace}/short`, "again")).status).toBe(201);
  });
}

function siblings(): void {
  /** Two values that know nothing of each other. */
  async function makeSiblings(path: string): Promise<void> {
    const first = await put(path, "base");
    const base = context(first);
    await put(path, "red", { "Starling-Context": base, "Content-Type": "text/red" });
    await put(path, "blue", { "Starling-Context": base, "Content-Type": "text/blue" });
  }

  it("keeps concurrent writes apart and shows the newest with a context of its own", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const got = await call(path);
    expect(got.status).toBe(200);
    expect(got.headers.get("starling-siblings")).toBe("2");
    expect(await got.text()).toBe("blue");
    await put(path, "green", { "Starling-Context": context(got) });
    const after = await call(`${path}?siblings=all`, { headers: { Accept: "application/json" } });
    const { siblings: left } = (await after.json()) as { siblings: { value: string }[] };
    expect(left.map(({ value }) => atob(value)).sort()).toEqual(["green", "red"]);
  });

  it("shows all siblings as multipart and as JSON, and lets their context resolve them", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const all = await call(`${path}?siblings=all`);
    expect(all.status).toBe(300);
    const type = all.headers.get("content-type") ?? "";
    const boundary = /^multipart\/mixed; boundary="?([^"]+)"?$/.exec(type)?.[1] ?? "none";
    const parts = (await all.text()).split(`--${boundary}`).slice(1, -1);
    expect(parts).toHaveLength(2);
    for (const part of parts) {
      expect(part).toMatch(/\r\nContent-Type: text\/(red|blue)\r\n/);
      expect(part).toMatch(/\r\nETag: "[^"]+"\r\n/);
      expect(part).toMatch(/\r\nLast-Modified: [^\r]+GMT\r\n/);
    }
    const accepted = await call(path, { headers: { Accept: "multipart/mixed" } });
    expect(accepted.status).toBe(300);
    expect(accepted.headers.get("etag")).toBe(all.headers.get("etag"));
    const json = await call(`${path}?siblings=all`, { headers: { Accept: "application/json" } });
    expect(json.status).toBe(300);
    const body = (await json.json()) as { siblings: Record<string, unknown>[] };
    expect(Object.keys(body.siblings[0] ?? {}).sort()).toEqual(
      ["contentType", "etag", "lastModified", "metadata", "value"].sort(),
    );
    await put(path, "resolved", { "Starling-Context": context(json) });
    const got = await call(`${path}?siblings=all`);
    expect(got.status).toBe(200);
    expect(await got.text()).toBe("resolved");
  });

  it("reads its own writes from one replica with the write's context", async () => {
    const namespace = freshNamespace();
    for (let i = 0; i < 20; i++) {
      const written = await put(`/v1/kv/${namespace}/k${i}?w=1&dw=1`, `v${i}`);
      const got = await call(`/v1/kv/${namespace}/k${i}?r=1`, {
        headers: { "Starling-Context": context(written) },
      });
      expect(await got.text()).toBe(`v${i}`);
    }
  });
}

function answers(): void {
  it("carries every header of the contract", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const written = await put(path, "v");
    const got = await call(path);
    const gone = await call(`${path}-none`);
    for (const response of [written, got, gone]) {
      expect(context(response)).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toBe("sandbox; default-src 'none'");
      expect(response.headers.get("date")).toMatch(/GMT$/);
      expect(response.headers.get("server-timing")).toMatch(/^quorum;dur=[0-9.]+$/);
    }
    expect(got.headers.get("etag")).toMatch(/^"[^"]+"$/);
    expect(got.headers.get("etag")).toBe(written.headers.get("etag"));
    expect(got.headers.get("last-modified")).toMatch(/GMT$/);
    expect(got.headers.get("starling-quorum")).toBe(
      "n=3, r=2, answered=2, primaries=2, fallbacks=0",
    );
    expect(written.headers.get("starling-quorum")).toMatch(
      /^n=3, w=2, acked=[23], primaries=[23], fallbacks=0, durable=[23]$/,
    );
  });

  it("gives the same ETag on every frontend and with every option", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(`${path}?w=all`, "v");
    const tags = new Set<string | null>();
    for (const url of urls) {
      for (const query of ["", "?r=1", "?r=all", "?consistency=strict"]) {
        tags.add((await fetch(url + path + query)).headers.get("etag"));
      }
    }
    expect(tags.size).toBe(1);
  });

  it("honours conditions and ranges", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(path, "0123456789");
    const etag = (await call(path)).headers.get("etag") ?? "";
    const modified = (await call(path)).headers.get("last-modified") ?? "";
    const get = (headers: Record<string, string>): Promise<Response> => call(path, { headers });
    for (const headers of [
      { "If-None-Match": etag },
      { "If-None-Match": `"other", W/${etag}` },
      { "If-None-Match": "*" },
      { "If-Modified-Since": modified },
    ]) {
      const answer = await get(headers);
      expect(answer.status).toBe(304);
      expect(answer.headers.get("etag")).toBe(etag);
      expect(context(answer)).not.toBe("");
    }
    expect((await get({ "If-None-Match": '"x"', "If-Modified-Since": modified })).status).toBe(200);
    await expectProblem(await get({ "If-Match": '"x"' }), 412, "precondition-failed");
    const ranges: [string, number, string][] = [
      ["bytes=2-4", 206, "234"],
      ["bytes=7-", 206, "789"],
      ["bytes=-3", 206, "789"],
      ["bytes=0-99", 206, "0123456789"],
      ["bytes=1-2,4-5", 200, "0123456789"],
      ["lines=1-2", 200, "0123456789"],
    ];
    for (const [range, status, text] of ranges) {
      const answer = await get({ Range: range });
      expect([range, answer.status, await answer.text()]).toEqual([range, status, text]);
    }
    expect((await get({ Range: "bytes=2-4" })).headers.get("content-range")).toBe("bytes 2-4/10");
    const beyond = await get({ Range: "bytes=10-" });
    expect(beyond.headers.get("content-range")).toBe("bytes */10");
    await expectProblem(beyond, 416, "range-not-satisfiable");
    expect((await get({ Range: "bytes=2-4", "If-Range": '"x"' })).status).toBe(200);
  });

  it("checks preconditions of writes", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    expect((await put(path, "one", { "If-None-Match": "*" })).status).toBe(201);
    await expectProblem(
      await put(path, "two", { "If-None-Match": "*" }),
      412,
      "precondition-failed",
    );
    const etag = (await call(path)).headers.get("etag") ?? "";
    await expectProblem(await put(path, "two", { "If-Match": '"x"' }), 412, "precondition-failed");
    expect((await put(path, "two", { "If-Match": etag })).status).toBe(204);
    await expectProblem(
      await call(path, { method: "DELETE", headers: { "If-Match": etag } }),
      412,
      "precondition-failed",
    );
    expect(await (await call(path)).text()).toBe("two");
  });
}

function options(): void {
  const accepted = [
    "n=1",
    "n=2&r=2",
    "r=one",
    "r=all&w=all",
    "w=1",
    "r=2&pr=2",
    "w=2&pw=2&dw=0",
    "dw=1",
    "zones=1",
    "sloppy=false",
    "notfound_ok=false",
    "notfound_ok=false&basic_quorum=true",
    "timeout=60000",
    "consistency=one",
    "consistency=quorum",
    "consistency=all",
    "consistency=local_quorum",
    "consistency=strict",
    "return_body=false",
    "ttl=1.5",
    "siblings=all",
  ];
  it.each(accepted)("takes ?%s on every method", async (query) => {
    const path = `/v1/kv/${freshNamespace()}/k?${query}`;
    expect((await put(path, "v")).status).toBe(201);
    for (const method of ["GET", "HEAD"]) expect((await call(path, { method })).status).toBe(200);
    expect((await call(path, { method: "DELETE" })).status).toBe(204);
  });

  const refused: [string, string][] = [
    ["n=0", "n"],
    ["n=4", "n"],
    ["r=4", "r"],
    ["r=0", "r"],
    ["n=1&r=2", "r"],
    ["w=two", "w"],
    ["w=1e0", "w"],
    ["w=-1", "w"],
    ["w=%201", "w"],
    ["r=1&pr=2", "pr"],
    ["w=1&pw=2", "pw"],
    ["w=1&dw=2", "dw"],
    ["consistency=one&pr=2", "pr"],
    ["zones=10", "zones"],
    ["sloppy=yes", "sloppy"],
    ["sloppy=?0", "sloppy"],
    ["timeout=0", "timeout"],
    ["timeout=60001", "timeout"],
    ["consistency=linear", "consistency"],
    ["ttl=0", "ttl"],
    ["ttl=1.2345", "ttl"],
    ["ttl=1e3", "ttl"],
    ["ttl=315360001", "ttl"],
    ["siblings=some", "siblings"],
    ["color=red", "color"],
    ["r=1&r=1", "r"],
  ];
  it.each(refused)("refuses ?%s on every method", async (query, option) => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    for (const method of ["GET", "PUT", "DELETE"]) {
      const body = method === "PUT" ? "v" : null;
      const answer = await call(`${path}?${query}`, { method, body });
      const { option: named } = await expectProblem(answer, 400, "invalid-option");
      expect(named).toBe(option);
    }
    expect((await call(path)).status).toBe(404);
  });

  it("takes the same options from one structured header, and lets the query win", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(`${path}?w=all`, "v");
    const quorum = async (query: string, header: string): Promise<string | null> => {
      const answer = await call(path + query, { headers: { "Starling-Quorum": header } });
      expect(answer.status).toBe(200);
      return answer.headers.get("starling-quorum");
    };
    expect(await quorum("", "r=1, sloppy=?0, timeout=250")).toMatch(/^n=3, r=1,/);
    expect(await quorum("", "consistency=all")).toMatch(/^n=3, r=3,/);
    expect(await quorum("", "consistency=all, r=1")).toMatch(/^n=3, r=1,/);
    expect(await quorum("?r=3", "r=1")).toMatch(/^n=3, r=3,/);
    expect(await quorum("?consistency=all", "r=1")).toMatch(/^n=3, r=3,/);
    const bad = [
      "r=9",
      "colour=1",
      "r=1, r=2",
      "r=(1 2)",
      "sloppy=false",
      "r=1.5",
      "r=\u0001",
      ",,",
    ];
    for (const header of bad.filter((text) => !text.includes("\u0001"))) {
      const answer = await call(path, { headers: { "Starling-Quorum": header } });
      await expectProblem(answer, 400, "invalid-option");
    }
  });
}

function keys(facts: HostFacts): void {
  const odd = [
    "__proto__",
    "constructor",
    "a//b",
    "trailing/",
    "%00",
    "%01%1F%7F",
    "a%2Fb",
    "%E2%82%AC",
    "%F0%9F%98%80",
    "plus+and%20space",
    "q%3Fm%23h",
    "%25",
    "k".repeat(512),
    encodeURIComponent("ü".repeat(256)),
  ];
  it.each(odd)("stores under the key %s", async (key) => {
    const path = `/v1/kv/${freshNamespace()}/${key}`;
    expect((await put(path, key)).status).toBe(201);
    expect(await (await call(path)).text()).toBe(key);
  });

  it("decodes once, so that escaped and plain are one key and a double escape another", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/a/b`, "slash");
    expect(await (await call(`/v1/kv/${namespace}/a%2Fb`)).text()).toBe("slash");
    expect((await call(`/v1/kv/${namespace}/a%252Fb`)).status).toBe(404);
  });

  it("refuses keys and namespaces that are none", async () => {
    const namespace = freshNamespace();
    const bad = [
      `/v1/kv/${namespace}/`,
      `/v1/kv/${namespace}/%`,
      `/v1/kv/${namespace}/%G1`,
      `/v1/kv/${namespace}/%FF`,
      `/v1/kv/${namespace}/%ED%A0%80`,
      "/v1/kv/-x/k",
      `/v1/kv/${"n".repeat(65)}/k`,
      "/v1/kv/a%20b/k",
      "/v1/kv/%C3%BC/k",
    ];
    for (const path of bad) await expectProblem(await call(path), 400, "invalid-key");
    const long = `/v1/kv/${namespace}/${"k".repeat(513)}`;
    const { limit } = await expectProblem(await call(long), 414, "key-too-long");
    expect(limit).toBe(512);
  });

  it.skipIf(!facts.seesRawPath)("takes dots for data (this host sees the raw path)", async () => {
    const namespace = freshNamespace();
    for (const key of ["..", "a/../b", "./x", "%2e%2e"]) {
      const head = `PUT /v1/kv/${namespace}/${key} HTTP/1.1\r\nHost: localhost\r\n`;
      const answer = await rawRequest(nextUrl(), `${head}Content-Length: 1\r\n\r\nv`);
      expect([key, answer.status]).toEqual([key, key === "%2e%2e" ? 204 : 201]);
    }
  });
}

function errors(): void {
  it("refuses contexts that it did not give for this key", async () => {
    const namespace = freshNamespace();
    const token = context(await put(`/v1/kv/${namespace}/k`, "v"));
    const other = context(await put(`/v1/kv/${namespace}/other`, "v"));
    const flipped = `${token.slice(0, 4)}${token[4] === "A" ? "B" : "A"}${token.slice(5)}`;
    const bad = [other, flipped, "not base64!", "", "AAAA", token.slice(0, -2), "A".repeat(5000)];
    for (const forged of bad) {
      const headers = { "Starling-Context": forged };
      const reading = await call(`/v1/kv/${namespace}/k`, { headers });
      await expectProblem(reading, 400, "invalid-context");
      await expectProblem(await put(`/v1/kv/${namespace}/k`, "w", headers), 400, "invalid-context");
    }
    expect(await (await call(`/v1/kv/${namespace}/k`)).text()).toBe("v");
  });

  it("refuses metadata that is no JSON, or too long", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    for (const metadata of ["{", "undefined", `"${"x".repeat(1023)}"`]) {
      const answer = await put(path, "v", { "Starling-Metadata": metadata });
      await expectProblem(answer, 400, "invalid-metadata");
    }
    expect((await put(path, "v", { "Starling-Metadata": `"${"x".repeat(1022)}"` })).status).toBe(
      201,
    );
  });

  it("refuses values over the limit, announced or streamed", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const limit = 1_048_576;
    expect((await put(path, new Uint8Array(limit))).status).toBe(201);
    const announced = await put(path, new Uint8Array(limit + 1));
    expect((await expectProblem(announced, 413, "value-too-large")).limit).toBe(limit);
    let chunksLeft = 64;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (chunksLeft-- > 0) controller.enqueue(new Uint8Array(65_536));
        else controller.close();
      },
    });
    const request = { method: "PUT", body: stream, duplex: "half" } as RequestInit;
    const streamed = await call(path, request).catch(() => null);
    // A server may close on a body that it does not want; if it answers, then with the problem.
    if (streamed !== null) await expectProblem(streamed, 413, "value-too-large");
    expect((await call(path, { method: "HEAD" })).headers.get("content-length")).toBe(`${limit}`);
  });

  it("knows its routes and methods", async () => {
    await expectProblem(await call("/v1/nothing"), 404, "no-such-route");
    await expectProblem(await call("/"), 404, "no-such-route");
    await expectProblem(await call("/internal"), 404, "no-such-route");
    const path = `/v1/kv/${freshNamespace()}/k`;
    const posted = await call(path, { method: "POST", body: "v" });
    expect(posted.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
    await expectProblem(posted, 405, "method-not-allowed");
  });

  it("refuses too many siblings, with the context that resolves them", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const empty = context(await call(path));
    let last: Response | null = null;
    for (let i = 0; i <= 100; i++) {
      last = await fetch(urls[0] + path, {
        method: "PUT",
        body: `v${i}`,
        headers: { "Starling-Context": empty },
      });
      if (last.status === 409) break;
    }
    expect(last?.status).toBe(409);
    const token = context(last as Response);
    await expectProblem(last as Response, 409, "too-many-siblings");
    expect((await put(path, "one", { "Starling-Context": token })).status).toBe(204);
    expect((await call(`${path}?siblings=all`)).status).toBe(200);
  });
}

function malformedHttp(): void {
  const send = (path: string, lines: readonly string[], body = ""): ReturnType<typeof rawRequest> =>
    rawRequest(
      nextUrl(),
      [`PUT ${path} HTTP/1.1`, "Host: localhost", ...lines, "", body].join("\r\n"),
    );

  it("answers smuggling shapes with 400 and closes", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const shapes = [
      ["Content-Length: 1", "Transfer-Encoding: chunked"],
      ["Content-Length: 1", "Content-Length: 2"],
      ["Content-Length : 1"],
      ["X: a\rb", "Content-Length: 1"],
      ["Content-Length: -1"],
    ];
    for (const lines of shapes) {
      const answer = await send(path, lines, "v");
      expect([lines[0], answer.status]).toEqual([lines[0], 400]);
      expect(answer.head.toLowerCase()).toContain("connection: close");
    }
    expect((await call(path)).status).toBe(404);
  });

  it("answers a body that is cut off with 400, and stores nothing", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const text = `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf`;
    const answer = await rawRequest(nextUrl(), text, { end: true });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain("incomplete-body");
    expect((await call(path)).status).toBe(404);
  });

  it("answers headers that are too large with 431", async () => {
    const answer = await send(`/v1/kv/${freshNamespace()}/k`, [`X: ${"x".repeat(40_000)}`]);
    expect(answer.status).toBe(431);
  });
}

function listings(): void {
  it("lists keys in the order of their bytes, page by page", async () => {
    const namespace = freshNamespace();
    const names = ["a", "b/1", "b/2", "b/\u{ff5e}", "b/\u{1f600}", "c", "ä"];
    for (const name of names) await put(`/v1/kv/${namespace}/${encodeURIComponent(name)}`, "v");
    await put(`/v1/kv/${namespace}/gone`, "v");
    await call(`/v1/kv/${namespace}/gone`, { method: "DELETE" });
    await put(`/v1/kv/${namespace}/m?ttl=1000`, "v", { "Starling-Metadata": '{"x":1}' });
    const found: string[] = [];
    let cursor = "";
    for (let page = 0; page < 30; page++) {
      const answer = await call(`/v1/kv/${namespace}?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(answer.status).toBe(200);
      const body = (await answer.json()) as ListBody;
      found.push(...body.keys.map(({ name }) => name));
      if (body.list_complete) break;
      cursor = encodeURIComponent(body.cursor ?? "");
    }
    const bytes = (text: string): Buffer => Buffer.from(text);
    expect(found).toEqual([...names, "m"].sort((x, y) => Buffer.compare(bytes(x), bytes(y))));
    const prefixed = (await (await call(`/v1/kv/${namespace}?prefix=b/`)).json()) as ListBody;
    expect(prefixed.keys).toHaveLength(4);
    expect(prefixed.list_complete).toBe(true);
    const m = (await (await call(`/v1/kv/${namespace}?prefix=m`)).json()) as ListBody;
    expect(m.keys[0]?.metadata).toEqual({ x: 1 });
    expect(m.keys[0]?.expiration).toBeGreaterThan(Date.now() / 1000);
  });

  it("refuses cursors of other lists and bad limits", async () => {
    const namespace = freshNamespace();
    for (const key of ["a", "b", "c"]) await put(`/v1/kv/${namespace}/${key}`, "v");
    const { cursor } = (await (await call(`/v1/kv/${namespace}?limit=1`)).json()) as ListBody;
    expect(cursor).toBeTruthy();
    for (const path of [
      `/v1/kv/${namespace}?prefix=a&cursor=${cursor}`,
      `/v1/kv/${freshNamespace()}?cursor=${cursor}`,
      `/v1/kv/${namespace}?cursor=forged`,
    ]) {
      await expectProblem(await call(path), 400, "invalid-cursor");
    }
    for (const limit of ["0", "1001", "x"]) {
      const answer = await call(`/v1/kv/${namespace}?limit=${limit}`);
      await expectProblem(answer, 400, "invalid-option");
    }
  });

  it("runs a batch, each op with its own status", async () => {
    const namespace = freshNamespace();
    const ops = [
      { op: "put", key: "a", value: btoa("one"), metadata: { m: 1 } },
      { op: "get", key: "none" },
      { op: "put", key: "", value: "" },
      { op: "fly", key: "a" },
    ];
    const body = JSON.stringify({ ops });
    const answer = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body });
    expect(answer.status).toBe(207);
    const { results } = (await answer.json()) as { results: { status: number }[] };
    expect(results.map(({ status }) => status)).toEqual([201, 404, 400, 400]);
    const again = JSON.stringify({
      ops: [
        { op: "get", key: "a" },
        { op: "delete", key: "a" },
      ],
    });
    const second = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body: again });
    const { results: more } = (await second.json()) as { results: Record<string, unknown>[] };
    expect(more[0]).toMatchObject({ status: 200, value: btoa("one"), metadata: { m: 1 } });
    expect(more[1]).toMatchObject({ status: 204 });
    const tooMany = JSON.stringify({ ops: Array.from({ length: 1001 }, () => ops[1]) });
    const refused = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body: tooMany });
    expect(refused.status).toBe(400);
  });
}

interface ListBody {
  readonly keys: readonly { name: string; expiration?: number; metadata?: unknown }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}

function clusterPlane(): void {
  it("creates and changes a namespace, and every frontend follows it", async () => {
    const namespace = freshNamespace();
    const settings = (body: unknown): Promise<Response> =>
      call(`/v1/namespaces/${namespace}`, { method: "PUT", body: JSON.stringify(body) });
    const defaults = await (await call(`/v1/namespaces/${namespace}`)).json();
    expect(defaults).toMatchObject({ n: 3, r: "quorum", ttl: null, maxValueBytes: 1_048_576 });
    expect((await settings({ maxValueBytes: 10, trustedContent: true })).status).toBe(201);
    for (let i = 0; i < urls.length; i++) {
      const path = `/v1/kv/${namespace}/k${i}`;
      await expectProblem(await put(path, "12345678901"), 413, "value-too-large");
      const written = await put(path, "1234567890");
      expect(written.status).toBe(201);
      expect(written.headers.get("content-security-policy")).toBeNull();
    }
    expect((await settings({ n: 2, ttl: 1000 })).status).toBe(200);
    const got = await call(`/v1/kv/${namespace}/k0`);
    expect(got.headers.get("starling-quorum")).toMatch(/^n=2, r=2,/);
    await expectProblem(await call(`/v1/kv/${namespace}/k0?n=3`), 400, "invalid-option");
    for (const bad of [{ n: 0 }, { n: 99 }, { r: 4 }, { colour: 1 }, [], { ttl: -1 }]) {
      expect((await settings(bad)).status).toBe(400);
    }
    const { namespaces } = (await (await call("/v1/namespaces")).json()) as {
      namespaces: { name: string }[];
    };
    expect(namespaces.map(({ name }) => name)).toContain(namespace);
  });

  it("explains what each replica holds, and describes cluster and ring", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    const explained = (await (await call(`/v1/cluster/explain/${namespace}/k`)).json()) as {
      preferenceList: string[];
      n: number;
      replicas: { id: string; role: string; reachable: boolean; entry: { etag: string } | null }[];
    };
    const primaries = explained.replicas.filter(({ role }) => role === "primary");
    expect(primaries.map(({ id }) => id)).toEqual(explained.preferenceList.slice(0, 3));
    expect(new Set(primaries.map(({ entry }) => entry?.etag)).size).toBe(1);
    const cluster = (await (await call("/v1/cluster")).json()) as {
      members: { id: string; reachable: boolean; partitionsOwned: number }[];
    };
    expect(cluster.members.every(({ reachable }) => reachable)).toBe(true);
    const ring = (await (await call("/v1/cluster/ring")).json()) as {
      partitions: number;
      assignment: string[][];
    };
    expect(ring.assignment).toHaveLength(ring.partitions);
    expect(new Set(ring.assignment.map((list) => list.length))).toEqual(new Set([3]));
  });

  it("says what a change of members would move, and changes nothing", async () => {
    const before = await (await call("/v1/cluster/ring")).text();
    const plan = (change: unknown): Promise<Response> =>
      call("/v1/cluster/plan", { method: "POST", body: JSON.stringify(change) });
    const url = "http://127.0.0.1:1";
    const planned = await plan({ add: [{ id: "r9", zone: "a", url, weight: 1 }] });
    expect(planned.status).toBe(200);
    const body = (await planned.json()) as Record<string, unknown>;
    expect(body).toMatchObject({ from: 1, to: 2 });
    expect(body["movedPartitions"]).toBe(body["minimumPossible"]);
    expect(body["movedPartitions"]).toBeGreaterThan(0);
    for (const bad of [{ remove: ["r99"] }, { add: [{ id: "r1" }] }, { grow: 1 }]) {
      expect((await plan(bad)).status).toBe(400);
    }
    expect(await (await call("/v1/cluster/ring")).text()).toBe(before);
  });

  it("compares replicas and delivers hints when told to", async () => {
    const body = JSON.stringify({});
    const compared = await call("/v1/cluster/anti-entropy", { method: "POST", body });
    expect(compared.status).toBe(200);
    expect(Object.keys((await compared.json()) as object).sort()).toEqual(
      [
        "bytes",
        "exchanges",
        "keysReceived",
        "keysSent",
        "ms",
        "partitionsCompared",
        "partitionsDiffering",
      ].sort(),
    );
    // A machine that is busy may take a member for dead for a while, and keep a hint for it.
    const pending = async (): Promise<number> => {
      const delivered = await call("/v1/cluster/handoff", { method: "POST", body });
      return ((await delivered.json()) as { pending: number }).pending;
    };
    await expect.poll(pending, { timeout: 20_000 }).toBe(0);
  });

  it("is alive, ready and measured", async () => {
    expect((await call("/healthz")).status).toBe(200);
    expect((await call("/readyz")).status).toBe(200);
    const metrics = await (await call("/metrics")).text();
    expect(metrics).toContain("http_server_request_duration_seconds_bucket");
    expect(metrics).toContain("starling_requests_total");
    expect(metrics).toContain("starling_ring_version");
  });
}

/** Registers the suite for one kind of deployment. */
export function httpContract(
  name: string,
  start: () => Promise<Deployment>,
  facts: HostFacts,
): void {
  describe(`HTTP contract: ${name}`, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await start();
      urls = deployment.urls;
    }, 60_000);
    afterAll(() => deployment?.close());
    describe("writes", writes);
    describe("siblings", siblings);
    describe("answers", answers);
    describe("options", options);
    describe("keys", () => keys(facts));
    describe("errors", errors);
    if (facts.parsesHttp) describe("malformed HTTP", malformedHttp);
    describe("listings and batches", listings);
    describe("Workers KV façade", () => kvFacade(call, freshNamespace));
    describe("cluster plane", clusterPlane);
  });
}
