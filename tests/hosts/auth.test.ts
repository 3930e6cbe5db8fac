import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const tokens = {
  tokens: [
    { token: "reader-token", role: "read", namespaces: ["open"] },
    { token: "writer-token", role: "write", namespaces: ["open"] },
    { token: "admin-token", role: "admin" },
    { token: "monitor-token", role: "monitor" },
  ],
};

describe("tokens and roles", () => {
  let cluster: TestCluster;
  let dir = "";
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    writeFileSync(join(dir, "tokens.json"), JSON.stringify(tokens));
    cluster = await startCluster(1, { tokensFile: join(dir, "tokens.json") });
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(dir, { recursive: true, force: true });
  });

  async function call(method: string, path: string, token?: string): Promise<[number, string]> {
    const headers: Record<string, string> =
      token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const body = method === "PUT" ? "v" : null;
    const answer = await fetch(`${cluster.urls[0]}${path}`, { method, headers, body });
    const text = await answer.text();
    const isProblem = answer.headers.get("content-type") === "application/problem+json";
    if (answer.status === 401) expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    return [answer.status, isProblem ? (JSON.parse(text) as { code: string }).code : ""];
  }

  it("wants a token, and gives one body for every 401", async () => {
    const bodies = new Set<string>();
    for (const authorization of [undefined, "Bearer wrong-token", "Basic eDp5", "Bearer", ""]) {
      const headers: Record<string, string> =
        authorization === undefined ? {} : { Authorization: authorization };
      const answer = await fetch(`${cluster.urls[0]}/v1/kv/open/k`, { headers });
      expect(answer.status).toBe(401);
      bodies.add(await answer.text());
    }
    expect(bodies.size).toBe(1);
    expect((await call("GET", "/v1/cluster"))[0]).toBe(401);
    expect((await call("GET", "/metrics"))[0]).toBe(401);
  });

  it("lets each role do its part and no more", async () => {
    const path = "/v1/kv/open/k";
    expect(await call("PUT", path, "reader-token")).toEqual([403, "forbidden"]);
    expect((await call("PUT", path, "writer-token"))[0]).toBe(201);
    expect((await call("GET", path, "reader-token"))[0]).toBe(200);
    expect((await call("GET", path, "writer-token"))[0]).toBe(200);
    expect(await call("DELETE", path, "reader-token")).toEqual([403, "forbidden"]);
    expect((await call("DELETE", path, "admin-token"))[0]).toBe(204);
    for (const token of ["reader-token", "writer-token"]) {
      expect(await call("GET", "/v1/cluster", token)).toEqual([403, "forbidden"]);
      expect(await call("PUT", "/v1/namespaces/open", token)).toEqual([403, "forbidden"]);
      expect(await call("GET", "/v1/kv/other/k", token)).toEqual([403, "forbidden"]);
    }
    expect((await call("GET", "/v1/cluster", "admin-token"))[0]).toBe(200);
  });

  it("shows a monitor the state of the cluster, and nothing of what is stored", async () => {
    const as = "monitor-token";
    await call("PUT", "/v1/kv/open/k", "admin-token");
    const state = ["/v1/cluster", "/v1/cluster/ring", "/v1/cluster/transfers", "/metrics"];
    for (const path of [...state, "/v1/namespaces", "/v1/namespaces/open"]) {
      expect([path, ...(await call("GET", path, as))]).toEqual([path, 200, ""]);
    }
    const refused = [
      ["GET", "/v1/kv/open/k"],
      ["PUT", "/v1/kv/open/k"],
      ["DELETE", "/v1/kv/open/k"],
      ["GET", "/v1/kv/open"],
      ["POST", "/v1/kv/open:batch"],
      ["POST", "/v1/purge"],
      ["PUT", "/v1/namespaces/open"],
      ["GET", "/v1/cluster/explain/open/k"],
      ["GET", "/v1/cluster/faults"],
      ["GET", "/v1/sites"],
      ...["plan", "commit", "anti-entropy", "handoff", "accept-loss"].map((name) => [
        "POST",
        `/v1/cluster/${name}`,
      ]),
    ] as [string, string][];
    for (const [method, path] of refused) {
      expect([path, ...(await call(method, path, as))]).toEqual([path, 403, "forbidden"]);
    }
    expect(await call("GET", "/metrics", "reader-token")).toEqual([403, "forbidden"]);
  });

  it("asks for no token where somebody only wants to know whether it lives", async () => {
    expect((await call("GET", "/healthz"))[0]).toBe(200);
    expect((await call("GET", "/readyz"))[0]).toBe(200);
  });
});

describe("a frontend on loopback", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(1);
  });
  afterAll(() => cluster.close());

  it("refuses a Host that is not this machine", async () => {
    const url = cluster.urls[0] as string;
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"]) {
      const text = `GET /v1/kv/a/b HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
      const answer = await rawRequest(url, text);
      expect([host, answer.status]).toEqual([host, 421]);
    }
    const fine = await rawRequest(url, "GET /v1/kv/a/b HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
    expect(fine.status).toBe(404);
    expect(fine.head.toLowerCase()).not.toContain("access-control");
  });
});
