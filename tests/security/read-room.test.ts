/** What reads hold of values is bounded over all requests, by whichever door they come. */
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { bodyRoom } from "../../src/frontend/http/body-room.ts";
import type { Answer } from "../../src/frontend/http/exchange.ts";
import { KvNamespace } from "../../src/frontend/kv/kv-namespace.ts";
import { makeHttpServer } from "../../src/local/http/http-server.ts";
import { testDefaults, testHash } from "../frontend/memory-backend.ts";
import { makeApp, type TestApp } from "../frontend/support.ts";

const MIB = 1_048_576;
const NAMESPACE = "/client/v4/accounts/a/storage/kv/namespaces/ns";
const others = {};
afterEach(() => bodyRoom.release(others));

type Begin = (app: TestApp) => Promise<Response>;
const post = (path: string, body: object): Begin => {
  const init = { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (app) => app.call("POST", path, init);
};

const DOORS: readonly (readonly [string, Begin])[] = [
  ["a GET", (app) => app.get("/v1/kv/ns/k")],
  ["a batch", post("/v1/kv/ns:batch", { ops: [{ op: "get", key: "k" }] })],
  ["KV's REST", (app) => app.get(`${NAMESPACE}/values/k`)],
  ["KV's metadata", (app) => app.get(`${NAMESPACE}/metadata/k`)],
  ["KV's bulk", post(`${NAMESPACE}/bulk/get`, { keys: ["k"] })],
  ["workerd's KV", (app) => app.get("/v1/workerd-kv/ns/k")],
  ["workerd's bulk", post("/v1/workerd-kv/ns/bulk/get", { keys: ["k"] })],
  ["a page of entries", (app) => app.get("/v1/cluster/entries?namespace=ns")],
];

describe("room for what is read", () => {
  it.each(DOORS)("is waited for by %s before it reads, and is given back", async (_, begin) => {
    const app = await makeApp();
    await app.call("PUT", "/v1/kv/ns/k", { body: "v" });
    app.backend.weigh = () => 3 * MIB;
    bodyRoom.add(others, 30 * MIB);
    const call = begin(app);
    await expect.poll(() => bodyRoom.waitingCount).toBe(1);
    expect(app.backend.operations.some(({ kind }) => kind === "get")).toBe(false);
    const refused = await call;
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    bodyRoom.release(others);
    expect((await begin(app)).status).toBeLessThan(300);
    expect(bodyRoom.takenByteCount).toBe(0);
  });

  it("is waited for by a binding too, which has no answer to hold it", async () => {
    const { backend } = await makeApp();
    const namespace = new KvNamespace({ backend, hash: testHash, namespace: "ns" });
    await namespace.put("k", "v");
    backend.weigh = () => 3 * MIB;
    bodyRoom.add(others, 30 * MIB);
    await expect(namespace.get("k")).rejects.toThrow(/^KV GET failed: 429 .*overloaded/);
    await expect(namespace.get(["k"])).rejects.toThrow(/^KV GET_BULK failed: 429 /);
    bodyRoom.release(others);
    expect(await namespace.get("k")).toBe("v");
    expect(bodyRoom.takenByteCount).toBe(0);
  });

  it("is what its namespace's values lately were, where nobody knows yet", async () => {
    const app = await makeApp();
    app.backend.namespaces.set("large", { ...testDefaults, maxValueBytes: 20 * MIB });
    await app.call("PUT", "/v1/kv/large/k", { body: "v".repeat(18 * MIB) });
    await (await app.get("/v1/kv/large/k")).arrayBuffer();
    bodyRoom.add(others, 20 * MIB);
    const call = app.get("/v1/kv/large/other");
    await expect.poll(() => bodyRoom.waitingCount).toBe(1);
    expect((await call).status).toBe(429);
    expect((await app.get("/v1/kv/small/other")).status).toBe(404);
    bodyRoom.release(others);
    // What turns out smaller counts for less and less.
    for (let i = 0; i < 40; i++) await app.get("/v1/kv/large/other");
    bodyRoom.add(others, 32 * MIB);
    expect((await app.get("/v1/kv/large/other")).status).toBe(404);
  });
});

describe("many reads of large values at once", () => {
  it("stay within the bound, and reads of small ones pass them by", async () => {
    const app = await makeApp();
    app.backend.namespaces.set("ns", { ...testDefaults, maxValueBytes: 20 * MIB });
    await app.call("PUT", "/v1/kv/ns/large", { body: "v".repeat(6 * MIB) });
    await app.call("PUT", "/v1/kv/ns/small", { body: "v" });
    app.backend.weigh = (key) => (key.endsWith("large") ? 6 * MIB : 1);
    const read = app.backend.fetchValues.bind(app.backend);
    const order: string[] = [];
    let most = 0;
    app.backend.fetchValues = async (operation, trace) => {
      order.push(operation.key.slice(3));
      most = Math.max(most, bodyRoom.takenByteCount);
      await new Promise(setImmediate);
      return read(operation, trace);
    };
    const of = async (key: string): Promise<number> => {
      const answer = await app.get(`${NAMESPACE}/values/${key}`);
      await answer.arrayBuffer();
      return answer.status;
    };
    const large = Array.from({ length: 60 }, () => of("large"));
    expect(await Promise.all([of("small"), of("small")])).toEqual([200, 200]);
    expect(order.filter((key) => key === "large").length).toBeLessThan(60);
    for (const status of await Promise.all(large)) expect([200, 429]).toContain(status);
    expect(most).toBeGreaterThan(24 * MIB);
    expect(most).toBeLessThanOrEqual(32 * MIB);
    expect(bodyRoom.takenByteCount).toBe(0);
  });
});

describe("reads of one large key that wait for room", () => {
  const get = (app: TestApp, query = "", accept = "*/*"): Promise<Answer> => {
    const headers = new Headers({ Accept: accept, Host: "localhost" });
    const request = { method: "GET", headers, body: null };
    const answer = app.answerKey?.(request, `/v1/kv/ns/k${query}`) ?? null;
    if (answer === null) throw new Error("it does not take the short way");
    return Promise.resolve(answer);
  };
  const bodiesOf = async (answers: readonly Promise<Answer>[]): Promise<Set<unknown>> =>
    new Set((await Promise.all(answers)).map(({ body }) => body));
  const reads = ({ backend }: TestApp): number =>
    backend.operations.filter(({ kind }) => kind === "get").length;

  async function appWithLarge(): Promise<TestApp> {
    const app = await makeApp();
    app.backend.namespaces.set("ns", { ...testDefaults, maxValueBytes: 20 * MIB });
    const nothing = (await app.get("/v1/kv/ns/k")).headers.get("Starling-Context") ?? "";
    for (const text of ["a", "b"]) {
      await app.put("/v1/kv/ns/k", text.repeat(100_000), { "Starling-Context": nothing });
    }
    app.backend.operations.length = 0;
    app.backend.weigh = () => 20 * MIB;
    return app;
  }

  it.each([
    ["a value", "", "*/*"],
    ["all siblings as JSON", "?siblings=all", "application/json"],
    ["all siblings in parts", "?siblings=all", "multipart/mixed"],
  ])("are one read of %s, and share its room and its answer", async (_, query, accept) => {
    const app = await appWithLarge();
    bodyRoom.add(others, 30 * MIB);
    const answers = Array.from({ length: 20 }, () => get(app, query, accept));
    await expect.poll(() => bodyRoom.waitingCount).toBe(1);
    bodyRoom.release(others);
    expect((await bodiesOf(answers)).size).toBe(1);
    expect(reads(app)).toBe(1);
    expect(bodyRoom.takenByteCount).toBe(0);
  });

  it("are told to come again together, and leave nothing behind", async () => {
    const app = await appWithLarge();
    bodyRoom.add(others, 30 * MIB);
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(app)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([429]));
    bodyRoom.release(others);
    expect([(await get(app)).status, reads(app)]).toEqual([200, 1]);
    expect(bodyRoom.takenByteCount).toBe(0);
  });

  it("are not given what was read before they came", async () => {
    const app = await appWithLarge();
    const goOn = Promise.withResolvers<void>();
    const read = app.backend.fetchValues.bind(app.backend);
    app.backend.fetchValues = async (operation, trace) => {
      const result = await read(operation, trace);
      await goOn.promise;
      return result;
    };
    const first = get(app);
    await expect.poll(() => reads(app)).toBe(1);
    const { weigh } = app.backend;
    app.backend.weigh = () => 0;
    expect((await app.put("/v1/kv/ns/k", "new", { "Content-Length": "3" })).status).toBe(204);
    app.backend.weigh = weigh;
    const later = Array.from({ length: 5 }, () => get(app));
    await expect.poll(() => bodyRoom.waitingCount).toBe(1);
    goOn.resolve();
    expect((await first).body?.length).toBe(100_000);
    for (const { body } of await Promise.all(later)) expect(body?.length).toBe(3);
    expect(reads(app)).toBe(2);
  });

  it("are each their own where they ask for something else, or saw something before", async () => {
    const app = await appWithLarge();
    const seen = (await app.get("/v1/kv/ns/k")).headers.get("Starling-Context") ?? "";
    app.backend.operations.length = 0;
    bodyRoom.add(others, 30 * MIB);
    const answers = [
      app.get("/v1/kv/ns/k"),
      app.get("/v1/kv/ns/k?r=1"),
      app.get("/v1/kv/ns/k", { "Starling-Context": seen }),
      app.get("/v1/kv/ns/k", { "Starling-Context": seen }),
    ];
    await expect.poll(() => bodyRoom.waitingCount).toBe(4);
    bodyRoom.release(others);
    await Promise.all(answers);
    expect(reads(app)).toBe(4);
  });
});

describe("room for what a write is joined to", () => {
  it.each([
    { what: "a PUT", method: "PUT", body: "v" },
    { what: "a PUT of nothing", method: "PUT", body: "" },
    { what: "a DELETE", method: "DELETE", body: null },
  ])("is waited for by $what before it is carried out, and given back", async (row) => {
    const { method, body } = row;
    const app = await makeApp();
    await app.put("/v1/kv/ns/k", "before");
    const write = (): Promise<Response> => {
      const headers = { "Content-Length": String(body?.length ?? 0) };
      return app.call(method, "/v1/kv/ns/k", body === null ? {} : { body, headers });
    };
    app.backend.operations.length = 0;
    app.backend.weigh = () => 26 * MIB;
    bodyRoom.add(others, 10 * MIB);
    const refused = await write();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(app.backend.operations).toEqual([]);
    bodyRoom.release(others);
    expect((await write()).status).toBe(204);
    expect(bodyRoom.takenByteCount).toBe(0);
  });
});

describe("bytes that several answers are of", () => {
  it("are counted once, until the last of them is out", () => {
    const bytes = new Uint8Array(5 * MIB);
    const answers = [{}, {}];
    for (const answer of answers) bodyRoom.hold(answer, bytes);
    expect(bodyRoom.takenByteCount).toBe(5 * MIB);
    for (const [i, answer] of answers.entries()) {
      bodyRoom.release(answer);
      bodyRoom.release(answer);
      expect(bodyRoom.takenByteCount).toBe(i === 0 ? 5 * MIB : 0);
    }
    bodyRoom.hold(others, bytes);
    expect(bodyRoom.takenByteCount).toBe(5 * MIB);
  });
});

describe("an answer of the Node host", () => {
  it("keeps its room until its reader has it, or is gone", async () => {
    const holder = {};
    const { server } = makeHttpServer({
      handler: (_, { whenSent }) => {
        bodyRoom.add(holder, 5 * MIB);
        whenSent(() => bodyRoom.release(holder));
        return new Response(new Uint8Array(64 * MIB));
      },
      internal: { recognises: () => false, accept: () => false },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    try {
      // It has seen the beginning of the answer, and reads no further.
      await new Promise((resolve) => socket.once("data", resolve));
      socket.pause();
      expect(bodyRoom.takenByteCount).toBe(5 * MIB);
      socket.destroy();
      await expect.poll(() => bodyRoom.takenByteCount).toBe(0);
      await (await fetch(`http://127.0.0.1:${port}`)).arrayBuffer();
      await expect.poll(() => bodyRoom.takenByteCount).toBe(0);
    } finally {
      socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
