import { afterAll, beforeAll, expect, it } from "vitest";
import { untilAllAnswer } from "../support/cluster.ts";
import { NodeProcesses } from "../support/processes.ts";

let nodes: NodeProcesses;
beforeAll(async () => {
  nodes = await NodeProcesses.of(3);
  await Promise.all(nodes.ids.map((id) => nodes.start(id)));
  await untilAllAnswer(nodes.urls[0] as string);
});
afterAll(() => nodes.close());

async function reachable(): Promise<readonly boolean[]> {
  const answer = await fetch(`${nodes.urls[0]}/v1/cluster`);
  const { members } = (await answer.json()) as { members: readonly { reachable: boolean }[] };
  return members.map((member) => member.reachable);
}

it("a node serves on when what its log is piped into has ended", async () => {
  nodes.stopReadingLog("r1");
  // It has something to log now.
  await nodes.kill("r3");
  await expect.poll(reachable, { timeout: 20_000 }).toEqual([true, true, false]);
  const put = await fetch(`${nodes.urls[0]}/v1/kv/log/key`, { method: "PUT", body: "value" });
  expect(put.status).toBe(201);
});
