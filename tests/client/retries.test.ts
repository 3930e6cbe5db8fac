import { describe, expect, it } from "vitest";
import type { StarlingClient } from "../../src/client/index.ts";
import { pause } from "../../src/client/transport.ts";
import { FakeServer, found, problem, stored } from "./fake-server.ts";

type Use = (cache: StarlingClient) => Promise<unknown>;

const silence = new TypeError("fetch failed");
const timeout = (): Response => problem(504, "quorum-timeout");
const busy = (): Response => problem(429, "overloaded", { "Retry-After": "1" });

/** How often a call is sent when its first answer is that one. */
async function attempts(use: Use, first: Response | Error): Promise<number> {
  const server = new FakeServer(first, stored());
  await use(server.client()).catch(() => {});
  return server.asked.length;
}

const reads: Readonly<Record<string, Use>> = {
  get: (cache) => cache.get("k"),
  head: (cache) => cache.head("k"),
  siblings: (cache) => cache.siblings("k"),
  list: (cache) => cache.list().next(),
  "batch of gets": (cache) => cache.batch([{ op: "get", key: "k" }]),
};
const idempotent: Readonly<Record<string, Use>> = {
  "delete with a context": (cache) => cache.delete("k", { context: "c" }),
  "repeatable put": (cache) => cache.put("k", "v", { repeatable: true }),
};
const others: Readonly<Record<string, Use>> = {
  put: (cache) => cache.put("k", "v"),
  "put with a context": (cache) => cache.put("k", "v", { context: "c" }),
  "put with a condition": (cache) => cache.put("k", "v", { context: "c", ifMatch: '"e"' }),
  delete: (cache) => cache.delete("k"),
  "delete with a condition": (cache) => cache.delete("k", { context: "c", ifMatch: '"e"' }),
  "batch of puts": (cache) => cache.batch([{ op: "put", key: "k", value: "v" }]),
  purge: (cache) => cache.purge({ everything: true }),
};

describe("a call in doubt", () => {
  for (const [name, use] of Object.entries({ ...reads, ...idempotent })) {
    it(`is repeated when it is a ${name}`, async () => {
      expect(await attempts(use, timeout())).toBe(2);
      expect(await attempts(use, silence)).toBe(2);
    });
  }
  for (const [name, use] of Object.entries(others)) {
    it(`is not repeated when it is a ${name}`, async () => {
      expect(await attempts(use, timeout())).toBe(1);
      expect(await attempts(use, silence)).toBe(1);
    });
  }
});

describe("a refusal", () => {
  it("that passes lets every call be sent again, after the pause it asks for", async () => {
    for (const use of Object.values({ ...reads, ...idempotent, ...others })) {
      expect(await attempts(use, busy())).toBe(2);
    }
    const server = new FakeServer(busy(), stored());
    await server.client({ random: () => 0 }).put("k", "v");
    expect(server.waits).toEqual([1000]);
  });

  it("that stays is told at once", async () => {
    for (const use of Object.values({ ...reads, ...idempotent, ...others })) {
      expect(await attempts(use, problem(403, "forbidden"))).toBe(1);
      expect(await attempts(use, problem(507, "insufficient-storage"))).toBe(1);
    }
  });

  it("with a long pause is not waited for", async () => {
    const server = new FakeServer(problem(503, "not-configured", { "Retry-After": "3600" }));
    await expect(server.client().get("k")).rejects.toMatchObject({ retryAfterMs: 3_600_000 });
    expect(server.waits).toEqual([]);
  });

  it("of a stream is told: a stream cannot be sent twice", async () => {
    const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.close() });
    expect(await attempts((cache) => cache.put("k", body), busy())).toBe(1);
  });
});

describe("attempts", () => {
  it("are bounded, with pauses that double and scatter", async () => {
    const server = new FakeServer(silence, timeout(), silence, timeout());
    const reading = server.client({ retries: 3 }).get("k");
    await expect(reading).rejects.toMatchObject({ code: "quorum-timeout" });
    expect(server.waits).toEqual([100, 200, 400]);
    const scattered = new FakeServer(silence, found("v"));
    await scattered.client({ random: () => 0 }).get("k");
    expect(scattered.waits).toEqual([50]);
    const none = new FakeServer(silence);
    await expect(none.client({ retries: 0 }).get("k")).rejects.toMatchObject({ status: 0 });
  });

  it("leave a write in doubt for ever, whatever a later one is told", async () => {
    const server = new FakeServer(timeout(), problem(409, "too-many-siblings"));
    const writing = server.client().put("k", "v", { repeatable: true });
    await expect(writing).rejects.toMatchObject({ code: "too-many-siblings", outcome: "unknown" });
  });

  it("go to the next frontend when one is away, and stay there", async () => {
    const server = new FakeServer(silence, found("v"), found("v"), busy(), found("v"));
    const cache = server.client({ url: ["http://one.example", "http://two.example"] });
    for (let i = 0; i < 3; i++) await cache.get("k");
    const hosts = server.asked.map(({ url }) => new URL(url).host.split(".")[0]);
    expect(hosts).toEqual(["one", "two", "two", "two", "one"]);
  });

  it("that stay silent are given up", async () => {
    const never = (_: string, init: RequestInit): Promise<Response> =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const cache = new FakeServer().client({ fetch: never, attemptTimeoutMs: 1, retries: 1 });
    await expect(cache.put("k", "v")).rejects.toMatchObject({
      code: "no-answer",
      detail: "no answer within 1 ms",
      outcome: "unknown",
    });
  });
});

describe("a signal", () => {
  it("ends a call on its way, before it, and in a pause, with its own reason", async () => {
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    const server = new FakeServer();
    await expect(server.client().get("k", { signal: aborted })).rejects.toBe(reason);
    expect(server.asked).toEqual([]);

    const controller = new AbortController();
    const hanging = new FakeServer(() => {
      controller.abort(reason);
      throw silence;
    });
    const { signal } = controller;
    await expect(hanging.client().get("k", { signal })).rejects.toBe(reason);
    expect(hanging.asked.length).toBe(1);

    const late = new AbortController();
    const pausing = new FakeServer(silence, found("v"));
    const wait: typeof pause = (ms, given) => {
      late.abort(reason);
      return pause(ms, given);
    };
    const cache = pausing.client({ wait });
    await expect(cache.get("k", { signal: late.signal })).rejects.toBe(reason);
    expect(pausing.asked.length).toBe(1);
  });
});
