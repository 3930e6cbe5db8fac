import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { openLog } from "../../src/local/log/file-log.ts";
import { textOf } from "../support/record-text.ts";

const hasher = await xxhash();
const dir = mkdtempSync(join(tmpdir(), "starling-kill-"));
afterAll(() => rmSync(dir, { recursive: true }));

const begin = (first: number): ChildProcess =>
  spawn(process.execPath, [join(import.meta.dirname, "log-kill-child.ts"), dir, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });

/** Lets a child write until it has acknowledged so much, kills it, and returns what it said. */
async function writeAndKill(first: number, ackCount: number): Promise<string[]> {
  const child = begin(first);
  let said = "";
  for await (const chunk of child.stdout ?? []) {
    said += String(chunk);
    if (said.split("\n").length > ackCount) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  // The last line may have been cut off by the kill.
  return said.split("\n").slice(0, -1);
}

async function numberOf(key: number): Promise<number[]> {
  const log = await openLog({ dir, hasher });
  const numbers = Array.from({ length: key }, (_, i) => {
    const text = textOf(log.store.readEntry(`demo\0${i}`));
    const [number = "-1", filling = ""] = text.split(" ");
    expect(filling).toBe("x".repeat(Number(number) % 200));
    return Number(number);
  });
  expect(log.store.recovery.corruptCount).toBe(0);
  await log.close();
  return numbers;
}

describe("kill -9", () => {
  it("loses nothing that was acknowledged, and leaves no lock behind, ten times over", async () => {
    let first = 0;
    for (let round = 0; round < 10; round++) {
      const said = await writeAndKill(first, 300 + 170 * round);
      const acked = new Map<number, number>();
      for (const line of said.filter((line) => !line.startsWith("ready"))) {
        const [key = 0, number = 0] = line.split(" ").map(Number);
        acked.set(key, number);
      }
      expect(acked.size).toBe(8);
      for (const [key, number] of (await numberOf(8)).entries()) {
        expect(number).toBeGreaterThanOrEqual(acked.get(key) ?? 0);
        first = Math.max(first, number + 1);
      }
    }
    // Compaction ran while it was being killed: what is left is far less than what was written.
    expect(readdirSync(dir).filter((file) => file.endsWith(".wal")).length).toBeLessThan(40);
  });

  it("keeps a second process out for as long as the first lives", async () => {
    const child = begin(1_000_000);
    await once(child.stdout ?? child, "data");
    await expect(openLog({ dir, hasher })).rejects.toThrow(/in use by another process: stop /);
    child.kill("SIGKILL");
    await once(child, "exit");
    const log = await openLog({ dir, hasher });
    await log.close();
  });
});
