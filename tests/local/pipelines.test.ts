import { afterEach, describe, expect, it } from "vitest";
import { heldBack, type Listener, listenWithApp, statusesIn, talk } from "./listener.ts";

let running: Listener | null = null;
afterEach(() => {
  running?.stop();
  running = null;
});

async function start(...options: Parameters<typeof listenWithApp>): Promise<Listener> {
  running = await listenWithApp(...options);
  return running;
}

const HOST = "Host: localhost\r\n";
const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\n${HOST}${more}\r\n`;
const put = (path: string, body: string): string =>
  `PUT ${path} HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}`;
const CLOSE = "Connection: close\r\n";

describe("requests that come before the answers to earlier ones (RFC 9112, 9.3.2)", () => {
  it("are answered all of them, in their order", async () => {
    const { url, port } = await start();
    for (const key of ["a", "b", "c"]) {
      await fetch(`${url}/v1/kv/ns/${key}`, { method: "PUT", body: `value of ${key}` });
    }
    const { closed } = talk(
      port,
      get("/v1/kv/ns/a") + get("/healthz") + get("/v1/kv/ns/b") + get("/v1/kv/ns/c", CLOSE),
    );
    const text = await closed;
    expect(statusesIn(text)).toEqual([200, 200, 200, 200]);
    expect(text).toMatch(/value of a[\s\S]*ok\n[\s\S]*value of b[\s\S]*value of c/);
  });

  it("keep no place at work, however many they are", async () => {
    const { url, port } = await start();
    const count = 2203;
    const { closed } = talk(port, get("/v1/kv/ns/k").repeat(count - 1) + get("/v1/kv/ns/k", CLOSE));
    expect((await fetch(`${url}/v1/kv/ns/k`)).status).toBe(404);
    expect(statusesIn(await closed)).toEqual(Array.from({ length: count }, () => 404));
  });

  it("keep no place at work when their sender has gone", async () => {
    const listener = await start({ limits: { inFlightCountMax: 4 } });
    const { url, port } = listener;
    const { begun, release } = heldBack(listener);
    const { socket } = talk(port, get("/v1/kv/ns/k").repeat(4));
    await expect.poll(begun).toBe(4);
    expect((await fetch(`${url}/healthz`)).status).toBe(429);
    socket.resetAndDestroy();
    await expect.poll(async () => (await fetch(`${url}/healthz`)).status).toBe(200);
    release();
  });

  it("leave places to others: so many of one connection are at work, and no more", async () => {
    const listener = await start({ limits: { inFlightCountMax: 4, atOnceCountMax: 2 } });
    const { url, port } = listener;
    const { begun, release } = heldBack(listener);
    const { closed } = talk(port, get("/v1/kv/ns/k").repeat(9) + get("/v1/kv/ns/k", CLOSE));
    await expect.poll(begun).toBe(2);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(begun()).toBe(2);
    release();
    expect(statusesIn(await closed)).toHaveLength(10);
  });

  it("are turned away in their order when too many wait", async () => {
    const listener = await start({ limits: { atOnceCountMax: 1, waitingCountMax: 2 } });
    const { begun, release } = heldBack(listener);
    const { closed } = talk(
      listener.port,
      get("/v1/kv/ns/k").repeat(4) + get("/v1/kv/ns/k", CLOSE),
    );
    await expect.poll(begun).toBe(1);
    release();
    expect(statusesIn(await closed)).toEqual([404, 404, 404, 429, 429]);
  });

  it("begin one after another where one of them writes", async () => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const text = put("/v1/kv/ns/k", "1") + put("/v1/kv/ns/k", "2") + get("/v1/kv/ns/k", CLOSE);
    const { closed } = talk(listener.port, text);
    await expect.poll(begun).toBe(1);
    expect((await fetch(`${listener.url}/healthz`)).status).toBe(200);
    expect(begun()).toBe(1);
    release();
    const answers = await closed;
    expect(statusesIn(answers)).toEqual([201, 204, 200]);
    expect(answers.endsWith("2")).toBe(true);
  });

  it("are not carried out behind one that ends the connection (RFC 9112, 9.6)", async () => {
    const { port, url } = await start();
    const bad = "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    const text = await talk(port, bad + put("/v1/kv/ns/k", "v")).closed;
    expect(statusesIn(text)).toEqual([400]);
    expect((await fetch(`${url}/v1/kv/ns/k`)).status).toBe(404);
  });

  it("are answered before bytes behind them that are no request", async () => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const { closed, received } = talk(listener.port, `${get("/v1/kv/ns/k")}no HTTP\r\n\r\n`);
    await expect.poll(begun).toBe(1);
    expect(received()).toBe("");
    release();
    expect(statusesIn(await closed)).toEqual([404, 400]);
  });
});

describe("a client that has sent all that it will (a half-closed connection)", () => {
  it.each([
    ["a key that is read", get("/v1/kv/ns/k"), [404]],
    ["a key that is written", put("/v1/kv/ns/k", "v"), [201]],
    ["several", get("/v1/kv/ns/k") + get("/healthz"), [404, 200]],
  ])("gets its answers: %s", async (_, text, statuses) => {
    const listener = await start();
    const { begun, release } = heldBack(listener);
    const { socket, closed } = talk(listener.port, text);
    socket.end();
    await expect.poll(begun).toBe(1);
    release();
    expect(statusesIn(await closed)).toEqual(statuses);
  });
});
