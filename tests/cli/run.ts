/** The command line as a user has it: a process, its output and its exit status. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const BIN = fileURLToPath(new URL("../../bin/starling.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  /** One char a byte. */
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** false as with `| true`: there is no reader from the start. */
  readonly isRead?: boolean;
  /** Where it prints to, in the place of what `out` gathers. */
  readonly stdout?: number;
  /** Told to end as soon as it has printed this. */
  readonly until?: RegExp;
}

export function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input = "", env = {}, isRead = true, until, stdout = "pipe" } = options;
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ["pipe", stdout, "pipe"],
    env: { ...process.env, STARLING_URL: "", NO_COLOR: "1", ...env },
  });
  let out = "";
  let err = "";
  if (!isRead) child.stdout?.destroy();
  child.stdout?.setEncoding("latin1").on("data", (text: string) => {
    out += text;
    if (until?.test(out) === true) child.kill("SIGTERM");
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  child.stdin?.end(input);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}
