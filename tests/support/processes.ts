/** Nodes as processes of their own, which can be killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "./cluster.ts";

const BIN = fileURLToPath(new URL("../../bin/starling.js", import.meta.url));

export class NodeProcesses {
  readonly urls: readonly string[];
  readonly #dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  readonly #file: string;
  readonly #children = new Map<string, ChildProcess>();

  private constructor(ports: readonly number[]) {
    this.urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const members = this.urls.map((url, i) => ({ id: `r${i + 1}`, zone: `z${i % 3}`, url }));
    const timing = { handoffMs: 300, antiEntropyMs: 1000 };
    this.#file = join(this.#dir, "cluster.json");
    writeFileSync(
      this.#file,
      JSON.stringify({ name: "kill", partitions: 64, n: 3, members, timing }),
    );
  }

  static async of(count: number): Promise<NodeProcesses> {
    return new NodeProcesses(await freePorts(count));
  }

  get ids(): readonly string[] {
    return this.urls.map((_, i) => `r${i + 1}`);
  }

  /** Resolves when the node listens. */
  start(id: string): Promise<void> {
    const args = [BIN, "node", "--cluster", this.#file, "--id", id, "--data", join(this.#dir, id)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#children.set(id, child);
    return new Promise((resolve, reject) => {
      let log = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        log += text;
        if (log.includes('"event":"listening"')) resolve();
      });
      child.once("exit", (code) => reject(new Error(`${id} ended with ${code}: ${log}`)));
    });
  }

  /** As when what its log is piped into ends: whatever it logs from now on cannot be written. */
  stopReadingLog(id: string): void {
    this.#children.get(id)?.stderr?.destroy();
  }

  /** Ends the process at once; resolves when it is gone. */
  kill(id: string): Promise<void> {
    const child = this.#children.get(id);
    this.#children.delete(id);
    if (child === undefined || child.exitCode !== null) return Promise.resolve();
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGKILL");
    return gone;
  }

  async close(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.kill(id)));
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
