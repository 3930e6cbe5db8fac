/** Names that users choose are data: never a path, a property or markup. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { startNode } from "../../src/local/serve.ts";
import { makeApp } from "../frontend/support.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

const PATHS = ["../../../etc/passwd", "/etc/passwd", "..", "a\0b", "C:\\x", "%2e%2e%2f", "\n", "'"];

describe("a key", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(1);
  });
  afterAll(() => cluster.close());

  it("that looks like a path stays within the log", async () => {
    const ops = PATHS.map((key) => ({ op: "put", key, value: "dg==" }));
    const answer = await fetch(`${cluster.urls[0]}/v1/kv/ns:batch`, {
      method: "POST",
      body: JSON.stringify({ ops }),
    });
    const { results } = (await answer.json()) as { results: object[] };
    expect(results).toMatchObject(PATHS.map((key) => ({ key, status: 201 })));
    await cluster.stop("r1");
    expect(readdirSync(cluster.dir).sort()).toEqual(["cluster.json", "r1"]);
    for (const file of readdirSync(join(cluster.dir, "r1"))) expect(file).toMatch(/^[a-z0-9.-]+$/);
    await cluster.start("r1");
  });
});

describe("a member's name", () => {
  const config = (id: string): object => ({
    name: "x",
    partitions: 8,
    n: 1,
    members: [{ id, url: "http://127.0.0.1:1" }],
  });

  it("that looks like a path is refused, in the file and on the command line", async () => {
    for (const id of ["../x", "a/b", "", "x".repeat(33), "a\0", "a#1", "a\nb"]) {
      expect(() => parseClusterConfig(config(id))).toThrow(/"id" must be/);
    }
    expect(() => parseClusterConfig({ ...config("r1"), name: "../x" })).toThrow(/name/);
    const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    try {
      const clusterFile = join(dir, "cluster.json");
      writeFileSync(clusterFile, JSON.stringify(config("r1")));
      const options = { clusterFile, id: "../r1", dataDir: join(dir, "d"), log: () => {} };
      await expect(startNode(options)).rejects.toThrow(/no member has the id/);
      expect(readdirSync(dir)).toEqual(["cluster.json"]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("a property of JSON from outside", () => {
  const PROTO = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';

  it("that is named like a prototype changes none", async () => {
    const app = await makeApp();
    const bodies = [
      PROTO,
      `{"ops":[${PROTO},{"op":"put","key":"__proto__","value":"dg==","metadata":${PROTO}}]}`,
      `{"add":[${PROTO}],"remove":["__proto__"],"reweight":{"__proto__":2}}`,
      `{"reweight":{"__proto__":2,"constructor":2}}`,
      `{"namespace":"ns","tags":["__proto__"],"__proto__":{"everything":true}}`,
      `{"keys":["__proto__","constructor"],"__proto__":{"type":"json"}}`,
      `[{"key":"__proto__","value":"v","metadata":${PROTO}}]`,
    ];
    const kv = "/client/v4/accounts/a/storage/kv/namespaces";
    const targets = [
      ["POST", "/v1/kv/ns:batch"],
      ["POST", "/v1/cluster/plan"],
      ["POST", "/v1/purge"],
      ["PUT", "/v1/namespaces/ns"],
      ["PUT", "/v1/cluster/faults/r1"],
      ["POST", kv],
      ["PUT", `${kv}/ns/bulk`],
      ["POST", `${kv}/ns/bulk/get`],
    ] as const;
    for (const body of bodies) {
      for (const [method, target] of targets) {
        await app.call(method, target, { body });
        expect([target, body, "polluted" in {}]).toEqual([target, body, false]);
      }
    }
    const settings = await app.call("PUT", "/v1/namespaces/ns", { body: PROTO });
    expect(settings.status).toBe(400);
    const plan = await app.call("POST", "/v1/cluster/plan", { body: bodies[3] ?? "" });
    expect(plan.status).toBe(400);
  });

  it("that is named like a prototype is a key as any other", async () => {
    const app = await makeApp();
    const ops = ["__proto__", "constructor", "toString"].map((key) => ({ key }));
    const batch = (more: object): Promise<Response> =>
      app.call("POST", "/v1/kv/ns:batch", {
        body: JSON.stringify({ ops: ops.map((op) => ({ ...op, ...more })) }),
      });
    await batch({ op: "put", value: "dg==" });
    const { results } = (await (await batch({ op: "get" })).json()) as { results: object[] };
    expect(results).toMatchObject(ops.map((op) => ({ ...op, status: 200, value: "dg==" })));
    const bulk = await app.call("POST", "/client/v4/accounts/a/storage/kv/namespaces/ns/bulk/get", {
      body: JSON.stringify({ keys: ops.map(({ key }) => key) }),
    });
    expect(await bulk.text()).toContain(
      '"values":{"__proto__":"v","constructor":"v","toString":"v"}',
    );
  });

  it("comes back in metadata as the text that it was", async () => {
    const app = await makeApp();
    await app.put("/v1/kv/ns/k", "v", { "Starling-Metadata": PROTO });
    const list = (await (await app.get("/v1/kv/ns")).text()) as string;
    expect(list).toContain(`"metadata":${PROTO}`);
  });
});
