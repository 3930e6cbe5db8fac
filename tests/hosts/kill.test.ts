import { afterAll, beforeAll, expect, it } from "vitest";
import { NodeProcesses } from "../support/processes.ts";

const ROUNDS = 10;
const WRITERS = 12;
const KEYS = 150;
/** Enough acknowledged writes for a round, however slow the machine is. */
const WRITES_PER_ROUND = 300;

let nodes: NodeProcesses;
beforeAll(async () => {
  nodes = await NodeProcesses.of(5);
});
afterAll(() => nodes.close());

/** What was acknowledged last for each key, and what else may have been stored since. */
const acknowledged = new Map<string, string>();
const attempted = new Map<string, Set<string>>();
let writeCount = 0;

async function write(): Promise<boolean> {
  const i = writeCount++;
  const key = `k${i % KEYS}`;
  const value = `v${i}`;
  const possible = attempted.get(key) ?? new Set();
  attempted.set(key, possible.add(value));
  const url = nodes.urls[i % nodes.urls.length] as string;
  try {
    const answer = await fetch(`${url}/v1/kv/kill/${key}`, { method: "PUT", body: value });
    await answer.arrayBuffer();
    if (!answer.ok) return false;
    acknowledged.set(key, value);
    return true;
  } catch {
    return false;
  }
}

async function lostKeys(): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const [i, key] of [...acknowledged.keys()].entries()) {
    const url = nodes.urls[i % nodes.urls.length] as string;
    const answer = await fetch(`${url}/v1/kv/kill/${key}`);
    const value = await answer.text();
    const isPossible = answer.status === 200 && attempted.get(key)?.has(value) === true;
    if (!isPossible) lost.push(`${key}: ${answer.status}`);
  }
  return lost;
}

/**
 * A write that was acknowledged with the help of a stand-in is with one primary and in a hint until
 * the hint is home; a read that asks the other two primaries meanwhile finds nothing.
 */
const expectNothingLost = (): Promise<void> =>
  expect.poll(lostKeys, { timeout: 20_000, interval: 200 }).toEqual([]);

it(`loses nothing acknowledged when all nodes are killed at once, ${ROUNDS} times over`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(nodes.ids.map((id) => nodes.start(id)));
    await expectNothingLost();
    let written = 0;
    let isKilled = false;
    const writers = Array.from({ length: WRITERS }, async () => {
      while (!isKilled) if (await write()) written++;
    });
    await expect
      .poll(() => written, { timeout: 30_000, interval: 5 })
      .toBeGreaterThan(WRITES_PER_ROUND);
    await Promise.all(nodes.ids.map((id) => nodes.kill(id)));
    isKilled = true;
    await Promise.all(writers);
  }
  await Promise.all(nodes.ids.map((id) => nodes.start(id)));
  expect(acknowledged.size).toBe(KEYS);
  await expectNothingLost();
}, 300_000);
