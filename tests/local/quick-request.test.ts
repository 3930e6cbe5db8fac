/** What is read at a glance is what Node's strict parser reads, and nothing that it would refuse. */
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Server } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { QuickReader } from "../../src/local/http/quick-request.ts";

const read = (text: string) => new QuickReader().read(Buffer.from(text, "latin1"));

interface Parsed {
  readonly method: string;
  readonly target: string;
  readonly raw: readonly string[];
  readonly body: string;
}

async function quickly(text: string): Promise<Parsed | null> {
  const asked = read(text);
  if (typeof asked === "string") return null;
  const { method, headers, body } = asked.request;
  const bytes = body === null ? null : await (body as { gather: Gather }).gather(1e7);
  const { raw } = headers;
  return { method, target: asked.target, raw, body: Buffer.from(bytes ?? []).toString("latin1") };
}
type Gather = (byteCountMax: number) => Promise<Uint8Array | null>;

const HEAD = "PUT /v1/kv/a/b?w=2 HTTP/1.1\r\nHost: localhost:80\r\nX-One: a b\r\n";

describe("a usual request", () => {
  it("is read with its target, its fields as they came, and its body", async () => {
    expect(await quickly(`${HEAD}content-length:\t3 \r\n\r\nü\r\n`)).toEqual({
      method: "PUT",
      target: "/v1/kv/a/b?w=2",
      raw: ["Host", "localhost:80", "X-One", "a b", "content-length", "3"],
      body: "ü\r\n",
    });
    expect(await quickly("GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n")).toEqual({
      ...{ method: "GET", target: "/", body: "" },
      raw: ["Host", "a", "Connection", "Keep-Alive"],
    });
  });

  it("is told from the one before it on its connection", () => {
    const reader = new QuickReader();
    const asked = (text: string) => reader.read(Buffer.from(text));
    const requestIn = (found: ReturnType<typeof asked>) =>
      typeof found === "string" ? undefined : found;
    const targetOf = (text: string) => requestIn(asked(text))?.target;
    const lines = "HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
    expect(targetOf(`GET /a ${lines}`)).toBe("/a");
    expect(targetOf(`DELETE /b ${lines}`)).toBe("/b");
    expect(targetOf(`GET /c ${lines.replace("Host: a", "Host: ")}`)).toBeUndefined();
    expect(targetOf(`GET /d ${lines}`)).toBe("/d");
    const field = (text: string) => requestIn(asked(text))?.request.headers.get("x");
    expect(field(`GET /e ${lines}`)).toBe("1");
    expect(field(`GET /e ${lines.replace("X: 1", "X: 2")}`)).toBe("2");
  });

  it("is waited for where only the end of a short body is missing", () => {
    expect(read(`${HEAD}Content-Length: 3\r\n\r\n`)).toBe("short");
    expect(read(`${HEAD}Content-Length: 3\r\n\r\nab`)).toBe("short");
    expect(read(`${HEAD}Content-Length: 3\r\n`)).toBe("other");
  });

  const other = (line: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`;
  it.each([
    ["not yet whole", "GET / HTTP/1.1\r\nHost: a\r\n"],
    ["followed by another", `${other("X: 1")}${other("X: 1")}`],
    ["short of a long body", `${HEAD}Content-Length: 100000\r\n\r\nab`],
    ["longer than its body", `${HEAD}Content-Length: 3\r\n\r\nabcd`],
    ["with a body without a length", `${HEAD}\r\nabc`],
    ["with two lengths", `${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ["with a length that is a list", `${HEAD}Content-Length: 1, 1\r\n\r\na`],
    ["a read with a length", other("Content-Length: 0")],
    ["with a transfer coding", other("Transfer-Encoding: chunked")],
    ["that expects something", other("Expect: 100-continue")],
    ["that asks for another protocol", other("Connection: upgrade\r\nUpgrade: x")],
    ["that ends its connection", other("Connection: close")],
    ["without a Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n"],
    ["with two Hosts", other("Host: a")],
    ["with a Host that is none", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"],
    ["with another method", other("X: 1").replace("GET", "HEAD")],
    ["with a whole URL", other("X: 1").replace(" / ", " http://a/ ")],
    ["with a target beyond ASCII", other("X: 1").replace(" / ", " /ü ")],
    ["with a field that goes on in the next line", other("X: 1\r\n 2")],
    ["with a blank before the colon", other("X : 1")],
    ["with a field without a name", other(": 1")],
    ["with bare line feeds", other("X: 1").replaceAll("\r\n", "\n")],
    ["with a value beyond ASCII", other("X: ü")],
    ["with a control character in a value", other("X: a\0b")],
    ["with a long head", other(`X: ${"x".repeat(9000)}`)],
  ])("is none: one %s", (_, text) => {
    expect(read(text)).toBe("other");
  });
});

/** Node's parser, with the options of the listener. */
let server: Server;
let port = 0;
let seen: Parsed | null = null;

beforeAll(async () => {
  const options = { insecureHTTPParser: false, requireHostHeader: false, maxHeaderSize: 16_384 };
  server = createServer(options, (incoming: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method = "", url: target = "", rawHeaders: raw } = incoming;
      seen = { method, target, raw, body: Buffer.concat(chunks).toString("latin1") };
      response.shouldKeepAlive = false;
      response.end();
    });
  });
  server.on("clientError", (_, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => server.close());

async function byNode(text: string): Promise<Parsed | null> {
  seen = null;
  await new Promise<void>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(text, "latin1"));
    socket.on("data", () => {}).on("error", () => {});
    socket.on("close", () => resolve());
  });
  return seen;
}

const PIECES = ["\r", "\n", "\r\n", " ", "\t", ":", ",", "\0", "\x7f", "é", "a", "0", "/", "?"];
const LINES = [
  ...["Content-Length: 3", "content-length:2", "Transfer-Encoding: chunked", "Host: b"],
  ...[
    "Accept: */*",
    "X-Empty:",
    "User-Agent: a (b; c) d/1",
    "Content-Length: 0",
    'If-Match: "a"',
    "Connection: keep-alive",
    "a!#$%&'*+.^_`|~-: 1",
  ],
  ...[
    "Connection: close",
    "Expect: 100-continue",
    "X: \t 1 \t",
    "Authorization: Bearer a==",
    "TE: x",
  ],
];

interface Edit {
  readonly at: number;
  readonly piece: string;
  readonly isCut: boolean;
}

const requests = fc
  .record({
    method: fc.constantFrom("GET", "PUT", "PUT", "DELETE", "HEAD"),
    target: fc.constantFrom("/", "/v1/kv/a/b%20c?r=1&w=2", "/a#b", '/<>"{}|\\^`'),
    lines: fc.subarray(LINES, { maxLength: 3 }),
    body: fc.constantFrom("", "ab", "abc"),
    edits: fc.array(
      fc.record({ at: fc.nat(200), piece: fc.constantFrom(...PIECES), isCut: fc.boolean() }),
      { maxLength: 2 },
    ),
  })
  .map(({ method, target, lines, body, edits }) => {
    const head = [`${method} ${target} HTTP/1.1`, "Host: a.b:80", ...lines].join("\r\n");
    return edits.reduce(
      (text, { at, piece, isCut }: Edit) =>
        text.slice(0, at % text.length) + piece + text.slice((at % text.length) + (isCut ? 1 : 0)),
      `${head}\r\n\r\n${body}`,
    );
  });

describe("whatever is read at a glance", () => {
  it("is the same request to Node's parser", async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(requests, async (text) => {
        const asked = await quickly(text);
        if (asked === null) return;
        count++;
        expect(await byNode(text)).toEqual(asked);
      }),
      { numRuns: 4000 },
    );
    expect(count).toBeGreaterThan(100);
  });
});
