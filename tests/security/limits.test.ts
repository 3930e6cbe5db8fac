/** Everything that a client sends is bounded, and is refused before it has cost anything. */

import { type AddressInfo, connect, type Socket } from "node:net";
import { Encoder } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { BodyRoom, bodyRoom } from "../../src/frontend/http/body-room.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { makeHttpServer } from "../../src/local/http/http-server.ts";
import { makeApp, type ProblemBody } from "../frontend/support.ts";

const KV = "/client/v4/accounts/a/storage/kv/namespaces/ns";
const KEY = "/v1/kv/ns/k";
const x = (count: number): string => "x".repeat(count);
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
const json = (value: unknown): string => JSON.stringify(value);
const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const withHeader = (name: string, value: string): RequestInit => ({ headers: { [name]: value } });
const msgpack = (bytes: Uint8Array): RequestInit => ({
  body: bytes as Uint8Array<ArrayBuffer>,
  headers: { "Content-Type": "application/msgpack" },
});
const form = (count: number): RequestInit => ({
  headers: { "Content-Type": "multipart/form-data; boundary=B" },
  body: `${many(count, '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nv').join("\r\n")}\r\n--B--`,
});

/** A request at its bound, or one beyond it; `status` is that of the one beyond. */
interface Bound {
  readonly what: string;
  readonly most: number;
  readonly status: number;
  /** Whether the one at the bound may be something that this test's Map of a backend cannot do. */
  readonly request: (count: number) => readonly [string, string, RequestInit?];
}

const BOUNDS: readonly Bound[] = [
  { what: "bytes of a key", most: 512, status: 414, request: (n) => ["PUT", `/v1/kv/ns/${x(n)}`] },
  {
    what: "characters of a namespace",
    most: 64,
    status: 400,
    request: (n) => ["PUT", `/v1/kv/${x(n)}/k`],
  },
  {
    what: "bytes of a value",
    most: 1000,
    status: 413,
    request: (n) => ["PUT", KEY, { body: x(n) }],
  },
  {
    what: "bytes of a value of the KV API",
    most: 1000,
    status: 413,
    request: (n) => ["PUT", `${KV}/values/k`, { body: x(n) }],
  },
  {
    what: "bytes of metadata",
    most: 1024,
    status: 400,
    request: (n) => ["PUT", KEY, withHeader("Starling-Metadata", json(x(n - 2)))],
  },
  {
    what: "characters of a stored header",
    most: 1024,
    status: 400,
    request: (n) => ["PUT", KEY, withHeader("Content-Type", x(n))],
  },
  {
    what: "tags",
    most: 32,
    status: 400,
    request: (n) => [
      "PUT",
      KEY,
      withHeader(
        "Cache-Tag",
        many(n, 0)
          .map((_, i) => `t${i}`)
          .join(),
      ),
    ],
  },
  {
    what: "characters of a tag",
    most: 128,
    status: 400,
    request: (n) => ["PUT", KEY, withHeader("Cache-Tag", x(n))],
  },
  {
    what: "ops of a batch",
    most: 1000,
    status: 400,
    request: (n) => ["POST", "/v1/kv/ns:batch", { body: json({ ops: many(n, {}) }) }],
  },
  {
    what: "bytes of a batch",
    most: 16 * 1000 + 1_048_576,
    status: 413,
    request: (n) => ["POST", "/v1/kv/ns:batch", { body: `{"ops":[]}`.padEnd(n) }],
  },
  {
    what: "keys of a page",
    most: 1000,
    status: 400,
    request: (n) => ["GET", `/v1/kv/ns?limit=${n}`],
  },
  {
    what: "milliseconds of a request",
    most: 60_000,
    status: 400,
    request: (n) => ["GET", `${KEY}?timeout=${n}`],
  },
  {
    what: "seconds of a value's life",
    most: 315_360_000,
    status: 400,
    request: (n) => ["PUT", `${KEY}?ttl=${n}`],
  },
  {
    what: "keys read in bulk",
    most: 1000,
    status: 400,
    request: (n) => ["POST", `${KV}/bulk/get`, { body: json({ keys: many(n, "k") }) }],
  },
  {
    what: "keys deleted in bulk",
    most: 10_000,
    status: 400,
    request: (n) => ["DELETE", `${KV}/bulk`, { body: json(many(n, "k")) }],
  },
  {
    what: "bytes of an operator's request",
    most: 1_048_576,
    status: 413,
    request: (n) => ["POST", "/v1/cluster/plan", { body: "{}".padEnd(n) }],
  },
];

describe("a client", () => {
  it.each(BOUNDS)("may send so much and no more: $most $what", async (bound) => {
    const { most, status, request } = bound;
    const app = await makeApp();
    expect((await app.call(...request(most))).status).not.toBe(status);
    const operationCount = app.backend.operations.length;
    const answer = await app.call(...request(most + 1));
    expect(answer.status).toBe(status);
    expect(app.backend.operations).toHaveLength(operationCount);
    if (status !== 413) return;
    const text = await answer.text();
    if (text.includes('"limit"')) expect((JSON.parse(text) as ProblemBody).limit).toBe(most);
  });

  it.each([
    ["lists in JSON", { body: `{"ops":${nested(600)}}` }],
    ["lists in JSON, cut off", { body: "[".repeat(1_000_000) }],
    ["lists in MessagePack", msgpack(new Uint8Array(1_000_000).fill(0x91))],
    ["a list that declares four billion items", msgpack(Uint8Array.of(0xdd, 255, 255, 255, 255))],
    ["a text that declares two gigabytes", msgpack(Uint8Array.of(0xdb, 127, 255, 255, 255))],
    ["a map that declares what it has not", msgpack(Uint8Array.of(0xdf, 0, 1, 0, 0, 0xc0))],
    ["an extension type", msgpack(new Encoder().encode({ ops: new Date(0) }))],
    ["bytes after the end", msgpack(Uint8Array.of(0x80, 0x80))],
  ] as const)("cannot have memory or the stack taken by a few bytes: %s", async (_, init) => {
    const app = await makeApp();
    const answer = await app.call("POST", "/v1/kv/ns:batch", init);
    expect([answer.status, ((await answer.json()) as ProblemBody).code]).toEqual([
      400,
      "invalid-request",
    ]);
  });

  it("cannot nest its way through any other body of JSON", async () => {
    const app = await makeApp();
    for (const [method, target] of [
      ["POST", "/v1/cluster/plan"],
      ["POST", "/v1/cluster/commit"],
      ["POST", "/v1/purge"],
      ["PUT", "/v1/namespaces/ns"],
      ["PUT", `${KV}/bulk`],
      ["POST", `${KV}/bulk/get`],
    ] as const) {
      const answer = await app.call(method, target, { body: "[".repeat(500_000) });
      expect([target, answer.status]).toEqual([target, 400]);
    }
  });

  it("cannot send a form of more parts than a form needs", async () => {
    const app = await makeApp();
    expect((await app.call("PUT", `${KV}/values/k`, form(17))).status).toBe(400);
  });

  it("cannot send a context longer than 4 KiB, nor one that it made up", async () => {
    const app = await makeApp();
    for (const token of [x(4097), x(4096), x(12)]) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = await app.call(method, KEY, withHeader("Starling-Context", token));
        expect([method, answer.status]).toEqual([method, 400]);
        expect(await answer.text()).toContain("invalid-context");
      }
    }
  });
});

describe("large bodies, all together", () => {
  const MIB = 1024 * 1024;

  it("have so much room; one alone is let in whatever its length", async () => {
    const room = new BodyRoom(100, 20);
    const [a, b] = [{}, {}];
    await room.reserve(a, 60);
    await room.reserve(a, 60);
    await expect(room.reserve(b, 1)).rejects.toThrow(Problem);
    room.release(b);
    expect(room.takenByteCount).toBe(120);
    room.release(a);
    await room.reserve(b, 40);
    await room.reserve(a, 60);
    await expect(room.reserve(b, 1)).rejects.toThrow(/Try again/);
    room.release(a);
    room.release(b);
    room.release(b);
    expect([room.takenByteCount, room.waitingCount]).toEqual([0, 0]);
  });

  it("wait in turn, and come in when others go or need less", async () => {
    const room = new BodyRoom(100, 60_000);
    const order: string[] = [];
    const holders = { a: {}, b: {}, c: {}, d: {} };
    await room.reserve(holders.a, 90);
    const waiting = (["b", "c", "d"] as const).map((name) =>
      // The last would fit at once, and waits behind the others: else large ones would starve.
      room.reserve(holders[name], name === "d" ? 5 : 50).then(() => order.push(name)),
    );
    expect(room.waitingCount).toBe(3);
    room.shrinkTo(holders.a, 50);
    await waiting[0];
    expect(order).toEqual(["b"]);
    room.release(holders.a);
    await Promise.all(waiting.slice(0, 2));
    expect(order).toEqual(["b", "c"]);
    room.add(holders.c, 30);
    room.release(holders.b);
    await waiting[2];
    for (const holder of Object.values(holders)) room.release(holder);
    expect([room.takenByteCount, room.waitingCount]).toEqual([0, 0]);
  });

  it("are turned away with 429 while others fill the room, and taken again after", async () => {
    const app = await makeApp();
    const others = {};
    bodyRoom.add(others, 200 * MIB);
    const requests: readonly (readonly [string, string, RequestInit])[] = [
      ["PUT", KEY, { body: x(900) }],
      ["PUT", `${KV}/values/k`, { body: x(900) }],
      ["POST", "/v1/kv/ns:batch", { body: '{"ops":[]}' }],
    ];
    const answers = await Promise.all(requests.map((request) => app.call(...request)));
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 429]);
    for (const { headers } of answers) expect(headers.get("retry-after")).toBe("1");
    expect(bodyRoom.takenByteCount).toBe(200 * MIB);
    // Requests that come a little before there is room again are let in.
    const early = requests.map((request) => app.call(...request));
    await expect.poll(() => bodyRoom.waitingCount).toBe(3);
    bodyRoom.release(others);
    for (const answer of await Promise.all(early)) expect(answer.status).toBeLessThan(300);
    expect(bodyRoom.takenByteCount).toBe(0);
    // A request that is refused for its content gives its room back as well.
    await app.call("POST", "/v1/kv/ns:batch", { body: "no JSON" });
    await app.call("PUT", KEY, { body: x(1001) });
    expect(bodyRoom.takenByteCount).toBe(0);
  });

  it("of reads take room too, before they are read and until they are sent", async () => {
    const app = await makeApp();
    await app.put(KEY, "v");
    app.backend.weigh = () => 3 * MIB;
    const others = {};
    bodyRoom.add(others, 30 * MIB);
    const count = app.backend.operations.length;
    const batch = { body: '{"ops":[{"op":"get","key":"k"}]}' };
    for (const begin of [() => app.get(KEY), () => app.call("POST", "/v1/kv/ns:batch", batch)]) {
      const call = begin();
      await expect.poll(() => bodyRoom.waitingCount).toBe(1);
      expect(app.backend.operations).toHaveLength(count);
      const answer = await call;
      const text = await answer.text();
      expect(text).toContain("overloaded");
      expect(answer.status === 429 || answer.status === 207).toBe(true);
    }
    bodyRoom.release(others);
    expect((await app.get(KEY)).status).toBe(200);
    expect(bodyRoom.takenByteCount).toBe(0);
  });
});

describe("a listener", () => {
  it("has idle connections make room when there is none left", async () => {
    const { server } = makeHttpServer({
      handler: () => new Response("ok"),
      internal: { recognises: () => false, accept: () => false },
      limits: { connectionCountMax: 3 },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const opened: Socket[] = [];
    const say = async (text: string): Promise<Socket> => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      opened.push(socket);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(text);
      return socket;
    };
    try {
      const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
      const idle = [await say(request), await say(request)];
      const busy = await say("GET / HTTP/1.1\r\nHost: a\r\nX-Not-Over");
      await expect.poll(() => idle.every(({ bytesRead }) => bytesRead > 0)).toBe(true);
      await say(request);
      await expect.poll(() => idle.every(({ destroyed }) => destroyed)).toBe(true);
      expect(busy.destroyed).toBe(false);
      const answer = await fetch(`http://127.0.0.1:${port}`);
      expect(answer.status).toBe(200);
    } finally {
      for (const socket of opened) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("holds so many connections and closes the next one at once", async () => {
    const { server } = makeHttpServer({
      handler: () => new Response("ok"),
      internal: { recognises: () => false, accept: () => false },
      limits: { connectionCountMax: 2 },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const opened: Socket[] = [];
    const open = async (): Promise<Socket> => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      opened.push(socket);
      await new Promise((resolve) => socket.once("connect", resolve));
      return socket;
    };
    try {
      // A request has begun on each: they are not idle.
      const [first, second] = [await open(), await open()];
      for (const socket of [first, second]) socket.write("GET / HTTP/1.1\r\nHost");
      const third = await open();
      await expect.poll(() => third.destroyed).toBe(true);
      expect(first.destroyed).toBe(false);
      first.destroy();
      await expect
        .poll(async () => (await fetch(`http://127.0.0.1:${port}`).catch(() => null))?.status)
        .toBe(200);
    } finally {
      for (const socket of opened) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
