import { describe, expect, it } from "vitest";
import { makeApp, type TestApp } from "./support.ts";

interface OpResult {
  readonly key: string;
  readonly status: number;
  readonly code?: string;
  readonly detail?: string;
}

const put = (key: string): unknown => ({ op: "put", key, value: "dg==" });
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Far more than any of these may take, and far less than what they would take without an end. */
const SOON_MS = 5000;

describe("the timeout of a batch", () => {
  const MS = 500;
  const results = async (
    app: TestApp,
    ops: readonly unknown[],
    query = `?timeout=${MS}`,
  ): Promise<readonly OpResult[]> => {
    const body = JSON.stringify({ ops });
    const answer = await app.call("POST", `/v1/kv/ns:batch${query}`, { body });
    expect(answer.status).toBe(207);
    return ((await answer.json()) as { results: OpResult[] }).results;
  };

  it("is for all of it: what has not begun then was not done, and says so", async () => {
    const app = await makeApp();
    const { backend } = app;
    const answer = backend.answer.bind(backend);
    const given: number[] = [];
    backend.answer = async (operation, trace) => {
      if ("options" in operation) given.push(operation.options.timeoutMs ?? 0);
      await sleep(50);
      return answer(operation, trace);
    };
    const startedAt = performance.now();
    const all = await results(
      app,
      Array.from({ length: 300 }, () => put("k")),
    );
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
    const done = all.filter(({ status }) => status < 300);
    const over = all.slice(done.length);
    expect(done.length).toBeGreaterThan(0);
    expect(backend.operations).toHaveLength(done.length);
    expect(over.length).toBeGreaterThan(250);
    for (const result of over) {
      expect(result).toMatchObject({ key: "k", status: 504, code: "quorum-timeout" });
      expect(result.detail).toContain("nothing was done");
      expect(result.detail).not.toContain("unknown");
    }
    expect(Math.max(...given)).toBeLessThanOrEqual(MS);
    expect(given).toEqual([...given].sort((a, b) => b - a));
    expect(given.at(-1)).toBeLessThan(MS - 10);
    expect(given.every((ms) => Number.isInteger(ms) && ms >= 1)).toBe(true);
  });

  it("is what each op has left, where nobody answers", async () => {
    const app = await makeApp();
    const { backend } = app;
    backend.answer = async (operation) => {
      backend.operations.push(operation);
      // A timer may be a little early.
      if ("options" in operation) await sleep((operation.options.timeoutMs ?? 2000) + 5);
      const failure = { code: "quorum-timeout", detail: "nobody" } as const;
      return { kind: "failed", failure, context: null };
    };
    const startedAt = performance.now();
    const gets = Array.from({ length: 40 }, () => ({ op: "get", key: "k" }));
    const all = await results(app, [put("other"), put("other"), ...gets]);
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
    expect(all.every(({ status, code }) => status === 504 && code === "quorum-timeout")).toBe(true);
    expect(all[0]?.detail).toContain("unknown");
    expect(all[1]?.detail).not.toContain("unknown");
    expect(backend.operations.length).toBeLessThan(6);
  });

  it("is each op's own where the batch names none", async () => {
    const app = await makeApp();
    await results(app, [put("k"), put("k")], "");
    for (const operation of app.backend.operations) {
      expect(operation).toMatchObject({ options: {} });
      expect("options" in operation && operation.options.timeoutMs).toBeUndefined();
    }
  });
});

describe("the timeout of a list", () => {
  it.each(["/v1/kv/ns?timeout=50", "/client/v4/accounts/a/storage/kv/namespaces/ns/keys"])(
    "is kept where members are silent: %s",
    async (target) => {
      const app = await makeApp();
      let asked = 0;
      app.backend.answer = async () => {
        asked++;
        await sleep(2 * SOON_MS);
        return { kind: "listed", keys: [], complete: false, cursor: "a" };
      };
      const headers = target.includes("?") ? {} : { "Starling-Quorum": "timeout=50" };
      const startedAt = performance.now();
      const answer = await app.get(target, headers);
      expect(answer.status).toBe(504);
      expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
      expect(JSON.stringify(await answer.json())).toContain("time");
      expect(asked).toBe(1);
    },
  );
});

describe("the timeout of a bulk request of Workers KV", () => {
  const BULK = "/client/v4/accounts/a/storage/kv/namespaces/ns/bulk";

  it("is for all of it, where one is named", async () => {
    const app = await makeApp();
    const { backend } = app;
    const answer = backend.answer.bind(backend);
    backend.answer = async (operation, trace) => {
      await sleep(200);
      return answer(operation, trace);
    };
    const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
    const headers = { "Starling-Quorum": "timeout=300" };
    const startedAt = performance.now();
    const pairs = JSON.stringify(keys.map((key) => ({ key, value: "v" })));
    const put = await app.call("PUT", BULK, { headers, body: pairs });
    const got = await app.call("POST", `${BULK}/get`, { headers, body: JSON.stringify({ keys }) });
    expect([put.status, got.status]).toEqual([504, 504]);
    const { result } = (await put.json()) as {
      result: { successful_key_count: number; unsuccessful_keys: string[] };
    };
    expect(result.successful_key_count).toBeGreaterThan(0);
    expect(result.successful_key_count + result.unsuccessful_keys.length).toBe(1000);
    expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
    const operations = backend.operations.length;
    expect(operations).toBeLessThan(600);
  });
});
