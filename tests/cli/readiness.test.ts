import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { plainFetch } from "../../src/cli/plain-fetch.ts";
import { untilReady } from "../../src/cli/readiness.ts";

/** A node that has what it owns from its `readyAfter`th answer on. */
async function startNode(id: string, readyAfter: number) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.statusCode = asked.length >= readyAfter ? 200 : 503;
    response.end(response.statusCode === 200 ? "ok" : '{"detail":"it asks the others."}');
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { id, url: `http://127.0.0.1:${port}`, asked };
}

it("waits for every node, and asks whether it has what it owns", async () => {
  const nodes = [await startNode("r1", 1), await startNode("r2", 3)];
  const late = await untilReady(nodes, { patienceMs: 60_000, fetch: plainFetch });
  expect(late).toEqual([]);
  expect(nodes.map(({ asked }) => asked.length)).toEqual([1, 3]);
  expect(nodes[0]?.asked).toEqual(["/readyz?owns"]);
});

it("names those that are not ready when the patience ends, and why", async () => {
  const nodes = [await startNode("r1", 1), await startNode("r2", Infinity)];
  const late = await untilReady(nodes, { patienceMs: 0, fetch: plainFetch });
  expect(late).toEqual(["r2 is not ready yet: it asks the others."]);
  const nobody = { id: "r3", url: "http://127.0.0.1:9" };
  const [line = ""] = await untilReady([nobody], { patienceMs: 0, fetch: plainFetch });
  expect(line).toMatch(/^r3 is not ready yet: .*ECONNREFUSED/);
});
