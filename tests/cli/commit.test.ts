/** What `starling commit` asks, of a frontend whose answers are written down here. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { run } from "./run.ts";

type Answer = readonly [status: number, body: object];

/** @param answers by route, in turn; the last one stays */
async function standIn(answers: Readonly<Record<string, readonly Answer[]>>) {
  const bodies: unknown[] = [];
  const counts = new Map<string, number>();
  const take = async (asked: IncomingMessage): Promise<Answer> => {
    const route = (asked.url ?? "").replace("/v1/cluster/", "");
    const body = await text(asked);
    if (body !== "") bodies.push(JSON.parse(body));
    const count = counts.get(route) ?? 0;
    counts.set(route, count + 1);
    const all = answers[route] ?? [];
    return all[Math.min(count, all.length - 1)] ?? [404, {}];
  };
  const server = createServer((asked, response) => {
    void take(asked).then(([status, body]) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { at: ["--url", `http://127.0.0.1:${port}`], bodies };
}

const atRest = (ringVersion: number): Answer => [
  200,
  { ringVersion, phase: null, pending: 0, transfers: [], namespaces: [] },
];
const plan = { from: 7, to: 8, moves: [], movedPartitions: 0, minimumPossible: 0 };
const ringOf = (version: number, ids: readonly string[]): Answer => [
  200,
  { version, partitions: 8, members: ids.map((id) => ({ id, zone: "a", weight: 1 })) },
];

it("says which version of the ring it is for", async () => {
  const { at, bodies } = await standIn({ transfers: [atRest(7)], commit: [[202, plan]] });
  expect((await run(["commit", "--remove", "r2", ...at])).code).toBe(0);
  expect((await run(["commit", "--abort", ...at])).code).toBe(0);
  expect((await run(["commit", "--abort", "--from", "5", ...at])).code).toBe(0);
  expect(bodies).toEqual([
    { add: [], remove: ["r2"], reweight: {}, from: 7 },
    { abort: true, from: 7 },
    { abort: true, from: 5 },
  ]);
  expect((await run(["commit", "--abort", "--from", "new", ...at])).code).toBe(2);
});

it("waits on while too few members can say how far it is, or know the ring", async () => {
  const unknown: Answer = [503, { code: "quorum-unavailable", detail: "Too few.", status: 503 }];
  const { at } = await standIn({
    transfers: [atRest(7), ...Array.from({ length: 4 }, () => unknown), atRest(8)],
    commit: [[202, plan]],
    ring: [ringOf(7, ["r1", "r2"]), ringOf(8, ["r1"])],
  });
  const { code, err } = await run(["commit", "--remove", "r2", "--wait", ...at]);
  expect([code, err]).toEqual([0, ""]);
});
