/** What one client stored, on its way to another: it stays bytes, and takes nobody down. */
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApp } from "../frontend/support.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const KV = "/client/v4/accounts/a/storage/kv/namespaces/ns/values";

/** A form as bytes, its parts' headers as they stand. */
function form(...parts: readonly (readonly [head: string, value: string])[]): RequestInit {
  const body = parts.map(([head, value]) => `--B\r\nContent-Disposition: ${head}\r\n\r\n${value}`);
  return {
    headers: { "Content-Type": "multipart/form-data; boundary=B" },
    body: `${body.join("\r\n")}\r\n--B--\r\n`,
  };
}

describe("a stored value", () => {
  it("is never taken for another type, and runs no script unless it is trusted", async () => {
    const app = await makeApp();
    await app.put("/v1/kv/ns/k", "<script>alert(1)</script>", { "Content-Type": "text/html" });
    for (const target of ["/v1/kv/ns/k", `${KV}/k`]) {
      const { headers } = await app.get(target);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toBe("sandbox; default-src 'none'");
    }
  });

  it("cannot set headers of the answer beyond the four, and metadata", async () => {
    const app = await makeApp();
    const names = [
      "Set-Cookie",
      "Location",
      "Refresh",
      "Connection",
      "Access-Control-Allow-Origin",
    ];
    const headers = Object.fromEntries(names.map((name) => [name, "x"]));
    await app.put("/v1/kv/ns/k", "v", headers);
    const answer = await app.get("/v1/kv/ns/k");
    for (const name of names) expect([name, answer.headers.get(name)]).toEqual([name, null]);
  });

  it("is never inflated: a small body that says it is a large one stays small", async () => {
    const app = await makeApp();
    const bomb = gzipSync(new Uint8Array(8_000_000)).subarray(0, 900);
    const headers = { "Content-Encoding": "gzip" };
    const stored = await app.call("PUT", "/v1/kv/ns/k", { body: new Uint8Array(bomb), headers });
    expect(stored.status).toBe(201);
    const answer = await app.get("/v1/kv/ns/k");
    expect(Buffer.from(await answer.arrayBuffer()).equals(bomb)).toBe(true);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    // A body for the API itself is not inflated either: it is no JSON.
    const batch = await app.call("POST", "/v1/kv/ns:batch", {
      body: new Uint8Array(gzipSync('{"ops":[]}')),
      headers,
    });
    expect(batch.status).toBe(400);
  });
});

describe("every answer", () => {
  it("says nosniff, whatever it is about", async () => {
    const app = await makeApp();
    await app.put("/v1/kv/ns/k", "v");
    const targets = [
      ...["/v1/kv/ns/k", "/v1/kv/ns/none", "/v1/kv/ns", "/v1/cluster", "/v1/cluster/ring"],
      ...["/v1/namespaces", "/metrics", "/healthz", "/ui", "/no/such"],
      ...[`${KV}/k`, `${KV}/none`, "/client/v4/accounts/a/storage/kv/namespaces"],
    ];
    for (const target of targets) {
      const { headers } = await app.get(target);
      expect([target, headers.get("x-content-type-options")]).toEqual([target, "nosniff"]);
    }
  });
});

describe("a node", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(1);
  });
  afterAll(() => cluster.close());
  const url = (path: string): string => `${cluster.urls[0]}${path}`;

  const raw = (target: string): ReturnType<typeof rawRequest> =>
    rawRequest(url(""), `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);

  it("lives on when a form smuggles line breaks towards the headers of an answer", async () => {
    const spaced = form(
      ['form-data; name="value"', "v"],
      ['form-data; name="metadata"', '{\n"a":1}'],
    );
    expect((await fetch(url(`${KV}/m`), { method: "PUT", ...spaced })).status).toBe(200);
    const shown = await raw("/v1/kv/ns/m");
    expect([shown.status, shown.body]).toEqual([200, "v"]);
    expect(shown.head).toContain('Starling-Metadata: { "a":1}');
    const types = ["text/plain\nX-Evil: 1", "text/plain\rX: 1", "a\u2028b", "x".repeat(1025), "\0"];
    for (const type of types) {
      const evil = form([`form-data; name="value"\r\nContent-Type: ${type}`, "v"]);
      const { status } = await fetch(url(`${KV}/t`), { method: "PUT", ...evil });
      expect([type.slice(0, 20), status]).toEqual([type.slice(0, 20), 400]);
    }
    expect((await raw("/v1/kv/ns/t")).status).toBe(404);
  });

  it("answers a read of a thousand large values with as many as it has room for", async () => {
    const value = randomBytes(1_000_000);
    for (let i = 0; i < 20; i++) {
      await fetch(url(`/v1/kv/big/${i}?w=1&dw=0`), { method: "PUT", body: value });
    }
    const ops = Array.from({ length: 1000 }, (_, i) => ({ op: "get", key: String(i % 20) }));
    const answer = await fetch(url("/v1/kv/big:batch"), {
      method: "POST",
      body: JSON.stringify({ ops }),
    });
    expect(answer.status).toBe(207);
    const { results } = (await answer.json()) as { results: { status: number; code?: string }[] };
    expect(results.filter(({ status }) => status === 200)).toHaveLength(16);
    expect(new Set(results.map(({ code }) => code))).toEqual(
      new Set([undefined, "value-too-large"]),
    );
    const bulk = await fetch(url("/client/v4/accounts/a/storage/kv/namespaces/big/bulk/get"), {
      method: "POST",
      body: JSON.stringify({ keys: ops.slice(0, 20).map(({ key }) => key) }),
    });
    expect(bulk.status).toBe(200);
  });
});
