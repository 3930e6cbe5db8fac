/** Servers as processes: started, watched for the processor time that they use, ended. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;

export const makeDir = (): string => mkdtempSync(join(tmpdir(), "starling-bench-"));

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

export const freePorts = (count: number): Promise<readonly number[]> =>
  Promise.all(Array.from({ length: count }, freePort));

/** Whether a program can be started by its name. */
export function isInstalled(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What it prints when it is ready; without it the caller finds out by itself. */
  readonly readyText?: string;
}

export class Server {
  readonly #child: ChildProcess;
  readonly #command: Command;
  /** Told of each piece of what it prints. */
  onSaid: ((text: string) => void) | null = null;
  #said = "";

  private constructor(command: Command) {
    this.#command = command;
    this.#child = spawn(command.program, command.args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...command.env },
    });
    const hear = (chunk: Buffer): void => {
      const text = chunk.toString();
      this.#said = (this.#said + text).slice(-10_000);
      this.onSaid?.(text);
    };
    this.#child.stdout?.on("data", hear);
    this.#child.stderr?.on("data", hear);
  }

  static async start(command: Command): Promise<Server> {
    const server = new Server(command);
    const { readyText } = command;
    if (readyText !== undefined) await server.#untilSaid(readyText);
    return server;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGCONT");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #untilSaid(text: string): Promise<void> {
    const giveUpAt = Date.now() + START_MS_MAX;
    while (!this.#said.includes(text)) {
      const { program, args } = this.#command;
      if (Date.now() > giveUpAt || this.#child.exitCode !== null) {
        throw new Error(`${program} ${args.join(" ")} did not start: ${this.#said.slice(-500)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;

/** Processor time of the processes so far, user and system, in ms; NaN where /proc is missing. */
export function cpuMs(processes: readonly { readonly pid: number }[]): number {
  let ticks = 0;
  for (const { pid } of processes) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name in parentheses may hold anything; the fields behind it count from the third.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      return Number.NaN;
    }
  }
  return ticks * TICK_MS;
}

/** The processes that this one has started and that still run; none where /proc is missing. */
export function childPids(): readonly number[] {
  try {
    const text = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BARE_NODE = fileURLToPath(new URL("../servers/bare-node.ts", import.meta.url));
const ZONES = ["a", "b", "c"];

export interface RunningCluster {
  readonly urls: readonly string[];
  readonly servers: readonly Server[];
  stop(): Promise<void>;
}

/** Options for the nodes' own node, to profile them: `BENCH_NODE_OPTIONS="--cpu-prof"`. */
const nodeOptions = (): readonly string[] =>
  (process.env["BENCH_NODE_OPTIONS"] ?? "").split(" ").filter((option) => option !== "");

export interface ClusterSetting {
  /** Of the tree whose code the nodes run; default: this one. */
  readonly root?: string | undefined;
  /** More flags for a node, by its place from 0 on. */
  readonly flagsOf?: (i: number) => readonly string[];
  /** More options for node itself. */
  readonly nodeFlags?: readonly string[];
}

/**
 * A cluster of real processes on loopback, N = 3 where there are as many nodes, with its data in a
 * folder that goes with it.
 */
export async function startCluster(
  nodeCount: number,
  { root = ROOT, flagsOf = () => [], nodeFlags = [] }: ClusterSetting = {},
): Promise<RunningCluster> {
  const dir = makeDir();
  const bin = join(root, "bin/starling.js");
  const ports = await freePorts(nodeCount);
  const members = ports.map((port, i) => ({
    id: `r${i + 1}`,
    zone: ZONES[i % ZONES.length],
    url: `http://127.0.0.1:${port}`,
  }));
  const file = join(dir, "cluster.json");
  writeFileSync(
    file,
    JSON.stringify({ name: "bench", partitions: 256, n: Math.min(3, nodeCount), members }),
  );
  const servers = await Promise.all(
    members.map(({ id }, i) =>
      Server.start({
        program: process.execPath,
        args: [
          ...nodeOptions(),
          ...nodeFlags,
          ...[bin, "node", "--cluster", file, "--id", id, "--data", join(dir, id)],
          ...flagsOf(i),
        ],
        readyText: '"event":"listening"',
      }),
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(dir, { recursive: true });
  };
  return { urls: members.map(({ url }) => url), servers, stop };
}

export async function startBareNode(): Promise<{ url: string; server: Server }> {
  const port = await freePort();
  const server = await Server.start({
    program: process.execPath,
    args: [BARE_NODE, String(port)],
    readyText: "listening",
  });
  return { url: `http://127.0.0.1:${port}`, server };
}
