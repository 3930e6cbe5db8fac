/**
 * HTTP/1.1 by its specifications, sentence by sentence: what the two public suites named h1spec ask
 * (uNetworking, dropseed), and what they leave out. On loopback a foreign Host is 421 (RFC 9110,
 * 15.5.20), so the suites' "example.com" is "localhost" here.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokensOf } from "../frontend/support.ts";
import { type Listener, listenWithApp, statusesIn, talk } from "./listener.ts";

let listener: Listener;
beforeAll(async () => {
  listener = await listenWithApp({ limits: { requestMsMax: 1500, headersMsMax: 1000 } });
});
afterAll(() => listener.stop());

const KEY = "/v1/kv/ns/k";
const HOST = "Host: localhost\r\n";
const CLOSE = "Connection: close\r\n";
const line = (text: string, headers = HOST): string => `${text}\r\n${headers}${CLOSE}\r\n`;

/** All that came; checks that it is a problem document of its status, unless that is a 2xx. */
async function answerTo(text: string): Promise<{ status: number; text: string }> {
  const { socket, closed } = talk(listener.port, text);
  const patience = setTimeout(() => socket.destroy(), 4000);
  const received = await closed;
  clearTimeout(patience);
  const statuses = statusesIn(received);
  expect(statuses.length, received).toBe(1);
  const [status = 0] = statuses;
  return { status, text: received };
}

function expectProblem({ status, text }: { status: number; text: string }): void {
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  expect(head).toMatch(/content-type: application\/problem\+json/i);
  expect(head).toMatch(/cache-control: no-store/i);
  const problem = JSON.parse(body) as { status: number; code: string; type: string };
  expect(problem.status).toBe(status);
  expect(problem.type).toBe(`https://starling.dev/problems/${problem.code}`);
}

const chunked = (body: string, more = ""): string =>
  `PUT ${KEY} HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n${more}${CLOSE}\r\n${body}`;

describe("a request that is well-formed", () => {
  it.each([
    ["the root", line("GET / HTTP/1.1"), 200],
    [
      "a name in another case, a tab, an empty field (9110, 5.1 and 5.5)",
      line("GET / HTTP/1.1", "hoSt:\tlocalhost\r\nempty:\r\nX-Blank: \r\n"),
      200,
    ],
    [
      "a POST with a body where nothing takes one",
      line("POST / HTTP/1.1", `${HOST}Content-Length: 5\r\n`).concat("hello"),
      405,
    ],
    ["chunks (9112, 7.1)", chunked("5\r\nhello\r\n0\r\n\r\n"), 201],
    [
      "chunks with extensions and trailers (9112, 7.1.1 and 7.1.2)",
      chunked("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
      204,
    ],
    [
      "chunked in another case (9112, 7)",
      chunked("0\r\n\r\n").replace(": chunked", ": Chunked"),
      204,
    ],
    ["an absolute target (9112, 3.2.2)", line("GET http://localhost/healthz HTTP/1.1"), 200],
    ["OPTIONS for the server as a whole (9110, 9.3.7)", line("OPTIONS * HTTP/1.1"), 204],
    ["HTTP/1.0 with a Host", "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", 200],
    ["HTTP/1.0 without one: health checks of proxies", "GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["the same of readiness", "OPTIONS /readyz HTTP/1.0\r\n\r\n", 405],
    ["the same of a key", "GET /v1/kv/ns/none HTTP/1.0\r\n\r\n", 404],
    ["empty lines before it (9112, 2.2)", `\r\n\r\n${line("GET /healthz HTTP/1.1")}`, 200],
    ["a Host with a port", line("GET /healthz HTTP/1.1", "Host: localhost:80\r\n"), 200],
    ["a Host that is an address", line("GET /healthz HTTP/1.1", "Host: [::1]:8080\r\n"), 200],
  ])("is served: %s", async (_, text, status) => {
    expect((await answerTo(text)).status).toBe(status);
  });

  it("says which methods the server takes", async () => {
    const { text } = await answerTo(line("OPTIONS * HTTP/1.1"));
    expect(text).toMatch(/\r\nallow: GET, HEAD, PUT, POST, DELETE, OPTIONS\r\n/i);
  });

  it("is for the host that its absolute target names, whatever Host says (9112, 3.2.2)", async () => {
    const foreign = await answerTo(line("GET http://example.com/healthz HTTP/1.1"));
    expect(foreign.status).toBe(421);
    const own = line("GET http://localhost/healthz HTTP/1.1", "Host: example.com\r\n");
    expect((await answerTo(own)).status).toBe(200);
  });

  it("keeps the connection in HTTP/1.1 (9112, 9.3)", async () => {
    const request = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
    const { received, socket } = talk(listener.port, request);
    await expect.poll(() => statusesIn(received())).toEqual([200]);
    socket.write(request);
    await expect.poll(() => statusesIn(received())).toEqual([200, 200]);
    socket.destroy();
  });

  it("has no content in the answer to HEAD (9110, 9.3.2)", async () => {
    for (const target of ["/healthz", "/v1/kv/ns/none", "/nowhere"]) {
      const { text } = await answerTo(line(`HEAD ${target} HTTP/1.1`));
      expect(text.endsWith("\r\n\r\n")).toBe(true);
    }
  });
});

describe("a request that breaks a rule", () => {
  it.each([
    ["no version (9112, 3)", line("GET /"), 400],
    ["no version behind a blank", "GET / \r\n\r\n", 400],
    ["HTTP/2.0 in words of HTTP/1 (9110, 15.6.6)", line("GET / HTTP/2.0"), 505],
    ["a version that there is not", line("GET / HTTP/9.9"), 505],
    ["the preface of HTTP/2 (9113, 3.4)", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["an unknown method (9110, 9.1)", line("BREW /v1/kv/ns/k HTTP/1.1"), 501],
    ["a method in small letters (9110, 9.1)", line("get / HTTP/1.1"), 501],
    ["a method that no route takes", line("PATCH /v1/kv/ns/k HTTP/1.1"), 405],
    ["CONNECT: this is no proxy (9110, 9.3.6)", line("CONNECT example.com:443 HTTP/1.1"), 501],
    ["an asterisk for anything but OPTIONS (9112, 3.2.4)", line("GET * HTTP/1.1"), 400],
    ["a target that is no path (9112, 3.2)", line("GET healthz HTTP/1.1"), 400],
    ["words before the method", line("Extra lineGET / HTTP/1.1"), 400],
    ["no Host (9112, 3.2)", line("GET / HTTP/1.1", ""), 400],
    ["two Hosts (9112, 3.2)", line("GET / HTTP/1.1", `${HOST}Host: example.org\r\n`), 400],
    ["the same Host twice", line("GET /v1/kv/ns/k HTTP/1.1", HOST + HOST), 400],
    ["two Hosts in HTTP/1.0", `GET / HTTP/1.0\r\n${HOST}${HOST}\r\n`, 400],
    ["a Host with a blank", line("GET / HTTP/1.1", "Host: bad host\r\n"), 400],
    ["a Host with a path", line("GET / HTTP/1.1", "Host: localhost/x\r\n"), 400],
    ["a Host with a user", line("GET /v1/kv/ns/k HTTP/1.1", "Host: a@localhost\r\n"), 400],
    ["a Host with a port beyond all", line("GET / HTTP/1.1", "Host: localhost:70000\r\n"), 400],
    ["a list of Hosts", line("GET /v1/kv/ns/k HTTP/1.1", "Host: localhost, localhost\r\n"), 400],
    ["an empty Host (9110, 4.2.1)", line("GET / HTTP/1.1", "Host:\r\n"), 400],
    ["NUL in a Host (9110, 5.5)", line("GET / HTTP/1.1", "Host: local\0host\r\n"), 400],
    [
      "a control character in a field (9110, 5.5)",
      line("GET / HTTP/1.1", `${HOST}X: a\u0007\r\n`),
      400,
    ],
    [
      "a blank in a field's name (9112, 5.1)",
      line("GET / HTTP/1.1", `${HOST}Bad Name: v\r\n`),
      400,
    ],
    ["brackets in a field's name (9110, 5.6.2)", line("GET / HTTP/1.1", `${HOST}X[]: v\r\n`), 400],
    ["a blank before the colon (9112, 5.1)", line("GET / HTTP/1.1", "Host : localhost\r\n"), 400],
    ["a folded line (9112, 5.2)", line("GET / HTTP/1.1", `${HOST}  more\r\n`), 400],
    ["a bare CR (9112, 2.2)", `GET / HTTP/1.1\r\n${HOST}\rX: y\r\n\r\n`, 400],
    ["a negative length (9112, 6.3)", line("GET / HTTP/1.1", `${HOST}Content-Length: -1\r\n`), 400],
    ["a length that is none", line("GET / HTTP/1.1", `${HOST}Content-Length: xyz\r\n`), 400],
    [
      "two lengths (9112, 6.3)",
      line("PUT / HTTP/1.1", `${HOST}Content-Length: 5\r\nContent-Length: 7\r\n`),
      400,
    ],
    [
      "a length and chunks (9112, 6.3)",
      chunked("5\r\nhello\r\n0\r\n\r\n", "Content-Length: 5\r\n"),
      400,
    ],
    [
      "an unknown coding (9112, 6.1)",
      line(`PUT ${KEY} HTTP/1.1`, `${HOST}Transfer-Encoding: nonsense\r\n`),
      501,
    ],
    [
      "chunked that is not the last (9112, 6.3)",
      line(`PUT ${KEY} HTTP/1.1`, `${HOST}Transfer-Encoding: chunked, gzip\r\n`),
      400,
    ],
    [
      "a coding under chunked (9112, 6.1)",
      chunked("0\r\n\r\n").replace(": chunked", ": gzip, chunked"),
      501,
    ],
    [
      "the same in two lines",
      chunked("0\r\n\r\n").replace("Transfer", "Transfer-Encoding: gzip\r\nTransfer"),
      501,
    ],
    [
      "chunks in HTTP/1.0 (9112, 6.1)",
      `PUT ${KEY} HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["a chunk without a size (9112, 7.1)", chunked("Z\r\nhello\r\n0\r\n\r\n"), 400],
    ["a chunk without its end", chunked("5\r\nhello0\r\n\r\n"), 400],
    [
      "an expectation that is none (9110, 10.1.1)",
      line("GET / HTTP/1.1", `${HOST}Expect: 200-ok\r\n`),
      417,
    ],
  ])("is refused with a problem, and stores nothing: %s", async (_, text, status) => {
    await fetch(`${listener.url}${KEY}`, { method: "PUT", body: "before" });
    const answer = await answerTo(text);
    expect(answer.status).toBe(status);
    expectProblem(answer);
    expect(await (await fetch(`${listener.url}${KEY}`)).text()).toBe("before");
  });

  it.each([
    "G",
    "GET ",
    "GET /healthz",
    "GET /healthz HTTP",
    "GET /healthz HTTP/1.1\r",
    "GET /healthz HTTP/1.1\r\nHos",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r",
  ])("is waited for while it may become one: %j", async (text) => {
    const { received, socket } = talk(listener.port, text);
    await fetch(`${listener.url}/healthz`);
    expect(received()).toBe("");
    socket.destroy();
  });
});

const waiting = (length: number, more = ""): string =>
  `PUT ${KEY} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\nExpect: 100-continue\r\n${more}\r\n`;

describe("a client that waits with its body (RFC 9110, 10.1.1)", () => {
  it("is told to go on where the body is wanted", async () => {
    const { received, socket, closed } = talk(listener.port, waiting(4, CLOSE));
    await expect.poll(received).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("body");
    expect(statusesIn(await closed)).toEqual([100, expect.toSatisfy((status) => status < 300)]);
  });

  it.each([
    ["too long a value", waiting(2000), 413],
    ["a value longer than any", waiting(20_000_000), 413],
    ["metadata that is none", waiting(4, "Starling-Metadata: {\r\n"), 400],
    ["an unknown option", waiting(4).replace(KEY, `${KEY}?color=red`), 400],
    [
      "the KV API's values",
      waiting(5000).replace(KEY, "/client/v4/accounts/a/storage/kv/namespaces/ns/values/k"),
      413,
    ],
  ])("is not told to send what its headers already refuse: %s", async (_, text, status) => {
    const { closed } = talk(listener.port, text);
    const received = await closed;
    expect(statusesIn(received)).toEqual([status]);
    // Nobody knows whether the body still comes, so nothing may follow.
    expect(received).toMatch(/\r\nconnection: close\r\n/i);
  });

  it("is not told to by a frontend that wants a token first", async () => {
    const auth = tokensOf([{ token: "a-token-of-some-length", role: "write" }]);
    const guarded = await listenWithApp({ auth });
    const { closed } = talk(guarded.port, waiting(4));
    expect(statusesIn(await closed)).toEqual([401]);
    guarded.stop();
  });
});

describe("an answer that came before its request's body", () => {
  it.each([
    ["too long a value", KEY, 2000],
    ["a value longer than any", KEY, 20_000_000],
    ["one for the KV API", "/client/v4/accounts/a/storage/kv/namespaces/ns/values/k", 20_000_000],
    ["a batch", "/v1/kv/ns:batch", 200_000_000],
  ])("does not wait for what it refuses: %s", async (_, target, length) => {
    const method = target.endsWith(":batch") ? "POST" : "PUT";
    const head = `${method} ${target} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n`;
    const { received, socket } = talk(listener.port, `${head}its beginning`);
    await expect.poll(received).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it("reaches a client that sends all of it first", async () => {
    const body = new Uint8Array(8_000_000);
    const init = { method: "PUT", body, headers: { "Content-Type": "text/plain" } };
    expect((await fetch(`${listener.url}${KEY}`, init)).status).toBe(413);
  });

  it("is not followed by a second one when the body stays away", async () => {
    const auth = tokensOf([{ token: "a-token-of-some-length", role: "write" }]);
    const guarded = await listenWithApp({ auth, limits: { requestMsMax: 300, headersMsMax: 200 } });
    for (const target of [KEY, "/v1/purge"]) {
      const head = `PUT ${target} HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\n`;
      const { closed } = talk(guarded.port, head);
      expect(statusesIn(await closed)).toHaveLength(1);
    }
    guarded.stop();
  });
});
