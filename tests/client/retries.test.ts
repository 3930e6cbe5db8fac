import { describe, expect, it } from "vitest";
import type { StarlingClient } from "../../src/client/index.ts";
import { pause } from "../../src/client/transport.ts";
import { FakeServer, found, problem, stored } from "./fake-server.ts";

type Use = (cache: StarlingClient) => Promise<unknown>;

const silence = new TypeError("fetch failed");
const timeout = (): Response => problem(504, "quorum-timeout");
const busy = (): Response => problem(429, "overloaded", { "Retry-After": "1" });

const URLS = ["http://one.example", "http://two.example", "http://three.example"];
const hostsOf = ({ asked }: FakeServer): (string | undefined)[] =>
  asked.map(({ url }) => new URL(url).host.split(".")[0]);

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

  it("of a stream that passes lets it be sent again: it was gathered", async () => {
    const server = new FakeServer(busy(), stored());
    const body = new Blob(["streamed"]).stream() as ReadableStream<Uint8Array>;
    await server.client().put("k", body);
    const sent = server.asked.map(({ body: given }) => (given as Blob).text());
    expect(await Promise.all(sent)).toEqual(["streamed", "streamed"]);
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

  it("go to the frontends in turn, and pass by those that are away or busy", async () => {
    const answers = [found("v"), found("v"), found("v")];
    const server = new FakeServer(...answers, silence, found("v"), found("v"), busy(), found("v"));
    const cache = server.client({ url: URLS });
    for (let i = 0; i < 6; i++) await cache.get("k");
    expect(hostsOf(server)).toEqual(["one", "two", "three", "one", "two", "three", "two", "three"]);
  });

  it("begin at a random frontend, so that many clients are spread", async () => {
    const starts = [0, 0.4, 0.9].map(async (start) => {
      const server = new FakeServer(found("v"));
      await server.client({ url: URLS, random: () => start }).get("k");
      return hostsOf(server)[0];
    });
    expect(await Promise.all(starts)).toEqual(["one", "two", "three"]);
  });

  it("that stay silent are given up", async () => {
    const never = (_: string, init: RequestInit): Promise<Response> =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const cache = new FakeServer().client({ fetch: never, attemptTimeoutMs: 1, retries: 1 });
    await expect(cache.put("k", "v")).rejects.toMatchObject({
      code: "no-answer",
      detail: "http://one.example gave no answer within 1 ms",
      outcome: "unknown",
    });
  });
});

/** As Node says it. */
const refusal = (code = "ECONNREFUSED"): TypeError =>
  new TypeError("fetch failed", { cause: Object.assign(new Error(`connect ${code}`), { code }) });

describe("a connection that was refused", () => {
  it("sends every call to the next frontend at once: it was not sent", async () => {
    for (const use of Object.values({ ...reads, ...idempotent, ...others })) {
      const server = new FakeServer(refusal(), refusal("ENOTFOUND"), stored());
      await use(server.client({ url: URLS, retries: 0 })).catch(() => {});
      expect([hostsOf(server), server.waits]).toEqual([["one", "two", "three"], []]);
    }
  });

  it("says where and why, and that nothing happened", async () => {
    const server = new FakeServer(refusal(), refusal(), refusal());
    const error: unknown = await server
      .client({ url: URLS, retries: 0 })
      .put("k", "v")
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "no-answer", outcome: "no", status: 0 });
    const all = ["http://one.example", "http://two.example", "http://three.example"];
    const message = `none of ${all.join(", ")} can be reached (ECONNREFUSED) (no-answer)`;
    expect((error as Error).message).toBe(message);
  });

  it("is told apart from one that broke, in the words of every host", async () => {
    const unsent: Error[] = [
      refusal("EHOSTUNREACH"),
      refusal("CERT_HAS_EXPIRED"),
      Object.assign(new Error("Unable to connect"), { code: "ConnectionRefused" }),
      new TypeError("error sending request: tcp connect error: Connection refused"),
      // Ports that the Fetch standard keeps for other protocols: 6000, 10080 and more.
      new TypeError("fetch failed", { cause: new Error("bad port") }),
      new TypeError("Fetch failed: Requests to port 6000 are blocked"),
      new TypeError("fetch failed", {
        cause: new AggregateError([refusal().cause, refusal().cause], ""),
      }),
    ];
    const sent: Error[] = [
      refusal("ECONNRESET"),
      refusal("UND_ERR_SOCKET"),
      new TypeError("Failed to fetch"),
      new TypeError("fetch failed", {
        cause: new AggregateError([refusal().cause, refusal("ECONNRESET").cause], ""),
      }),
    ];
    const outcomeOf = async (error: Error): Promise<unknown> => {
      const writing = new FakeServer(error).client({ retries: 0 }).put("k", "v");
      const { outcome } = (await writing.catch((reason: unknown) => reason)) as { outcome: string };
      return outcome;
    };
    expect(await Promise.all(unsent.map(outcomeOf))).toEqual(unsent.map(() => "no"));
    expect(await Promise.all(sent.map(outcomeOf))).toEqual(sent.map(() => "unknown"));
  });

  it("ends also where a frontend is named twice", async () => {
    const server = new FakeServer(refusal(), refusal());
    const url = ["http://one.example", "http://one.example/", "http://one.example"];
    const writing = server.client({ url, retries: 1 }).put("k", "v");
    await expect(writing).rejects.toMatchObject({ code: "no-answer", outcome: "no" });
    expect(server.waits).toEqual([100]);
  });

  it("is tried again after a pause when there is no other frontend", async () => {
    const server = new FakeServer(refusal(), stored());
    await server.client().put("k", "v");
    expect(server.waits).toEqual([100]);
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
