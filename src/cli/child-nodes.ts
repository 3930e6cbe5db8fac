/** The nodes of `starling cluster`: processes of their own, which start and end with this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { BIN } from "../local/process/program-files.ts";
import type { Plan } from "./cluster-file.ts";
import { PARENT } from "./end-with-parent.ts";
import { CliError, warn } from "./output.ts";

/** After this a child that was asked to stop is ended. */
const STOP_MS_MAX = 10_000;

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
  start(plan: Plan, dir: string, more: (index: number) => readonly string[]): Promise<void> {
    return new Promise((done, fail) => {
      let listening = 0;
      for (const [i, { id }] of plan.members.entries()) {
        const place = ["--cluster", plan.file, "--id", id, "--data", join(dir, id)];
        const args = [BIN, "node", ...place, ...more(i)];
        const child = spawn(process.execPath, args, {
          stdio: ["ignore", "ignore", "pipe"],
          // Ctrl-C reaches the whole group; the children are told by this process alone.
          detached: true,
          env: { ...process.env, [PARENT]: String(process.pid) },
        });
        this.#children.set(id, child);
        let last = "";
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
          process.stderr.write(text);
          last = text.trim().split("\n").at(-1) ?? last;
          if (text.includes('"event":"listening"') && ++listening === plan.members.length) done();
        });
        child.on("error", (error: NodeJS.ErrnoException) => {
          // Nothing has begun, and nothing will end.
          if (child.pid === undefined) this.#children.delete(id);
          fail(new CliError(`node ${id} did not start: ${cannotRun(error)}`));
        });
        child.on("exit", (code, signal) => {
          this.#children.delete(id);
          if (this.#isStopping) return;
          warn(`starling: node ${id} ended (${signal ?? `status ${code}`})`);
          if (listening < plan.members.length)
            fail(new CliError(`node ${id} did not start: ${last.replace(/^starling: /, "")}`));
          if (this.#children.size === 0) this.#allEnded.resolve("all ended");
        });
      }
    });
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
