/** How processes of ours end when nobody ends them in order. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { lockFolder } from "../../src/local/log/lock.ts";
import { TestCertificates } from "../support/certificates.ts";
import { freePorts } from "../support/cluster.ts";

const BIN = fileURLToPath(new URL("../../bin/starling.js", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(args: readonly string[]): { child: ChildProcess; said: () => string } {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (more: string) => (text += more));
  }
  return { child, said: () => text };
}

/** The arguments that start that many nodes on free ports, in a folder of that name. */
async function clusterArgs(name: string, count: number): Promise<readonly string[]> {
  // The first node listens one above the base.
  const [port = 0] = await freePorts(count + 1);
  const place = ["--base-port", `${port}`, "--data", join(dir, name)];
  return ["cluster", "--nodes", `${count}`, ...place];
}

const childrenOf = (pid: number): number[] =>
  execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child = 0]) => child);

describe("starling cluster with certificates of one's own", () => {
  it("says how to try it with curl, which cannot know the authority", async () => {
    const certificates = new TestCertificates();
    const ours = await certificates.authority("ours");
    const { certFile, keyFile, caFile } = await ours.issue("127.0.0.1");
    const tlsArgs = ["--tls-cert", certFile, "--tls-key", keyFile, "--tls-ca", caFile];
    const { child, said } = start([...(await clusterArgs("tls", 1)), ...tlsArgs]);
    await expect.poll(said, { timeout: 20_000 }).toContain("or open https://");
    const line = /^ {2}curl (.*) -i (https:\S*hello)$/m.exec(said());
    const shown = execFileSync("curl", ["-s", ...(line?.[1] ?? "").split(" "), `${line?.[2]}`]);
    expect(shown.toString()).toContain("not-found");
    child.kill("SIGTERM");
    await once(child, "exit");
    certificates.close();
  });
});

describe("starling cluster, killed", () => {
  it("leaves no node behind: they stop in order, and let go of their folders", async () => {
    const args = await clusterArgs("c", 2);
    const first = start(args);
    await expect.poll(first.said, { timeout: 20_000 }).toContain("Try it");
    const nodes = childrenOf(first.child.pid ?? 0);
    expect(nodes).toHaveLength(2);
    first.child.kill("SIGKILL");
    await once(first.child, "exit");
    const second = (): ReturnType<typeof start> => start(args);
    // They keep the ports and the folders until they are gone.
    const isFree = async (): Promise<boolean> => {
      const { child, said } = second();
      const ended = once(child, "exit").then(() => false);
      const up = expect.poll(said, { timeout: 20_000 }).toContain("Try it");
      return Promise.race([ended, up.then(() => true)]);
    };
    await expect.poll(isFree, { timeout: 30_000 }).toBe(true);
    const again = children.at(-1);
    again?.kill("SIGTERM");
    if (again !== undefined) expect(await once(again, "exit")).toEqual([0, null]);
  }, 60_000);
});

describe("starling cluster that is told to stop while it starts", () => {
  it("ends in order, and names no address at which nobody answers", async () => {
    const { child, said } = start(await clusterArgs("early", 2));
    await expect.poll(() => existsSync(join(dir, "early", "cluster.json"))).toBe(true);
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said()).not.toMatch(/^r1 |Try it|^starling:/m);
  });
});

describe("starling cluster of which a node cannot start", () => {
  /** What it says for people, beside the nodes' logs. */
  const linesOf = (text: string): readonly string[] =>
    text.split("\n").filter((line) => line !== "" && !line.startsWith("{"));

  it("ends with one line for a port that is taken, and leaves no folder", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const place = ["--base-port", `${port - 2}`, "--data", join(dir, "taken")];
    const { child, said } = start(["cluster", "--nodes", "2", ...place]);
    expect(await once(child, "close")).toEqual([1, null]);
    taken.close();
    const line = `starling: port ${port} is taken; choose another with --base-port`;
    expect(linesOf(said())).toEqual([line]);
    expect(existsSync(join(dir, "taken"))).toBe(false);
  });

  it("ends with one line for a folder that is in use", async () => {
    const args = await clusterArgs("used", 1);
    mkdirSync(join(dir, "used", "r1"), { recursive: true });
    const lock = lockFolder(join(dir, "used", "r1"));
    const { child, said } = start(args);
    expect(await once(child, "close")).toEqual([1, null]);
    lock.release();
    const why =
      "the data folder is in use by another process: stop that one, or use another folder";
    const folder = join(dir, "used", "r1");
    expect(linesOf(said())).toEqual([`starling: node r1 did not start: ${folder}: ${why}`]);
  });
});

describe("starling cluster that cannot start a process", () => {
  it("ends with one line that says why", async () => {
    const gone = "/nowhere/node";
    const asGone = ["--import", `data:text/javascript,process.execPath='${gone}'`];
    const args = [...asGone, BIN, ...(await clusterArgs("spawn", 2))];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    const why = `${gone} cannot be run (ENOENT): install Node again`;
    expect([stdout, stderr, status]).toEqual(["", `starling: node r1 did not start: ${why}\n`, 1]);
  });
});

describe("starling cluster by npx", () => {
  it("ends when npx is told to, which tells no more than the shell in between", async () => {
    const args = await clusterArgs("npx", 1);
    const env = { ...process.env, npm_lifecycle_event: "npx", npm_lifecycle_script: "'starling'" };
    // `exec` would make the shell the program itself.
    const line = ["-c", '"$@"; exit', "sh", process.execPath, BIN, ...args];
    const shell = spawn("sh", line, { env, stdio: ["ignore", "pipe", "inherit"] });
    children.push(shell);
    let said = "";
    shell.stdout.setEncoding("utf8").on("data", (more: string) => (said += more));
    await expect.poll(() => said, { timeout: 20_000 }).toContain("Try it");
    const family = childrenOf(shell.pid ?? 0).flatMap((pid) => [pid, ...childrenOf(pid)]);
    expect(family).toHaveLength(2);
    const closed = once(shell, "close").then(() => true);
    shell.kill("SIGTERM");
    // They hold the shell's output: it ends with the last of them.
    const isOver = await Promise.race([closed, setTimeout(15_000, false, { ref: false })]);
    if (!isOver) for (const pid of family) process.kill(pid, "SIGKILL");
    expect(isOver).toBe(true);
  });
});

describe("starling cluster whose nodes are all killed", () => {
  it("ends with one line that says so, and where their data is", async () => {
    const { child, said } = start(await clusterArgs("gone", 2));
    await expect.poll(said, { timeout: 20_000 }).toContain("Try it");
    for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, "SIGKILL");
    expect(await once(child, "close")).toEqual([1, null]);
    expect(said()).toContain("starling: node r2 ended (SIGKILL)\n");
    const last = said().trim().split("\n").at(-1);
    expect(last).toBe(
      `starling: no node is left: start it again, their data is in ${join(dir, "gone")}`,
    );
  });
});

describe("a node that is told to read its files again while it starts", () => {
  it("does so when it has started, and is not ended by it", async () => {
    const [port = 0] = await freePorts(1);
    const members = [{ id: "r1", url: `http://127.0.0.1:${port}` }];
    const tokens = join(dir, "tokens.json");
    const list = [{ token: "a-token-of-this-test", role: "admin" }];
    writeFileSync(tokens, JSON.stringify({ tokens: list }));
    // It waits in its start until there is something to read.
    const file = join(dir, "pipe.json");
    execFileSync("mkfifo", [file]);
    const place = ["--id", "r1", "--data", join(dir, "hup"), "--tokens-file", tokens];
    const { child, said } = start(["node", "--cluster", file, ...place]);
    const pipe = await open(file, "w");
    child.kill("SIGHUP");
    await pipe.writeFile(JSON.stringify({ name: "one", partitions: 8, n: 1, members }));
    await pipe.close();
    await expect.poll(said, { timeout: 20_000 }).toContain('"tokens-reloaded"');
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

describe("a node that is told to stop", () => {
  async function startHeld(name: string) {
    const [port = 0] = await freePorts(1);
    const members = [{ id: "r1", url: `http://127.0.0.1:${port}` }];
    const file = join(dir, `${name}.json`);
    writeFileSync(file, JSON.stringify({ name: "one", partitions: 8, n: 1, members }));
    const node = start(["node", "--cluster", file, "--id", "r1", "--data", join(dir, name)]);
    await expect.poll(node.said, { timeout: 20_000 }).toContain('"listening"');
    // A request at work, which the node would finish first.
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    let heard = "";
    socket.setEncoding("latin1").on("data", (text: string) => (heard += text));
    const head = "PUT /v1/kv/a/k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n";
    socket.write(`${head}Content-Length: 2\r\n\r\n`);
    await expect.poll(() => heard).toContain("100 Continue");
    return { ...node, socket, port };
  }

  it("takes two signals of one Ctrl-C for one: what is in flight is answered", async () => {
    const { child, said, socket } = await startHeld("twice");
    child.kill("SIGINT");
    child.kill("SIGINT");
    child.kill("SIGTERM");
    await new Promise((resolve) => setImmediate(resolve));
    socket.write("vv");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said()).toContain('"stopped"');
  });

  it("ends the streams of its feeds, whose clients go on elsewhere", async () => {
    const { child, said, socket, port } = await startHeld("feed");
    socket.destroy();
    const answer = await fetch(`http://127.0.0.1:${port}/v1/changes/a`, {
      headers: { Accept: "application/x-ndjson" },
    });
    const reader = answer.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("token");
    const end = reader?.read();
    child.kill("SIGTERM");
    expect(await end).toEqual({ done: true, value: undefined });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said()).toContain('"stopped"');
  });

  it("ends at once when it is told again later", async () => {
    const { child, said } = await startHeld("later");
    const signals = setInterval(() => child.kill("SIGINT"), 100);
    const ended = await once(child, "exit");
    clearInterval(signals);
    expect(ended).toEqual([1, null]);
    expect(said()).not.toContain('"stopped"');
  });
});
