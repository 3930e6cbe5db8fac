// What a user's compiler sees of every entry point of the package, without skipLibCheck.
import { Hono } from "hono";
import { type NodeOptions, type RunningNode, startNode } from "starling-cache";
import { StarlingClient } from "starling-cache/client";
import { TestCluster } from "starling-cache/testing";

const options: NodeOptions = {
  clusterFile: "cluster.json",
  id: "r1",
  dataDir: "data",
  log: (event) => console.log(event),
};

export async function run(): Promise<void> {
  const node: RunningNode = await startNode(options);
  const mine = new Hono().route("/cache", node.app);
  const client = new StarlingClient({ url: node.url, namespace: "ns" });
  const got = await client.get("key");
  if (got.exists) console.log(await got.text());
  const cluster = await TestCluster.start({ nodes: 3 });
  const answer: Response = await cluster.fetch("/v1/kv/ns/key");
  console.log(mine.routes.length, answer.status);
  // @ts-expect-error a misspelt option is refused
  await client.put("key", "value", { tll: 5 });
}
