/**
 * The cases of the two public suites for HTTP/1.1 servers, one by one, in our own words:
 * uNetworking/h1spec (f0a5650, 28 October 2024) and dropseed/h1spec (d8f6918, 5 March 2026). Where
 * they differ from each other, or from what is right here, docs/conformance.md says which sentence
 * allows it. On loopback a foreign Host is 421, so their "example.com" is "localhost".
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Listener, listenWithApp, statusesIn, talk } from "./listener.ts";

let listener: Listener;
beforeAll(async () => {
  listener = await listenWithApp();
});
afterAll(() => listener.stop());

const HOST = "Host: localhost\r\n";
const CLOSE = "Connection: close\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}`;
const POST = `POST / HTTP/1.1\r\n${HOST}`;
const KEY = "/v1/kv/ns/echo";
const hello = "5\r\nhello\r\n0\r\n\r\n";
const chunked = "Transfer-Encoding: chunked\r\n";

/** All answers until the server ends the connection. */
async function answersTo(text: string): Promise<readonly number[]> {
  return statusesIn(await talk(listener.port, text).closed);
}

describe("uNetworking/h1spec", () => {
  it.each([
    ...["G", "GET ", "GET /hello", "GET /hello ", "GET /hello HTTP", "GET /hello HTTP/1.1"],
    ...["GET /hello HTTP/1.1\r", "GET /hello HTTP/1.1\r\n", "GET /hello HTTP/1.1\r\nHos"],
    ...["GET /hello HTTP/1.1\r\nHost:", "GET /hello HTTP/1.1\r\nHost: "],
    ...["GET /hello HTTP/1.1\r\nHost: localhost", "GET /hello HTTP/1.1\r\nHost: localhost\r"],
    ...[
      "GET /hello HTTP/1.1\r\nHost: localhost\r\n",
      "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r",
    ],
  ])("waits for the rest of %j", async (text) => {
    const { received, socket } = talk(listener.port, text);
    // A later client is answered: so this one was read, and nothing was said to it.
    await (await fetch(`${listener.url}/healthz`)).text();
    expect(received()).toBe("");
    socket.destroy();
  });

  it.each([
    ["a request without a version", "GET / \r\n\r\n", [400]],
    ["an expectation without a body", `${GET}Expect: 100-continue\r\n${CLOSE}\r\n`, [200]],
    ["a valid GET", `${GET}${CLOSE}\r\n`, [200]],
    [
      "a valid GET at the edges",
      `GET / HTTP/1.1\r\nhoSt:\tlocalhost\r\nempty:\r\n${CLOSE}\r\n`,
      [200],
    ],
    ["a field's name with brackets", `${GET}X-Invalid[]: test\r\n\r\n`, [400]],
    ["no Host", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", [400]],
    ["two Hosts", `${GET}Host: example.org\r\n\r\n`, [400]],
    [
      "a negative length beyond all numbers",
      `${GET}Content-Length: -123456789123456789123456789\r\n\r\n`,
      [400],
    ],
    ["a negative length", `${GET}Content-Length: -1234\r\n\r\n`, [400]],
    ["a length that is no number", `${GET}Content-Length: abc\r\n\r\n`, [400]],
    ["an empty field", `${GET}X-Empty-Header: \r\n${CLOSE}\r\n`, [200]],
    ["a control character in a field", `${GET}X-Bad-Control-Char: test\u0007\r\n\r\n`, [400]],
    ["a version that there is not", `GET / HTTP/9.9\r\n${HOST}\r\n`, [505]],
    ["words before the method", `Extra lineGET / HTTP/1.1\r\n${HOST}\r\n`, [400]],
    ["a line that ends wrongly", `${GET}\rSome-Header: Test\r\n\r\n`, [400]],
    ["a POST with a body", `${POST}Content-Length: 5\r\n${CLOSE}\r\nhello`, [405]],
    [
      "a length beside chunks, in any case",
      `${POST}content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n`,
      [400],
    ],
  ])("asks about %s", async (_, text, statuses) => {
    expect(await answersTo(text)).toEqual(statuses);
  });

  it("has chunks arrive as they were sent", async () => {
    const body = "c\r\nHellO world1\r\n0\r\n\r\n";
    const put = `PUT ${KEY} HTTP/1.1\r\n${HOST}${chunked}${CLOSE}\r\n${body}`;
    expect(await answersTo(put)).toEqual([201]);
    expect(await (await fetch(listener.url + KEY)).text()).toBe("HellO world1");
  });
});

describe("dropseed/h1spec", () => {
  it.each([
    ["a simple GET", `${GET}\r\n`, [200]],
    ["a POST with a body", `${POST}Content-Length: 5\r\n\r\nhello`, [405]],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, [204]],
    ["an absolute target", `GET http://localhost/ HTTP/1.1\r\n${HOST}\r\n`, [200]],
    ["CONNECT", `CONNECT example.com:443 HTTP/1.1\r\n${HOST}\r\n`, [501]],
    ["HTTP/2.0", `GET / HTTP/2.0\r\n${HOST}\r\n`, [505]],
    ["no version", `GET /\r\n${HOST}\r\n`, [400]],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", [400]],
    ["two Hosts", `${GET}Host: example.com\r\n\r\n`, [400]],
    ["a blank in Host", "GET / HTTP/1.1\r\nHost: bad host\r\n\r\n", [400]],
    ["a blank in a field's name", `${GET}Bad Header: value\r\n\r\n`, [400]],
    ["a folded line", `${GET}  continued\r\n\r\n`, [400]],
    ["a blank before the colon", "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", [400]],
    ["NUL in a field", "GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n", [400]],
    ["chunks", `${POST}${chunked}\r\n${hello}`, [405]],
    ["chunks in HTTP/1.0", `POST / HTTP/1.0\r\n${HOST}${chunked}\r\n${hello}`, [400]],
    ["an unknown coding", `${POST}Transfer-Encoding: nonsense\r\n\r\nhello`, [501]],
    ["a length that is none", `${POST}Content-Length: xyz\r\n\r\nhello`, [400]],
    ["two lengths", `${POST}Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello!!`, [400]],
  ])("asks about %s, and half-closes", async (_, text, statuses) => {
    const { socket, closed } = talk(listener.port, text);
    socket.end();
    expect(statusesIn(await closed)).toEqual(statuses);
  });

  it.each([
    ["a length beside chunks (9112, 6.1)", `${POST}${chunked}Content-Length: 5\r\n\r\n${hello}`],
    ["chunked that is not last", `${POST}Transfer-Encoding: chunked, gzip\r\n\r\n${hello}`],
    ["a chunk without a size", `${POST}${chunked}\r\nZ\r\nhello\r\n0\r\n\r\n`],
    ["a chunk without its end", `${POST}${chunked}\r\n5\r\nhello0\r\n\r\n`],
  ])("has the connection end, and nothing behind it served: %s", async (_, text) => {
    const statuses = await answersTo(`${text}${GET}${CLOSE}\r\n`);
    expect(statuses.at(-1)).toBeGreaterThanOrEqual(400);
    expect(statuses).not.toContain(200);
  });

  it("waits with 100, and answers once the body is there", async () => {
    const headers = `${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n${CLOSE}`;
    const { received, socket, closed } = talk(
      listener.port,
      `PUT ${KEY} HTTP/1.1\r\n${headers}\r\n`,
    );
    await expect.poll(() => statusesIn(received())).toEqual([100]);
    socket.write("hello");
    expect(statusesIn(await closed)).toEqual([100, 204]);
  });

  it("has nothing behind the fields of an answer to HEAD", async () => {
    const text = await talk(listener.port, `HEAD / HTTP/1.1\r\n${HOST}${CLOSE}\r\n`).closed;
    expect(text.endsWith("\r\n\r\n") && text.indexOf("\r\n\r\n") === text.length - 4).toBe(true);
  });

  it("says how long an answer to an unknown method is", async () => {
    const text = await talk(listener.port, `get / HTTP/1.1\r\n${HOST}${CLOSE}\r\n`).closed;
    const [head = "", body = ""] = text.split("\r\n\r\n");
    expect(/\r\ncontent-length: ([0-9]+)/i.exec(head)?.[1]).toBe(String(body.length));
  });

  it("keeps the connection, and ends it where that is asked or HTTP/1.0", async () => {
    const { received, socket } = talk(listener.port, `${GET}\r\n`);
    await expect.poll(() => statusesIn(received())).toEqual([200]);
    socket.write(`${GET}\r\n`);
    await expect.poll(() => statusesIn(received())).toEqual([200, 200]);
    socket.destroy();
    expect(await answersTo(`${GET}${CLOSE}\r\n`)).toEqual([200]);
    expect(await answersTo(`GET / HTTP/1.0\r\n${HOST}\r\n`)).toEqual([200]);
  });

  it.each([
    ["a target of 9,000 chars", `GET /${"a".repeat(9000)} HTTP/1.1\r\n${HOST}\r\n`],
    [
      "101 fields",
      `${GET}${Array.from({ length: 101 }, (_, i) => `X-H-${i}: v\r\n`).join("")}\r\n`,
    ],
    ["a field of 9,000 chars", `${GET}X-Big: ${"x".repeat(9000)}\r\n\r\n`],
  ])("is as alive as before behind %s", async (_, text) => {
    const { socket, closed } = talk(listener.port, text);
    socket.end();
    expect(statusesIn(await closed)).toEqual([expect.toSatisfy((status) => status < 500)]);
    expect(await answersTo(`${GET}${CLOSE}\r\n`)).toEqual([200]);
  });
});
