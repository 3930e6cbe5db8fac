import { beforeAll, describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import type { Failure, FailureCode } from "../../core/failure.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { noPurges, PurgeIndex } from "../../core/purges.ts";
import type { FailedResult } from "../../core/results.ts";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { bootstrapRing, Ring } from "../../ring/ring.ts";
import { purgeSite } from "../../src/door/site-purge.ts";
import { createApp } from "../../src/frontend/app.ts";
import type { Backend } from "../../src/frontend/backend/backend.ts";
import { noTokens } from "../../src/frontend/http/auth.ts";
import { testDefaults } from "./memory-backend.ts";

let ring: Ring;
beforeAll(async () => {
  const members = [1, 2, 3].map((i) => ({ id: `r${i}`, url: `http://127.0.0.1:${i}` }));
  const config = parseClusterConfig({ name: "t", partitions: 8, n: 3, members });
  ring = new Ring(bootstrapRing(config, "7"), await xxhash());
});

/** An app in front of a cluster that fails every operation in one way. */
async function ask(method: string, failure: Failure | Error): Promise<Response> {
  const view = {
    ring,
    defaults: testDefaults,
    namespaces: new Map(),
    changes: new Map(),
    sites: new Map(),
    purges: new PurgeIndex(noPurges),
    version: "0.0.0",
    refusedVersions: new Map(),
    isReachable: () => false,
    lacks: null,
  };
  const fail = (): Promise<FailedResult> =>
    failure instanceof Error
      ? Promise.reject(failure)
      : Promise.resolve({ kind: "failed", failure, context: null });
  const backend: Backend = {
    now: () => Date.now(),
    view: () => view,
    freshView: () => Promise.resolve(view),
    execute: fail,
    fetchValues: fail,
    metrics: () => "",
  };
  const secret = new KeyedHash(new Uint8Array(16));
  const config = { openOnLoopback: true };
  const { app } = createApp({ backend, secret, auth: () => noTokens, config, purgeSite });
  const body = method === "PUT" ? "v" : null;
  return app.fetch(new Request("http://localhost/v1/kv/n/k", { method, body }));
}

describe("failures of the cluster", () => {
  const failures: [FailureCode, number, boolean][] = [
    ["quorum-unavailable", 503, true],
    ["context-not-reached", 503, true],
    ["staleness-unproven", 503, true],
    ["quorum-timeout", 504, false],
    ["insufficient-storage", 507, false],
    ["overloaded", 429, true],
    ["too-many-siblings", 409, false],
    ["precondition-failed", 412, false],
  ];
  it.each(failures)("%s is %i", async (code, status, retries) => {
    const failure = { code, detail: "Words.", required: 2, achieved: 1 };
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await ask(method, failure);
      expect(answer.status).toBe(status);
      expect(answer.headers.has("retry-after")).toBe(retries);
      const body = (await answer.json()) as Record<string, unknown>;
      expect(body).toMatchObject({ code, status, required: 2, achieved: 1 });
      expect(body["type"]).toBe(`https://starling.dev/problems/${code}`);
      // A write that may have happened says so, and nothing else does.
      const isUnknown = method !== "GET" && status >= 500;
      expect(String(body["detail"]).includes("unknown")).toBe(isUnknown);
    }
  });

  it("a bug is a 500 that says nothing of its cause", async () => {
    const silenced = console.error;
    console.error = () => {};
    try {
      const answer = await ask("GET", new Error("secret detail"));
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toContain("secret detail");
    } finally {
      console.error = silenced;
    }
  });
});
