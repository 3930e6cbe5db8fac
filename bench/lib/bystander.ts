/**
 * Another client while a node is under load: one small read after the other, in a thread of its
 * own, so that what the load costs its own process is not taken for the cost at the node.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

export interface Bystander {
  /** The latencies of its reads so far, in ms, ascending. */
  stop(): Promise<readonly number[]>;
}

const PAUSE_MS = 5;

export function startBystander(url: string): Bystander {
  const worker = new Worker(new URL(import.meta.url), { workerData: url });
  return {
    stop: () =>
      new Promise((resolve, reject) => {
        worker.once("message", (latencies: readonly number[]) => {
          resolve(latencies);
          void worker.terminate();
        });
        worker.once("error", reject);
        worker.postMessage("stop");
      }),
  };
}

async function stand(url: string): Promise<void> {
  const latencies: number[] = [];
  let isOver = false;
  parentPort?.once("message", () => {
    isOver = true;
  });
  while (!isOver) {
    const startedAt = performance.now();
    await (await fetch(url)).arrayBuffer();
    latencies.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  parentPort?.postMessage(latencies.sort((a, b) => a - b));
}

if (!isMainThread) await stand(String(workerData));
