/** Connections that are refused: they end, whatever the other side does. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { makeHttpServer } from "../../src/local/http/http-server.ts";
import { sayLast } from "../../src/local/process/last-words.ts";

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function listen(server: Server) {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const connectionCount = promisify(server.getConnections.bind(server));
  return { port, count: () => connectionCount() };
}

/** A client that keeps its own side open, whatever it is told. */
function stubborn(port: number): { socket: Socket; received(): string } {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  ends.push(() => socket.destroy());
  let received = "";
  socket.on("error", () => undefined);
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  return { socket, received: () => received };
}

describe("a client that is refused", () => {
  const internal = { recognises: () => false, accept: () => false };
  const refused = [
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501"],
    ["what is no HTTP", "no such thing\r\n\r\n", "400"],
    ["another version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"],
  ] as const;

  it.each(refused)("holds no connection when it has gone: %s", async (_, text, status) => {
    const { server } = makeHttpServer({ handler: () => new Response("ok"), internal });
    const { port, count } = await listen(server);
    const { socket, received } = stubborn(port);
    socket.write(text);
    await expect.poll(received).toContain(`HTTP/1.1 ${status} `);
    socket.write("and more, which nobody asked for");
    await promisify(setImmediate)();
    socket.destroy();
    await expect.poll(count).toBe(0);
  });
});

describe("a last answer", () => {
  it("is read whole by a side that goes on sending, which is cut off then", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.once("data", () => {
        socket.removeAllListeners("data").pause();
        sayLast(socket, "x".repeat(10_000), 300);
      });
    });
    const { port, count } = await listen(server);
    const { socket, received } = stubborn(port);
    socket.write("hello");
    const more = setInterval(() => socket.write("and more"), 5);
    ends.push(() => clearInterval(more));
    await expect.poll(() => received().length).toBe(10_000);
    await expect.poll(count).toBe(0);
  });

  it("to nobody is none", async () => {
    const server = createServer((socket) => {
      socket.destroy();
      sayLast(socket, "too late");
    });
    const { port, count } = await listen(server);
    const { socket, received } = stubborn(port);
    await new Promise((resolve) => socket.on("close", resolve).on("end", resolve));
    expect(received()).toBe("");
    await expect.poll(count).toBe(0);
  });
});
