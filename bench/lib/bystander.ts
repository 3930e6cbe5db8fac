/**
 * Another client while a node is under load: one small read after the other, in a process of its
 * own. What the load costs the process that makes it, whose threads share one heap and its
 * collector's pauses, is then not taken for the cost at the node.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { fileURLToPath } from "node:url";

export interface Bystander {
  /** The latencies of its reads, in ms, ascending. */
  stop(): Promise<readonly number[]>;
}

const PAUSE_MS = 5;
const SELF = fileURLToPath(import.meta.url);

/** Resolves when it has read once: its own start is no part of what it measures. */
export async function startBystander(url: string): Promise<Bystander> {
  const child = fork(SELF, [url]);
  await once(child, "message");
  return {
    stop: async () => {
      child.send("stop");
      const [latencies] = (await once(child, "message")) as [readonly number[]];
      child.disconnect();
      return latencies;
    },
  };
}

function read(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (answer) => {
      answer.on("end", resolve).on("error", reject).resume();
    });
    request.on("error", reject);
  });
}

async function stand(url: string, tell: (message: unknown) => void): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  await read(url, agent);
  let isOver = false;
  process.once("message", () => {
    isOver = true;
  });
  tell("ready");
  const latencies: number[] = [];
  while (!isOver) {
    const startedAt = performance.now();
    await read(url, agent);
    latencies.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  agent.destroy();
  tell(latencies.sort((a, b) => a - b));
}

const [, program, url] = process.argv;
if (program === SELF && process.send !== undefined)
  await stand(url ?? "", process.send.bind(process));
