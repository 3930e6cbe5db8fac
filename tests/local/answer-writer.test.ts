import { createServer, get, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { AnswerWriter } from "../../src/local/http/plain-exchange.ts";

const answer = (headers: Record<string, string>) => ({ status: 200, headers, body: null });

/** Responses to requests that came in together, on a connection each. */
async function responses(count: number, use: (all: ServerResponse[]) => void): Promise<unknown[]> {
  const all: ServerResponse[] = [];
  const server = createServer((_, response) => {
    if (all.push(response) === count) use(all);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const statuses = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve) => {
          const request = get({ port, host: "127.0.0.1", agent: false }, (incoming) => {
            incoming.resume();
            resolve(incoming.statusCode);
          });
          request.on("error", () => resolve("broken off"));
        }),
    ),
  );
  server.close();
  return statuses;
}

describe("an answer writer", () => {
  it("writes the answers of one turn together, at its end", async () => {
    const writer = new AnswerWriter();
    const statuses = await responses(3, (all) => {
      for (const response of all) writer.write(response, answer({}));
      expect(all.map(({ headersSent }) => headersSent)).toEqual([false, false, false]);
      setImmediate(() => {
        expect(all.map(({ headersSent }) => headersSent)).toEqual([true, true, true]);
      });
    });
    expect(statuses).toEqual([200, 200, 200]);
  });

  it("gives a long answer to its connection in slices, a turn of the event loop for each", async () => {
    const writer = new AnswerWriter();
    const body = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const server = createServer((_, response) => {
      writer.write(response, { ...answer({ "Content-Length": "3000000" }), body });
    });
    const given: number[][] = [[]];
    let isOver = false;
    const countTurns = (): void => {
      given.push([]);
      if (!isOver) setImmediate(countTurns);
    };
    server.prependListener("request", (_, response) => {
      for (const name of ["write", "end"] as const) {
        const give = response[name].bind(response) as (bytes: Uint8Array) => boolean;
        Object.assign(response, {
          [name]: (bytes: Uint8Array) => {
            given.at(-1)?.push(bytes.length);
            return give(bytes);
          },
        });
      }
      countTurns();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const received = new Uint8Array(await (await fetch(`http://127.0.0.1:${port}`)).arrayBuffer());
    isOver = true;
    server.closeAllConnections();
    server.close();
    expect(Buffer.compare(received, body)).toBe(0);
    expect(given.flat().reduce((a, b) => a + b, 0)).toBe(body.length);
    expect(Math.max(...given.map((turn) => turn.reduce((a, b) => a + b, 0)))).toBe(1024 * 1024);
  });

  it("keeps no slice for a reader that is gone, and answers the others", async () => {
    const writer = new AnswerWriter();
    const body = new Uint8Array(64_000_000);
    const closed = Promise.withResolvers<void>();
    const server = createServer((request, response) => {
      if (request.url === "/small") return writer.write(response, answer({}));
      response.once("close", closed.resolve);
      writer.write(response, { ...answer({ "Content-Length": String(body.length) }), body });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const slow = get({ port, host: "127.0.0.1", agent: false });
    await new Promise((resolve) => slow.once("response", resolve));
    expect((await fetch(`http://127.0.0.1:${port}/small`)).status).toBe(200);
    slow.destroy();
    await closed.promise;
    server.closeAllConnections();
    server.close();
  });

  it("lets a connection that is gone, or a header that cannot be sent, cost itself alone", async () => {
    const writer = new AnswerWriter();
    const statuses = await responses(3, (all) => {
      const [gone, odd, good] = all as [ServerResponse, ServerResponse, ServerResponse];
      writer.write(gone, answer({}));
      gone.destroy();
      writer.write(odd, answer({ "X-Odd": "a\nb" }));
      writer.write(good, answer({}));
    });
    expect(statuses.map(String).sort()).toEqual(["200", "500", "broken off"]);
  });
});
