import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  type FetchHandler,
  type HttpLimits,
  type HttpServer,
  makeHttpServer,
} from "../../src/local/http/http-server.ts";
import { rawRequest } from "../support/raw-http.ts";

let running: HttpServer | null = null;
afterEach(() => {
  running?.server.close();
  running?.server.closeAllConnections();
  running = null;
});

const nobody = { recognises: () => false, accept: () => false };

async function start(handler: FetchHandler, limits: Partial<HttpLimits>): Promise<string> {
  running = makeHttpServer({ handler, internal: nobody, limits });
  const { server } = running;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const CHUNKED = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What has come on the socket so far. */
function lines(socket: Socket): () => string {
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {});
  return () => text;
}

const reads: FetchHandler = async (request) => new Response(await request.text());

describe("the Node host's listener", () => {
  it("answers headers that do not come to an end with 408", async () => {
    const url = await start(reads, { headersMsMax: 200, requestMsMax: 400 });
    const answer = await rawRequest(url, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    expect(answer.status).toBe(408);
    expect(answer.body).toContain('"code":"request-timeout"');
  });

  it("answers a body that does not come to an end with 408", async () => {
    const url = await start(reads, { headersMsMax: 200, requestMsMax: 400 });
    const head = "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
    const answer = await rawRequest(url, `${head}slow`);
    expect(answer.status).toBe(408);
  });

  it("answers headers that are too large with 431", async () => {
    const url = await start(reads, { headerBytesMax: 1000 });
    const answer = await rawRequest(
      url,
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(2000)}\r\n\r\n`,
    );
    expect(answer.status).toBe(431);
    expect(answer.body).toContain('"code":"headers-too-large"');
  });

  it("turns requests away with 429 when too many are at work, and takes them again after", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waits: FetchHandler = async () => {
      await promise;
      return new Response("done");
    };
    const url = await start(waits, { inFlightCountMax: 2 });
    const first = [fetch(url), fetch(url)];
    const turnedAway = async (): Promise<Response> => {
      const answer = await Promise.race([
        fetch(url),
        new Promise<null>((r) => setTimeout(r, 100, null)),
      ]);
      return answer ?? new Response(null, { status: 599 });
    };
    await expect.poll(async () => (await turnedAway()).status).toBe(429);
    const answer = await turnedAway();
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(((await answer.json()) as { code: string }).code).toBe("overloaded");
    resolve();
    for (const response of await Promise.all(first)) expect(response.status).toBe(200);
    await expect.poll(async () => (await fetch(url)).status).toBe(200);
  });

  it("answers whoever asks for another protocol as if it had not asked", async () => {
    const url = await start(reads, {});
    const lines = [
      "PUT /internal HTTP/1.1",
      "Host: a",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
      "Content-Length: 4",
    ];
    const answer = await rawRequest(url, `${lines.join("\r\n")}\r\n\r\nbody`);
    expect([answer.status, answer.body]).toEqual([200, expect.stringContaining("body")]);
  });

  it("hands the request target on as it stood", async () => {
    const seen: string[] = [];
    const url = await start((_, env) => {
      seen.push(env.rawPath);
      return new Response("ok");
    }, {});
    await rawRequest(url, "GET /a/../b/%2e%2e?x=%20 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(seen).toEqual(["/a/../b/%2e%2e?x=%20"]);
  });

  it("tells a client that waits with its body to go on", async () => {
    const url = await start(reads, {});
    const head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const received = lines(socket);
    socket.write(head);
    await expect.poll(received).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("body");
    await expect.poll(received).toMatch(/HTTP\/1\.1 200 OK[\s\S]*body/);
    socket.destroy();
  });

  it("keeps no place for a client that never reads the answer", async () => {
    const large: FetchHandler = (request) =>
      new Response(request.url.endsWith("/large") ? new Uint8Array(50_000_000) : "small");
    const url = await start(large, { inFlightCountMax: 1, inactiveMsMax: 200 });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(async () => (await fetch(url)).status).toBe(429);
    await expect.poll(async () => (await fetch(url)).status, { timeout: 10_000 }).toBe(200);
    socket.destroy();
  });
});

describe("bytes that are no HTTP", () => {
  it.each([
    [
      "two lengths",
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    ],
    [
      "a length and chunks",
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["a bare CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"],
    ["a chunk that is none", `${CHUNKED}zz\r\n`],
  ])("are refused with 400 and the connection closed: %s", async (_, text) => {
    const url = await start(reads, {});
    const answer = await rawRequest(url, text);
    expect([answer.status, answer.head]).toEqual([
      400,
      expect.stringMatching(/connection: close/i),
    ]);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 400, code: "malformed-request" });
  });

  it("are never answered in the place of an earlier request", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let begun = 0;
    const url = await start(async () => {
      begun++;
      await promise;
      return new Response("late");
    }, {});
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const received = lines(socket);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nno HTTP\r\n\r\n");
    await expect.poll(() => begun).toBe(1);
    expect(received()).toBe("");
    resolve();
    await expect.poll(received).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*late[\s\S]*HTTP\/1\.1 400 /);
    socket.destroy();
  });

  it("are never answered in the middle of an answer", async () => {
    const url = await start(() => {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("first half")),
      });
      return new Response(body);
    }, {});
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const received = lines(socket);
    socket.write(CHUNKED);
    await expect.poll(received).toContain("first half");
    socket.write("zz\r\n");
    await expect.poll(() => socket.destroyed).toBe(true);
    expect(received()).not.toContain("400");
  });
});

describe("a listener that stops", () => {
  it("gives the answers it owes, closes their connections, and takes no new ones", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let atWorkCount = 0;
    const url = await start(async () => {
      atWorkCount++;
      await promise;
      return new Response("done");
    }, {});
    const kept = connect(Number(new URL(url).port), "127.0.0.1");
    const received = lines(kept);
    kept.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => atWorkCount).toBe(1);
    const stopped = running?.stop(5000);
    await expect(fetch(url)).rejects.toThrow();
    expect(received()).toBe("");
    resolve();
    await stopped;
    await expect.poll(() => kept.destroyed).toBe(true);
    expect(received()).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*connection: close[\s\S]*done/i);
  });

  it("waits no longer than it is told to", async () => {
    let atWorkCount = 0;
    const url = await start(() => {
      atWorkCount++;
      return new Promise(() => {});
    }, {});
    const asked = fetch(url).catch(() => "broken");
    await expect.poll(() => atWorkCount).toBe(1);
    await running?.stop(100);
    running?.server.closeAllConnections();
    expect(await asked).toBe("broken");
  });
});
