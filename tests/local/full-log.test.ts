/** A node whose log lines cannot be written, because the disk they go to is full. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BIN } from "../cli/run.ts";
import { freePorts } from "../support/cluster.ts";

it.runIf(existsSync("/dev/full"))("serves on where what it logs cannot be written", async () => {
  const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const file = join(dir, "cluster.json");
  const members = [{ id: "r1", zone: "a", url }];
  writeFileSync(file, JSON.stringify({ name: "full", partitions: 16, n: 1, members }));
  const full = openSync("/dev/full", "w");
  const args = [BIN, "node", "--cluster", file, "--id", "r1", "--data", join(dir, "r1")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", full] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  closeSync(full);
  try {
    const put = async (): Promise<number> => {
      const answer = await fetch(`${url}/v1/kv/full/key`, { method: "PUT", body: "value" });
      return answer.status;
    };
    await expect.poll(() => put().catch(() => child.exitCode)).toBe(204);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  } finally {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  }
});
