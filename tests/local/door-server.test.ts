/** What the door's host on Node does in its own way: names, uploads, and lateness. */
import {
  createServer,
  Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Door } from "../../src/door/door.ts";
import { DoorMetrics } from "../../src/door/door-metrics.ts";
import { portableDigest } from "../../src/door/kept.ts";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { doorListener } from "../../src/local/cache/door-server.ts";
import { NodeOrigin } from "../../src/local/cache/origin.ts";
import { nodeDigest } from "../../src/local/cache/start-door.ts";
import { makeHttpServer } from "../../src/local/http/http-server.ts";
import { MemoryBackend, testHash } from "../frontend/memory-backend.ts";
import { testRing } from "../frontend/support.ts";
import { statusesIn, talk } from "./listener.ts";

describe("names of stored responses", () => {
  it("are the same on all hosts", () => {
    expect(portableDigest("abc")).toMatch(/^ba7816bf8f01cfea/);
    const text = fc.string({ unit: "binary", maxLength: 200 });
    fc.assert(fc.property(text, (key) => nodeDigest(key) === portableDigest(key)));
  });
});

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.close();
    if (server instanceof HttpServer) server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

interface Limits {
  readonly originTimeoutMs?: number;
  readonly bodyIdleMsMax?: number;
  readonly atWorkCountMax?: number;
}

/** A door in front of an origin, over real connections. @returns its port */
async function startDoor(originPort: number, limits: Limits): Promise<number> {
  const { originTimeoutMs = 5000, bodyIdleMsMax = 5000, atWorkCountMax = 100 } = limits;
  const backend = new MemoryBackend(await testRing());
  const site = { origin: `http://127.0.0.1:${originPort}`, originTimeoutMs };
  backend.namespaces.set("_site.default", siteSettings(site, backend.view()));
  const origin = new NodeOrigin({ ownPorts: () => [], members: () => [] });
  ends.push(() => origin.close());
  const metrics = new DoorMetrics();
  const host = {
    now: () => backend.nowMs,
    uniqueName: () => "name",
    background: (work: Promise<unknown>) => void work.catch(() => undefined),
    wait: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  };
  const purgeRefusal = (): Problem => new Problem("forbidden", "Nobody may.");
  const door = new Door({ backend, secret: testHash, origin, metrics, purgeRefusal, host });
  const { server } = makeHttpServer({
    handler: () => new Response(null, { status: 404 }),
    raw: doorListener(door, metrics, { scheme: "http", bodyIdleMsMax, atWorkCountMax }),
    internal: { recognises: () => false, accept: () => false },
    // What bounds a whole request elsewhere: looked at once a second.
    limits: { headersMsMax: 50, requestMsMax: 50 },
  });
  return listen(server);
}

/** @returns its port, and all that its last request brought */
async function startOrigin(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const took = { byteCount: 0, isAborted: false };
  const server = createServer((request, response) => {
    request.on("error", () => {
      took.isAborted = true;
    });
    answer(request, response);
  });
  return { port: await listen(server), took };
}

const HEAD =
  "POST /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("an upload through the door", () => {
  it("takes as long as it takes while bytes come, whatever an origin may take to say something", async () => {
    const origin = await startOrigin((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      request.on("end", () => response.end(`took ${text.length}`));
    });
    const port = await startDoor(origin.port, { originTimeoutMs: 500 });
    const { socket, closed } = talk(port, HEAD);
    for (let i = 0; i < 4; i++) {
      await pause(600);
      socket.write("1\r\nx\r\n");
    }
    socket.write("0\r\n\r\n");
    const received = await closed;
    expect(statusesIn(received)).toEqual([200]);
    expect(received).toContain("took 4");
  });

  it("begins when the client that waits to send it is told to go on", async () => {
    const origin = await startOrigin((request, response) => request.pipe(response));
    const port = await startDoor(origin.port, {});
    const head = HEAD.replace("Connection: close", "Expect: 100-continue");
    const { socket, received } = talk(port, head);
    await expect.poll(received).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("4\r\nbody\r\n0\r\n\r\n");
    await expect.poll(received).toContain("body");
    expect(statusesIn(received())).toEqual([100, 200]);
    socket.destroy();
  });

  it("is answered with 408 when its client falls silent, and the origin is told that it broke off", async () => {
    const origin = await startOrigin((request) => request.resume());
    const port = await startDoor(origin.port, { bodyIdleMsMax: 100 });
    const { closed } = talk(port, `${HEAD}1\r\nx\r\n`);
    const received = await closed;
    expect(statusesIn(received)).toEqual([408]);
    expect(received).toMatch(/connection: close/i);
    expect(received).toContain('"code":"request-timeout"');
    await expect.poll(() => origin.took.isAborted).toBe(true);
  });

  it("is answered with 504 when the origin takes no more of it", async () => {
    const origin = await startOrigin((request) => request.pause());
    const port = await startDoor(origin.port, { originTimeoutMs: 300 });
    const { socket, closed } = talk(port, HEAD);
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let i = 0; i < 400; i++) socket.write(chunk);
    expect(statusesIn(await closed)).toEqual([504]);
  });

  it("to an origin that is not there is answered with 502, and not cut off", async () => {
    const gone = createServer();
    const dead = await listen(gone);
    gone.close();
    const port = await startDoor(dead, {});
    const { socket, received, closed } = talk(port, `${HEAD}1\r\nx\r\n`);
    await expect.poll(() => statusesIn(received())).toEqual([502]);
    socket.write("1\r\nx\r\n0\r\n\r\n");
    await closed;
    expect(received()).toContain('"code":"origin-unreachable"');
  });
});

describe("an answer that is none", () => {
  const heads: readonly (readonly [what: string, head: string, version?: string])[] = [
    ["an upgrade", "101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade"],
    ["an upgrade to nothing", "101 Switching Protocols"],
    ["a status below all of them", "099 Odd\r\nContent-Length: 0"],
    ["a status of nothing", "000 Odd\r\nContent-Length: 0"],
    ["a coding that nobody asked for", "200 OK\r\nTransfer-Encoding: gzip, chunked"],
    ["chunks of HTTP/1.0", "200 OK\r\nTransfer-Encoding: chunked", "1.0"],
  ];

  it.each(heads)("costs its own request alone: %s", async (_, head, version = "1.1") => {
    const raw = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (bytes) => {
        const isFirst = String(bytes).startsWith("GET /first");
        const begin = isFirst ? `${version} ${head}` : "1.1 200 OK\r\nContent-Length: 2";
        socket.end(`HTTP/${begin}\r\n\r\nok`);
      });
    });
    const port = await startDoor(await listen(raw), { originTimeoutMs: 2000 });
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    const answer = await get("/first");
    expect(await answer.json()).toMatchObject({ status: 502, code: "origin-invalid" });
    expect(answer.status).toBe(502);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("cache-status")).toContain("detail=origin-invalid");
    expect(await (await get("/second")).text()).toBe("ok");
  });
});

describe("what an origin says", () => {
  /** @returns what a client gets of these bytes, byte by byte */
  async function answered(request: string, answer: string): Promise<string> {
    const raw = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(answer, "latin1"));
    });
    const port = await startDoor(await listen(raw), {});
    const { closed } = talk(port, `${request}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return await closed;
  }

  const named = "X-Name: caf\xe9\r\nLocation: /caf\xc3\xa9\r\n";
  const framings = [
    "Content-Length: 2\r\n\r\nok",
    "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ];

  it.each(framings)("in fields comes as it was sent, byte for byte: %j", async (rest) => {
    const received = await answered("GET / HTTP/1.1", `HTTP/1.1 200 OK\r\n${named}${rest}`);
    expect(received).toContain(named);
    expect(received).toContain("ok");
  });

  it("of a length where there is none is not passed on", async () => {
    const received = await answered(
      "GET / HTTP/1.1",
      "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
    );
    expect(statusesIn(received)).toEqual([204]);
    expect(received).not.toMatch(/content-length/i);
  });

  const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n";
  const final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  it("early is passed on without what is the door's own, or of this hop", async () => {
    const own =
      "X-Hint: 1\r\nStarling-Hint: 1\r\nCache-Tag: a\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n";
    const received = await answered("GET / HTTP/1.1", `${hint}${own}\r\n${final}`);
    const [head = ""] = received.split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 103 .*\r\nLink: <\/a\.css>; rel=preload\r\nx-hint: 1$/);
    expect(statusesIn(received)).toEqual([103, 200]);
  });

  it("early begins an answer that is then the door's own, and the next request has its turn", async () => {
    const faulty = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(`${hint}\r\n`));
    });
    const port = await startDoor(await listen(faulty), {});
    const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const { socket, received, closed } = talk(port, request);
    await expect.poll(() => statusesIn(received())).toEqual([103, 502]);
    socket.write(request.replace("GET", "HEAD").replace("Host", "Connection: close\r\nHost"));
    expect(statusesIn(await closed)).toEqual([103, 502, 103, 502]);
  });

  it("early is not for a client of HTTP/1.0", async () => {
    const received = await answered("GET / HTTP/1.0", `${hint}\r\n${final}`);
    expect(statusesIn(received)).toEqual([200]);
  });
});

describe("a client that leaves", () => {
  it("takes the origin's connection with it, where the answer is for nobody else", async () => {
    let openCount = 0;
    const silent = createTcpServer((socket) => {
      openCount++;
      socket.on("close", () => openCount--).on("error", () => undefined);
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\na"),
      );
    });
    const port = await startDoor(await listen(silent), { originTimeoutMs: 600_000 });
    const { socket, received } = talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(received).toMatch(/\r\na\r\n$/);
    expect(openCount).toBe(1);
    // A client that only closes its side may still want the rest.
    socket.resetAndDestroy();
    await expect.poll(() => openCount).toBe(0);
  });

  it("still has its place among those at work until its origin has answered", async () => {
    let asked = 0;
    const origin = await startOrigin((request, response) => {
      asked++;
      if (request.url === "/quick") response.end("ok");
    });
    const port = await startDoor(origin.port, { originTimeoutMs: 1000, atWorkCountMax: 2 });
    const gone = [1, 2].map((i) => talk(port, `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`));
    await expect.poll(() => asked).toBe(2);
    for (const { socket } of gone) socket.destroy();
    const status = async (): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${port}/quick`);
      await answer.text();
      return answer.status;
    };
    expect(await status()).toBe(429);
    await expect.poll(status).toBe(200);
  });
});
