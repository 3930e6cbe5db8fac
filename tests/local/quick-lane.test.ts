/** The quick lane gives the answers that the long way gives, and keeps to the same limits. */
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { bodyRoom } from "../../src/frontend/http/body-room.ts";
import type { Answer } from "../../src/frontend/http/exchange.ts";
import {
  type HttpLimits,
  type HttpServer,
  makeHttpServer,
} from "../../src/local/http/http-server.ts";
import { testDefaults } from "../frontend/memory-backend.ts";
import { rawRequest } from "../support/raw-http.ts";
import { heldBack, type Listener, listenWithApp, statusesIn, talk } from "./listener.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function start(...options: Parameters<typeof listenWithApp>): Promise<Listener> {
  const listener = await listenWithApp(...options);
  ends.push(() => listener.stop());
  return listener;
}

const HOST = "Host: localhost\r\n";
const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\n${HOST}${more}\r\n`;
const put = (path: string, body: string, more = ""): string =>
  `PUT ${path} HTTP/1.1\r\n${HOST}${more}Content-Length: ${body.length}\r\n\r\n${body}`;
/** Nothing that changes the answer: only Node's parser takes it. */
const LONG_WAY = "TE: trailers\r\n";
const KEY = "/v1/kv/ns/k";

/** What differs from answer to answer; and one in pieces says nothing of how long it is waited. */
const lasting = (head: string): string =>
  head.replaceAll(/\r\n(?:Date|Server-Timing|Keep-Alive): [^\r]*/g, "");

/** A listener whose every answer is this one. */
async function answering(answer: Answer, limits: Partial<HttpLimits> = {}): Promise<HttpServer> {
  const made = makeHttpServer({
    handler: () => new Response(null, { status: 404 }),
    answerKey: () => Promise.resolve(answer),
    internal: { recognises: () => false, accept: () => false },
    limits,
  });
  ends.push(() => {
    made.server.close();
    made.server.closeAllConnections();
  });
  await new Promise<void>((resolve) => made.server.listen(0, "127.0.0.1", resolve));
  return made;
}

const portOf = ({ server }: HttpServer): number => (server.address() as AddressInfo).port;

describe("the quick lane", () => {
  it("gives the answers that the long way gives, to the byte", async () => {
    const { url, longWayCount, backend } = await start();
    backend.namespaces.set("ns", { ...testDefaults, maxValueBytes: 100_000 });
    const value = { "Content-Type": "text/x", "Cache-Control": "max-age=5" };
    // Put together with its head, sent behind it, and left to Node.
    const values = { k: "value", middle: "v".repeat(16 * 1024), long: "v".repeat(100_000) };
    for (const [key, body] of Object.entries(values)) {
      const stored = fetch(`${url}/v1/kv/ns/${key}`, { method: "PUT", body, headers: value });
      expect((await stored).status).toBe(201);
    }
    const etag = (await fetch(`${url}${KEY}`)).headers.get("ETag");
    const requests: readonly ((more: string) => string)[] = [
      (more) => get(KEY, more),
      (more) => get(`${KEY}?r=2`, more),
      (more) => get(`${KEY}?r=wrong`, more),
      (more) => get("/v1/kv/ns/nothing", more),
      (more) => get("/v1/kv/ns/%ff", more),
      (more) => get("/v1/kv/ns/middle", more),
      (more) => get("/v1/kv/ns/long", more),
      (more) => get(KEY, `If-None-Match: ${etag}\r\n${more}`),
      (more) => get(KEY, `Accept: application/json\r\n${more}`),
      (more) => put(`${KEY}?w=0`, "x", more),
      (more) => put(KEY, "x", `If-Match: "other"\r\n${more}`),
    ];
    for (const request of requests) {
      const before = longWayCount();
      const quick = await rawRequest(url, request(""));
      expect(longWayCount()).toBe(before);
      const long = await rawRequest(url, request(LONG_WAY));
      expect(longWayCount()).toBe(before + 1);
      expect(lasting(quick.head)).toBe(lasting(long.head));
      expect(quick.body).toBe(long.body);
    }
  });

  it("stores what is put, and deletes, one request after the other on one connection", async () => {
    const { port, longWayCount } = await start();
    const { socket, received, closed } = talk(port, put(KEY, "one"));
    const next = async (text: string, count: number): Promise<void> => {
      await expect.poll(() => statusesIn(received())).toHaveLength(count);
      socket.write(text);
    };
    await next(get(KEY), 1);
    await next(put(KEY, "", "Content-Type: text/plain\r\n"), 2);
    await next(get(KEY).replace("GET", "DELETE"), 3);
    await next(get(KEY), 4);
    expect(longWayCount()).toBe(0);
    await next(get(KEY, "Connection: close\r\n"), 5);
    expect(statusesIn(await closed)).toEqual([201, 200, 204, 204, 404, 404]);
    expect(longWayCount()).toBe(1);
  });

  it("leaves what comes before an answer unread, and in its order", async () => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const { socket, received, closed } = talk(listener.port, put(KEY, "one"));
    await expect.poll(begun).toBe(1);
    // In two pieces, and neither is one whole request.
    socket.write(get(KEY) + put(KEY, "two").slice(0, -4));
    await fetch(`${listener.url}/healthz`);
    expect(received()).toBe("");
    release();
    await expect.poll(() => statusesIn(received())).toEqual([201, 200]);
    socket.write(`\ntwo${get(KEY, "Connection: close\r\n")}`);
    const text = await closed;
    expect(statusesIn(text)).toEqual([201, 200, 204, 200]);
    expect(text.endsWith("two")).toBe(true);
  });

  it.each([1, 2, 7, 40])("takes requests that come in pieces of %i bytes", async (length) => {
    const { port } = await start();
    const text = put(KEY, "value") + get(KEY) + get(KEY, "Connection: close\r\n");
    const { socket, closed } = talk(port, "");
    socket.setNoDelay(true);
    for (let at = 0; at < text.length; at += length) {
      await new Promise((resolve) => socket.write(text.slice(at, at + length), resolve));
      await new Promise(setImmediate);
    }
    expect(statusesIn(await closed)).toEqual([201, 200, 200]);
  });

  it("waits a little for the end of a short body", async () => {
    const { port, longWayCount } = await start();
    const text = put(KEY, "v".repeat(900));
    const { socket, received } = talk(port, text.slice(0, 150));
    for (let at = 150; at < text.length; at += 200) {
      await new Promise((resolve) => socket.write(text.slice(at, at + 200), resolve));
      await new Promise(setImmediate);
    }
    await expect.poll(() => statusesIn(received())).toEqual([201]);
    socket.write(get(KEY));
    await expect.poll(() => statusesIn(received())).toEqual([201, 200]);
    await expect.poll(received).toContain("v".repeat(900));
    expect(longWayCount()).toBe(0);
  });

  it("leaves one whose body is slow to Node's parser, which times it", async () => {
    const { port, longWayCount } = await start({ limits: { requestMsMax: 100, headersMsMax: 50 } });
    const text = await talk(port, put(KEY, "value").slice(0, -1)).closed;
    expect(statusesIn(text)).toEqual([408]);
    expect(longWayCount()).toBe(1);
  });

  it("says that a body is cut off", async () => {
    const { port, url } = await start();
    const { socket, closed } = talk(port, put(KEY, "value").slice(0, -1));
    socket.end();
    const text = await closed;
    expect(statusesIn(text)).toEqual([400]);
    expect(text).toContain('"code":"incomplete-body"');
    expect((await fetch(`${url}${KEY}`)).status).toBe(404);
  });

  it("says so when an answer has a field that cannot be sent, and goes on", async () => {
    const headers = { "Content-Type": "text/\u0100" };
    const port = portOf(await answering({ status: 200, headers, body: "x" }));
    const { socket, received } = talk(port, get(KEY));
    await expect.poll(() => statusesIn(received())).toEqual([500]);
    expect(received()).toContain('"code":"internal-error"');
    socket.write(get(KEY));
    await expect.poll(() => statusesIn(received())).toEqual([500, 500]);
  });
});

describe("a connection of the quick lane", () => {
  it("counts among the requests at work, and gives its place back when its client goes", async () => {
    const listener = await start({ limits: { inFlightCountMax: 2 } });
    const { url, port } = listener;
    const { begun, release } = heldBack(listener);
    const talks = [talk(port, get(KEY)), talk(port, get(KEY))];
    await expect.poll(begun).toBe(2);
    expect((await rawRequest(url, get(KEY))).status).toBe(429);
    talks[0]?.socket.resetAndDestroy();
    await expect.poll(async () => (await rawRequest(url, get("/healthz"))).status).toBe(200);
    release();
    await expect.poll(() => statusesIn(talks[1]?.received() ?? "")).toEqual([404]);
    expect(listener.longWayCount()).toBeGreaterThan(1);
  });

  it("ends with the answer to a client that has sent all that it will", async () => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const { socket, closed } = talk(listener.port, get(KEY));
    socket.end();
    await expect.poll(begun).toBe(1);
    await fetch(`${listener.url}/healthz`);
    release();
    const text = await closed;
    expect(statusesIn(text)).toEqual([404]);
    expect(text).toContain("\r\nConnection: close\r\n");
  });

  it("is told 408 when nothing comes on it", async () => {
    const { port, longWayCount } = await start({ limits: { headersMsMax: 100 } });
    const text = await talk(port, "").closed;
    expect(statusesIn(text)).toEqual([408]);
    expect(text).toContain('"code":"request-timeout"');
    expect(longWayCount()).toBe(0);
  });

  it("has nothing carried out that comes after its 408", async () => {
    const listener = await start({ limits: { headersMsMax: 100 } });
    const { begun } = heldBack(listener);
    const { socket, received, closed } = talk(listener.port, "");
    // It comes with the answer or after it, before the client knows.
    socket.on("data", () => socket.write(put(KEY, "late")));
    await expect.poll(() => statusesIn(received())).toEqual([408]);
    await closed;
    expect(begun()).toBe(0);
  });

  it("ends when no request follows for long, and not while one is at work", async () => {
    const limits = { headersMsMax: 100, keepAliveMsMax: 100 };
    const listener = await start({ limits });
    const idle = talk(listener.port, get(KEY));
    await expect.poll(() => statusesIn(idle.received())).toEqual([404]);
    const { begun, release } = heldBack(listener);
    const busy = talk(listener.port, get(KEY));
    await expect.poll(begun).toBe(1);
    await idle.closed;
    expect(busy.received()).toBe("");
    release();
    expect(statusesIn(await busy.closed)).toEqual([404]);
  });

  it("ends when its client does not read its answer", async () => {
    const body = new Uint8Array(64 * 1024 * 1024);
    const made = await answering({ status: 200, headers: {}, body }, { inactiveMsMax: 100 });
    const { socket } = talk(portOf(made), "");
    socket.pause();
    const count = (): Promise<number> =>
      new Promise((resolve) => made.server.getConnections((_, open) => resolve(open)));
    socket.write(get(KEY));
    await expect.poll(count).toBe(1);
    await expect.poll(count, { timeout: 10_000 }).toBe(0);
    socket.destroy();
  });

  it("makes room for others while it is idle", async () => {
    const { url, port } = await start({ limits: { connectionCountMax: 2 } });
    const idle = [talk(port, get(KEY)), talk(port, get(KEY))];
    for (const { received } of idle) {
      await expect.poll(() => statusesIn(received())).toEqual([404]);
    }
    // The one that is too many is dropped, and the next finds room.
    await rawRequest(url, get(KEY)).catch(() => undefined);
    await Promise.all(idle.map(({ closed }) => closed));
    expect((await rawRequest(url, get(KEY))).status).toBe(404);
  });

  it("takes nothing more behind an answer that is the last", async () => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const { socket, closed } = talk(listener.port, get(KEY));
    await expect.poll(begun).toBe(1);
    const finished = listener.finish(10_000);
    socket.write(put(KEY, "late"));
    await expect.poll(() => socket.writableLength).toBe(0);
    await fetch(`http://127.0.0.1:${listener.port}/healthz`).catch(() => undefined);
    release();
    await finished;
    expect(statusesIn(await closed)).toEqual([404]);
    expect(begun()).toBe(1);
  });

  it("gives its place back once when its client goes amid a long answer", async () => {
    const body = new Uint8Array(64 * 1024 * 1024);
    const made = await answering({ status: 200, headers: {}, body }, { inFlightCountMax: 1 });
    const url = `http://127.0.0.1:${portOf(made)}`;
    for (let i = 0; i < 3; i++) {
      const { socket, received } = talk(portOf(made), get(KEY));
      await expect.poll(() => statusesIn(received())).toEqual([200]);
      // Only one is at work at a time.
      expect((await rawRequest(url, get(KEY))).status).toBe(429);
      socket.resetAndDestroy();
      await expect.poll(() => bodyRoom.takenByteCount).toBe(0);
    }
  });

  it.each([1, 900])(
    "waits for a request that has begun when the node stops (%i bytes are to come)",
    async (count) => {
      const listener = await start();
      const { port } = listener;
      const text = put(KEY, "v".repeat(900));
      const begun = text.slice(0, text.length - count);
      const { socket, received, closed } = talk(port, get(KEY));
      await expect.poll(() => statusesIn(received())).toEqual([404]);
      await new Promise((resolve) => socket.write(begun, resolve));
      // What another connection sends later is read later.
      expect((await rawRequest(`http://127.0.0.1:${port}`, get(KEY))).status).toBe(404);
      // The node ends all connections once this is over.
      const finished = listener.finish(10_000).then(() => listener.stop());
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      socket.write(text.slice(begun.length));
      expect(statusesIn(await closed)).toEqual([404, 201]);
      expect(received()).toContain("\r\nConnection: close\r\n");
      await finished;
    },
  );

  it("is given what it is owed when the node stops, and ends with that", async () => {
    const listener = await start();
    const idle = talk(listener.port, get(KEY));
    await expect.poll(() => statusesIn(idle.received())).toEqual([404]);
    const { begun, release } = heldBack(listener);
    const busy = talk(listener.port, get(KEY));
    await expect.poll(begun).toBe(1);
    const finished = listener.finish(10_000);
    await idle.closed;
    release();
    await finished;
    const text = await busy.closed;
    expect(statusesIn(text)).toEqual([404]);
    expect(text).toContain("\r\nConnection: close\r\n");
  });
});
