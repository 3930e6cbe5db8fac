/** Pipelines over TLS, on the quick lane, beside it, and where Node gives them up. */
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HttpServer, makeHttpServer } from "../../src/local/http/http-server.ts";
import { NodeTls } from "../../src/local/identity/tls.ts";
import { TestCertificates } from "../support/certificates.ts";
import { statusesIn } from "./listener.ts";

const made = new TestCertificates();
let tls: NodeTls;
beforeAll(async () => {
  const files = await (await made.authority("own")).issue("node");
  tls = await NodeTls.read(files, "https://127.0.0.1:1");
});
afterAll(() => made.close());
const running: HttpServer[] = [];
afterEach(() => {
  for (const { server } of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** What a client has got that begins to read when it has sent all, and when it was closed. */
async function receivedOf(requests: readonly string[], answerBytes: number): Promise<string> {
  const answer = { status: 200, headers: {}, body: new Uint8Array(answerBytes).fill(97) };
  const http = makeHttpServer({
    handler: () => new Response(null, { status: 404 }),
    answerKey: () => Promise.resolve(answer),
    internal: { recognises: () => false, accept: () => false },
    tls,
  });
  running.push(http);
  await new Promise<void>((resolve) => http.server.listen(0, "127.0.0.1", resolve));
  const { port } = http.server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  socket.setNoDelay(true).pause();
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => undefined);
  for (const text of requests) {
    await new Promise((resolve) => socket.write(text, resolve));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk.replaceAll(/a{9,}/g, "a");
  });
  socket.resume();
  await closed;
  return received;
}

const get = (more = ""): string => `GET /k HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const LAST = "Connection: close\r\n";

describe("pipelined requests over TLS", () => {
  it("are answered one after the other", async () => {
    const requests = [get(), get() + get(), get("TE: trailers\r\n"), get(LAST)];
    expect(statusesIn(await receivedOf(requests, 100))).toEqual([200, 200, 200, 200, 200]);
  });

  it("are answered, or not answered, and never told to be malformed", async () => {
    const requests = [...Array.from({ length: 19 }, () => get("TE: trailers\r\n")), get(LAST)];
    const statuses = statusesIn(await receivedOf(requests, 2_000_000));
    expect(statuses.length).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});
