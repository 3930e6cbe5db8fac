import { createServer, get, type ServerResponse } from "node:http";
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
