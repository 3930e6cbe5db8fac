/** The nodes of `starling cluster`: processes of their own, which start and end with this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { BIN } from "../local/process/program-files.ts";
import type { Plan } from "./cluster-file.ts";
import { PARENT } from "./end-with-parent.ts";
import { CliError, warn } from "./output.ts";

/** After this a child that was asked to stop is ended. */
const STOP_MS_MAX = 10_000;

/** The beginning of the one line that a command fails with. */
const COMPLAINT = "starling: ";

/** Why the system started no process, and what to do about it. */
function cannotRun({ code = "unknown" }: NodeJS.ErrnoException): string {
  const isGone = code === "ENOENT" || code === "EACCES";
  const mend = isGone ? "install Node again" : "end other processes, or start fewer nodes";
  return `${process.execPath} cannot be run (${code}): ${mend}`;
}

export class ChildNodes {
  readonly #children = new Map<string, ChildProcess>();
  readonly #allEnded = Promise.withResolvers<"all ended">();
  /** Resolves when the last node has ended, though nobody stopped it. */
  readonly allEnded = this.#allEnded.promise;
  #isStopping = false;

  /**
   * Resolves when all of them listen.
   *
   * @param more further flags of the node with this index
   * @throws CliError with the first that does not start, and why
   */
  async start(plan: Plan, dir: string, more: (index: number) => readonly string[]): Promise<void> {
    const starts = plan.members.map(({ id }, i) => {
      const place = ["--cluster", plan.file, "--id", id, "--data", join(dir, id)];
      return this.#startOne(id, ["node", ...place, ...more(i)]);
    });
    await Promise.all(starts);
  }

  #startOne(id: string, args: readonly string[]): Promise<void> {
    const listening = Promise.withResolvers<void>();
    const refuse = (why: string): void =>
      listening.reject(new CliError(`node ${id} did not start: ${why}`));
    const child = spawn(process.execPath, [BIN, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      // Ctrl-C reaches the whole group; the children are told by this process alone.
      detached: true,
      env: { ...process.env, [PARENT]: String(process.pid) },
    });
    this.#children.set(id, child);
    let isListening = false;
    let last = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      last = text.trim().split("\n").at(-1) ?? last;
      // This process says, once, why it does not start.
      if (isListening || !text.startsWith(COMPLAINT)) process.stderr.write(text);
      if (!text.includes('"event":"listening"')) return;
      isListening = true;
      listening.resolve();
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      // Nothing has begun, and nothing will end.
      if (child.pid === undefined) this.#children.delete(id);
      refuse(cannotRun(error));
    });
    // Only then all that it wrote is here.
    child.on("close", (code, signal) => {
      this.#children.delete(id);
      if (this.#isStopping) return;
      const how = signal ?? `status ${code}`;
      if (isListening) warn(`starling: node ${id} ended (${how})`);
      else refuse(last.startsWith(COMPLAINT) ? last.slice(COMPLAINT.length) : `it ended (${how})`);
      if (this.#children.size === 0) this.#allEnded.resolve("all ended");
    });
    return listening.promise;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const children = [...this.#children.values()];
    const ended = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of children) child.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const child of this.#children.values()) child.kill("SIGKILL");
    }, STOP_MS_MAX);
    await Promise.all(ended);
    clearTimeout(timer);
  }
}
