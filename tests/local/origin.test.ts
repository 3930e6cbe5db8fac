/** How Node's own client takes origins that answer oddly, and what is left of them afterwards. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { NodeOrigin } from "../../src/local/cache/origin.ts";
import { MemoryBackend } from "../frontend/memory-backend.ts";
import { testRing } from "../frontend/support.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** An origin that answers each request with bytes as they are. */
async function startRaw(answer: (socket: Socket, request: string) => void) {
  const sockets = new Set<Socket>();
  let connectionCount = 0;
  const server: Server = createServer((socket) => {
    connectionCount++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    socket.on("data", (bytes) => answer(socket, String(bytes)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { port, openCount: () => sockets.size, connectionCount: () => connectionCount };
}

async function clientOf(port: number) {
  const origin = new NodeOrigin({ ownPorts: () => [], members: () => [] });
  ends.push(() => origin.close());
  const backend = new MemoryBackend(await testRing());
  const asText = { origin: `http://127.0.0.1:${port}`, originTimeoutMs: 2000 };
  backend.namespaces.set("_site.a", siteSettings(asText, backend.view()));
  const site = backend.view().sites.get("a")?.settings;
  if (site === undefined) throw new Error("there is a site");
  const request = { site, target: "/", host: "a", fields: [], body: null, bodyLength: null };
  return (method: string, onInterim?: (status: number) => void) =>
    origin.fetch({ ...request, method, ...(onInterim === undefined ? {} : { onInterim }) });
}

describe("an answer whose body nobody wants", () => {
  const whole = [
    ["a 304", "GET", "304 Not Modified\r\nETag: W/1\r\n\r\n"],
    ["one to HEAD", "HEAD", "200 OK\r\nContent-Length: 7\r\n\r\n"],
    ["a short failure", "GET", "503 Away\r\nContent-Length: 3\r\n\r\nabc"],
  ] as const;

  it.each(whole)("leaves its connection to the next request: %s", async (_, method, answer) => {
    const raw = await startRaw((socket) => socket.write(`HTTP/1.1 ${answer}`));
    const ask = await clientOf(raw.port);
    for (let i = 0; i < 5; i++) {
      const { body } = await ask(method);
      await body[Symbol.asyncIterator]().return?.();
      // The connection is free a moment later.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(raw.connectionCount()).toBe(1);
  });

  it("ends its connection when there is more to come", async () => {
    const raw = await startRaw((socket) => {
      socket.write("HTTP/1.1 500 Broken\r\nContent-Length: 1000\r\n\r\nabc");
    });
    const ask = await clientOf(raw.port);
    const { body } = await ask("GET");
    expect(raw.openCount()).toBe(1);
    await body[Symbol.asyncIterator]().return?.();
    await expect.poll(raw.openCount).toBe(0);
  });
});

describe("interim answers", () => {
  it("are passed on, but not without end", async () => {
    const raw = await startRaw((socket) => {
      const more = (): void => {
        if (socket.writable && socket.write("HTTP/1.1 102 Processing\r\n\r\n")) setImmediate(more);
        else socket.once("drain", more);
      };
      more();
    });
    const ask = await clientOf(raw.port);
    let count = 0;
    const asked = ask("GET", () => count++);
    await expect(asked).rejects.toMatchObject({ code: "origin-invalid" });
    expect(count).toBeGreaterThan(1000);
    await expect.poll(raw.openCount).toBe(0);
  });
});
