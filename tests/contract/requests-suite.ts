/** The HTTP contract of requests from outside: options, keys, and what is refused how. */
import { expect, it } from "vitest";
import { rawRequest } from "../support/raw-http.ts";
import { call, context, expectProblem, freshNamespace, nextUrl, put, urls } from "./frontends.ts";

export interface HostFacts {
  /** The frontend sees the request target as it stood on the request line. */
  readonly seesRawPath: boolean;
  /** The frontend parses HTTP by itself, and answers what it refuses. */
  readonly parsesHttp: boolean;
}

export function options(): void {
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

export function keys(facts: HostFacts): void {
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

export function errors(): void {
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
    // A server may close on a body that it does not want; if it answers, it must be the problem.
    if (streamed !== null) await expectProblem(streamed, 413, "value-too-large");
    expect((await call(path, { method: "HEAD" })).headers.get("content-length")).toBe(`${limit}`);
  });

  it("takes no transfer coding but chunked: what is stored is the body as it was sent", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const sent = (coding: string) =>
      rawRequest(
        nextUrl(),
        `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: ${coding}\r\n\r\n` +
          "1\r\nv\r\n0\r\n\r\n",
      );
    const coded = await sent("gzip, chunked");
    expect(coded.status).toBe(501);
    expect(coded.body).toContain('"code":"coding-not-implemented"');
    expect((await call(path)).status).toBe(404);
    expect((await sent("Chunked")).status).toBe(201);
  });

  it("knows its routes and methods", async () => {
    await expectProblem(await call("/v1/nothing"), 404, "no-such-route");
    await expectProblem(await call("/nowhere"), 404, "no-such-route");
    expect((await call("/")).status).toBe(200);
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

export function malformedHttp(): void {
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
