/**
 * What a request costs the network, counted in one process: messages and bytes between a frontend
 * that stores nothing and rings of three to nine nodes, and what of a large value crosses.
 */
import type { PlainRequest } from "../../src/frontend/http/exchange.ts";
import { type BenchOptions, type Figure, median, type Suite } from "../lib/figures.ts";
import { Loopback } from "../lib/loopback.ts";

const NODE_COUNTS = [3, 5, 7, 9];
const VALUE = new Uint8Array(1024).fill(118);
const LARGE = new Uint8Array(1024 * 1024).fill(118);
const headers = { get: (name: string) => (name === "Host" ? "127.0.0.1" : null) };

interface Cost {
  readonly messages: number;
  readonly bytes: number;
}

async function ask(cluster: Loopback, key: string, value: Uint8Array | null): Promise<Cost> {
  const { messageCount, byteCount } = cluster;
  const request: PlainRequest =
    value === null
      ? { method: "GET", headers, body: null }
      : {
          method: "PUT",
          headers,
          body: { isTimed: true, gather: async () => value, discard: async () => {} },
        };
  const answer = await cluster.frontend.answerKey?.(request, `/v1/kv/bench/${key}`);
  if (answer == null || answer.status >= 300) throw new Error(`the answer is ${answer?.status}`);
  return {
    messages: cluster.messageCount - messageCount,
    bytes: cluster.byteCount - byteCount,
  };
}

/** The medians over some keys, each written twice and read once. */
async function costsOf(nodeCount: number): Promise<{ put: Cost; get: Cost }> {
  const cluster = await Loopback.start(nodeCount, "outside");
  const puts: Cost[] = [];
  const gets: Cost[] = [];
  for (let i = 0; i < 200; i++) {
    await ask(cluster, `key${i}`, VALUE);
    puts.push(await ask(cluster, `key${i}`, VALUE));
    gets.push(await ask(cluster, `key${i}`, null));
  }
  const middle = (costs: readonly Cost[]): Cost => ({
    messages: median(costs.map(({ messages }) => messages)),
    bytes: median(costs.map(({ bytes }) => bytes)),
  });
  return { put: middle(puts), get: middle(gets) };
}

async function valuesCrossing(): Promise<number> {
  const cluster = await Loopback.start(3, "outside");
  await ask(cluster, "large", LARGE);
  return (await ask(cluster, "large", null)).bytes / LARGE.length;
}

async function run({ say }: BenchOptions): Promise<readonly Figure[]> {
  const costs: Awaited<ReturnType<typeof costsOf>>[] = [];
  for (const count of NODE_COUNTS) {
    const cost = await costsOf(count);
    costs.push(cost);
    const { get, put } = cost;
    say(
      `${count} nodes: GET r=2 ${get.messages} messages, ${get.bytes} bytes; ` +
        `PUT ${put.messages} messages, ${put.bytes} bytes`,
    );
  }
  const growth = (of: (cost: (typeof costs)[number]) => number): number =>
    Math.max(...costs.map(of)) / Math.min(...costs.map(of));
  const unit = "ratio";
  const better = "lower";
  const [first] = costs;
  return [
    {
      name: "3 to 9 nodes: messages a request, most by fewest",
      ...{ unit, better, target: 1 },
      value: Math.max(
        growth(({ get }) => get.messages),
        growth(({ put }) => put.messages),
      ),
      note: `GET r=2 ${first?.get.messages}, PUT ${first?.put.messages}`,
    },
    {
      name: "3 to 9 nodes: bytes a request, most by fewest",
      ...{ unit, better, target: 1.05 },
      value: Math.max(
        growth(({ get }) => get.bytes),
        growth(({ put }) => put.bytes),
      ),
      note: `GET r=2 ${first?.get.bytes}, PUT ${first?.put.bytes} with values of 1 KiB`,
    },
    {
      name: "GET r=2 of 1 MiB: values that cross the network",
      ...{ unit, better, target: 1.05 },
      value: await valuesCrossing(),
    },
  ];
}

export const messagesSuite: Suite = {
  name: "messages",
  about: "messages and bytes a request on rings of three to nine nodes",
  run,
};
