/** A browser on the same machine, sent by a page of somebody else's, against an open frontend. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApp, problemOf, type TestApp } from "../frontend/support.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const BATCH = JSON.stringify({ ops: [{ op: "put", key: "k", value: "dg==" }] });
/** What a page may send without asking first (Fetch, "CORS-safelisted"), and what each does. */
type Simple = readonly [method: string, target: string, body: string | null];
const SIMPLE: readonly Simple[] = [
  ["POST", "/v1/kv/ns:batch", BATCH],
  ["POST", "/v1/purge", '{"namespace":"ns","everything":true}'],
  ["POST", "/v1/cluster/commit", '{"remove":["r1"]}'],
  ["POST", "/v1/cluster/anti-entropy", "{}"],
  ["POST", "/client/v4/accounts/a/storage/kv/namespaces/ns/bulk/delete", '["k"]'],
  ["GET", "/v1/kv/ns/k", null],
];

describe("an open frontend on loopback", () => {
  const ask = async (
    app: TestApp,
    [method, target, body]: Simple,
    headers: Record<string, string>,
  ): Promise<Response> =>
    app.call(method, target, { body, headers: { "Content-Type": "text/plain", ...headers } });

  it.each(SIMPLE)("refuses what a page of another origin sends: %s %s", async (...request) => {
    const app = await makeApp();
    const senders = [
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { Origin: "http://localhost:3000" },
      { Origin: "http://localhost.evil.example" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors" },
      // The page of a frame is within the other page.
      { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe" },
    ];
    for (const headers of senders) {
      const answer = await ask(app, request, headers as Record<string, string>);
      expect([headers, answer.status]).toEqual([headers, 403]);
      expect(await answer.text()).toContain("cross-site");
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    }
    expect(app.backend.operations).toEqual([]);
  });

  it("serves its own page, programs, and links from elsewhere", async () => {
    const app = await makeApp();
    const own = { Origin: "http://localhost", "Sec-Fetch-Site": "same-origin" };
    expect((await app.put("/v1/kv/ns/k", "v", own)).status).toBe(201);
    expect((await app.get("/v1/kv/ns/k")).status).toBe(200);
    expect((await app.get("/v1/kv/ns/k", { "Sec-Fetch-Site": "none" })).status).toBe(200);
    const link = {
      "Sec-Fetch-Site": "cross-site",
      "Sec-Fetch-Mode": "navigate",
      "Sec-Fetch-Dest": "document",
    };
    expect((await app.get("/ui", link)).status).toBe(200);
    expect((await app.call("DELETE", "/v1/kv/ns/k", { headers: link })).status).toBe(403);
  });

  it("allows no preflight", async () => {
    const app = await makeApp();
    const headers = { Origin: "http://localhost:1", "Access-Control-Request-Method": "PUT" };
    const answer = await app.call("OPTIONS", "/v1/kv/ns/k", { headers });
    expect(answer.status).toBe(403);
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  });

  it("leaves it to tokens where it serves more than loopback", async () => {
    const app = await makeApp({ openOnLoopback: false });
    const answer = await app.get("/v1/kv/ns/k", { Origin: "https://evil.example" });
    expect([answer.status, (await problemOf(answer)).code]).toEqual([401, "unauthorized"]);
  });
});

describe("a node on loopback", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(1);
  });
  afterAll(() => cluster.close());

  const send = (lines: readonly string[], body = ""): ReturnType<typeof rawRequest> =>
    rawRequest(cluster.urls[0] as string, `${lines.join("\r\n")}\r\n\r\n${body}`);

  it.each(["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", ""])(
    "refuses the host %j, whichever way the request takes",
    async (host) => {
      for (const target of ["/v1/kv/ns/k", "/v1/kv/ns", "/v1/cluster", "/metrics", "/ui"]) {
        const { status } = await send([`GET ${target} HTTP/1.1`, `Host: ${host}`]);
        expect([target, [400, 421].includes(status)]).toEqual([target, true]);
      }
    },
  );

  it("refuses another page's write on the short way too", async () => {
    const host = new URL(cluster.urls[0] as string).host;
    const head = ["PUT /v1/kv/ns/k HTTP/1.1", `Host: ${host}`, "Content-Length: 1"];
    expect((await send([...head, "Origin: http://evil.example"], "v")).status).toBe(403);
    expect((await send([...head, `Origin: http://${host}`], "v")).status).toBe(201);
  });
});
