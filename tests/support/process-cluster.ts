/**
 * A cluster of real processes, `starling node` each, on loopback and free ports, with folders that
 * go away: for what a cluster inside one process cannot show, that is kill -9 and SIGSTOP.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PARENT } from "../../src/cli/end-with-parent.ts";
import { freePorts, untilAllAnswer } from "./cluster.ts";

/** The program that starts a node of this tree. */
export const THIS_PROGRAM = fileURLToPath(new URL("../../bin/starling.js", import.meta.url));

export interface ProcessCluster {
  readonly dir: string;
  readonly clusterFile: string;
  readonly ids: readonly string[];
  urlOf(id: string): string;
  /** Resolves when it listens. */
  start(id: string): Promise<void>;
  /**
   * Starts a node with a cluster file of its own, in which it is a member beside the others.
   *
   * @returns what to add to the ring
   */
  startNewcomer(id: string, zone: string): Promise<Member>;
  /** SIGTERM; resolves with the exit status. */
  stop(id: string): Promise<number | null>;
  /** SIGKILL; resolves when the process is gone. */
  kill(id: string): Promise<void>;
  /** SIGSTOP: it keeps its connections and says nothing. */
  pause(id: string): void;
  resume(id: string): void;
  signal(id: string, signal: NodeJS.Signals): void;
  /** The JSON lines that it wrote, of all of its lives. */
  linesOf(id: string): readonly Readonly<Record<string, unknown>>[];
  /** Kills all and removes the folder. */
  close(): Promise<void>;
}

export interface Member {
  readonly id: string;
  readonly zone: string;
  readonly url: string;
}

export interface ProcessOptions {
  readonly timing?: Readonly<Record<string, number>>;
  readonly partitions?: number;
  /** More flags for every node, like `--secret-file`. */
  readonly flags?: readonly string[];
  /** The program that a node is started with the next time; default: this tree's. */
  readonly programOf?: (id: string) => string;
}

interface Life {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

class Processes {
  /** The program and what it is called with. */
  readonly #args: (id: string) => readonly string[];
  readonly #lives = new Map<string, Life>();
  readonly #logs = new Map<string, string>();

  constructor(args: (id: string) => readonly string[]) {
    this.#args = args;
    // A run that is broken off leaves no process behind.
    process.once("exit", this.killAll);
  }

  readonly killAll = (): void => {
    for (const { child } of this.#lives.values()) child.kill("SIGKILL");
  };

  start(id: string): Promise<void> {
    const child = spawn(process.execPath, this.#args(id), {
      stdio: ["ignore", "ignore", "pipe"],
      // A run that is killed is not there to end them.
      env: { ...process.env, [PARENT]: String(process.pid) },
    });
    const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      this.#logs.set(id, (this.#logs.get(id) ?? "") + text);
      if (said.includes('"event":"listening"')) resolve();
    });
    const ended = new Promise<number | null>((done) => {
      child.once("close", (code) => {
        this.#lives.delete(id);
        reject(new Error(`${id} ended with status ${code}: ${said.trim()}`));
        done(code);
      });
    });
    this.#lives.set(id, { child, ended });
    return listening;
  }

  signal(id: string, signal: NodeJS.Signals): Promise<number | null> {
    const life = this.#lives.get(id);
    if (life === undefined) throw new Error(`${id} does not run`);
    life.child.kill(signal);
    return life.ended;
  }

  linesOf(id: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = (this.#logs.get(id) ?? "").split("\n");
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  async close(): Promise<void> {
    process.removeListener("exit", this.killAll);
    const ended = [...this.#lives.values()].map((life) => life.ended);
    this.killAll();
    await Promise.all(ended);
  }
}

export async function startProcesses(
  count: number,
  options: ProcessOptions = {},
): Promise<ProcessCluster> {
  const { timing = {}, partitions = 64, flags = [], programOf = () => THIS_PROGRAM } = options;
  const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  const members = (await freePorts(count)).map((port, i): Member => {
    const zone = ["a", "b", "c"][i % 3] ?? "";
    return { id: `r${i + 1}`, zone, url: `http://127.0.0.1:${port}` };
  });
  const clusterFile = join(dir, "cluster.json");
  const config = { name: "test", partitions, n: Math.min(3, count), members, timing };
  writeFileSync(clusterFile, JSON.stringify(config));
  const ownFiles = new Map<string, string>();
  const processes = new Processes((id) => {
    const file = ownFiles.get(id) ?? clusterFile;
    const command = [programOf(id), "node", "--cluster", file, "--id", id];
    return [...command, "--data", join(dir, id), ...flags];
  });
  const startNewcomer = async (id: string, zone: string): Promise<Member> => {
    const [port = 0] = await freePorts(1);
    const member = { id, zone, url: `http://127.0.0.1:${port}` };
    members.push(member);
    const file = join(dir, `cluster-${id}.json`);
    writeFileSync(file, JSON.stringify({ ...config, members }));
    ownFiles.set(id, file);
    await processes.start(id);
    return member;
  };
  const close = async (): Promise<void> => {
    await processes.close();
    rmSync(dir, { recursive: true, force: true });
  };
  const ids = members.map(({ id }) => id);
  try {
    await Promise.all(ids.map((id) => processes.start(id)));
    await Promise.all(members.map(({ url }) => untilAllAnswer(url)));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    dir,
    clusterFile,
    ids,
    urlOf: (id) => members.find((member) => member.id === id)?.url ?? "",
    start: (id) => processes.start(id),
    startNewcomer,
    stop: (id) => processes.signal(id, "SIGTERM"),
    kill: async (id) => void (await processes.signal(id, "SIGKILL")),
    pause: (id) => void processes.signal(id, "SIGSTOP"),
    resume: (id) => void processes.signal(id, "SIGCONT"),
    signal: (id, signal) => void processes.signal(id, signal),
    linesOf: (id) => processes.linesOf(id),
    close,
  };
}
