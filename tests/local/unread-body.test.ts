/** Requests that are answered without their bodies, and what comes behind them. */
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  type FetchHandler,
  type HttpLimits,
  type HttpServer,
  makeHttpServer,
} from "../../src/local/http/http-server.ts";

const MIB = 1024 * 1024;
const BODY = Buffer.alloc(3 * MIB, "x");
const NEXT = "PUT /next HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nok";

let running: HttpServer | null = null;
afterEach(() => {
  running?.server.close();
  running?.server.closeAllConnections();
  running = null;
});

/** Looks whether there is a body, as the routes do, and refuses the request for its head. */
const refuses: FetchHandler = async (request) => {
  if (new URL(request.url).pathname === "/next") return new Response(await request.text());
  return new Response("no", { status: request.body === null ? 500 : 400 });
};

async function begin(limits: Partial<HttpLimits> = {}): Promise<Socket> {
  const internal = { recognises: () => false, accept: () => false };
  running = makeHttpServer({ handler: refuses, internal, limits });
  running.server.listen(0, "127.0.0.1");
  await once(running.server, "listening");
  return connect((running.server.address() as AddressInfo).port, "127.0.0.1");
}

function heard(socket: Socket): () => readonly number[] {
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {});
  return () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
}

const put = (framing: string): string => `PUT /a HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n`;
const announced = put(`Content-Length: ${BODY.length}`);
const chunked = put("Transfer-Encoding: chunked");

describe("a request that is answered without its long body", () => {
  it.each([
    ["announced", announced, [BODY]],
    ["in chunks", chunked, [`${BODY.length.toString(16)}\r\n`, BODY, "\r\n0\r\n\r\n"]],
  ] as const)("lets the next one through: %s", async (_, head, body) => {
    const socket = await begin();
    const statuses = heard(socket);
    for (const part of [head, ...body, NEXT]) socket.write(part);
    await expect.poll(statuses).toEqual([400, 200]);
    socket.write(NEXT);
    await expect.poll(statuses).toEqual([400, 200, 200]);
    socket.destroy();
  });

  it("lets it through when the rest of the body takes its time", async () => {
    const socket = await begin();
    const statuses = heard(socket);
    socket.write(announced);
    socket.write(BODY.subarray(MIB));
    await expect.poll(statuses).toEqual([400]);
    // The adapter beside it would have given up after half a second.
    await new Promise((resolve) => setTimeout(resolve, 700));
    socket.write(BODY.subarray(0, MIB));
    socket.write(NEXT);
    await expect.poll(statuses).toEqual([400, 200]);
    socket.destroy();
  });

  it("ends its connection when the rest does not come", async () => {
    const socket = await begin({ headersMsMax: 200, requestMsMax: 400 });
    const statuses = heard(socket);
    const closed = once(socket, "close");
    socket.write(announced);
    socket.write(BODY.subarray(MIB));
    await closed;
    expect(statuses()).toEqual([400]);
  });
});
