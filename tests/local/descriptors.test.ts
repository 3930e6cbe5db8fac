import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { descriptorLimit, shareOut } from "../../src/local/process/descriptors.ts";
import { freePorts } from "../support/cluster.ts";

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const BIN = fileOf("../../bin/starling.js");
const CHILD = fileOf("./descriptors-child.ts");
const NODE = fileOf("../../node_modules/.bin/node");

const dirs: string[] = [];
const children: ReturnType<typeof spawn>[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await gone;
  }
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  dirs.push(dir);
  return dir;
}

/** A program that may have no more descriptors than these. */
function limited(limit: number, command: readonly string[]): ReturnType<typeof spawn> {
  const script = `ulimit -n ${limit} && exec "$@"`;
  const child = spawn("sh", ["-c", script, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  return child;
}

interface Output {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

async function outputOf(child: ReturnType<typeof spawn>): Promise<Output> {
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, out, err };
}

describe("the shares of the descriptors", () => {
  it("leave the log a quarter, and connections the rest, up to what is wanted", () => {
    const wanted = { peers: 5, connections: 10_000 };
    for (const limit of [64, 128, 256, 1024, 4096, 20_000, Infinity]) {
      const { logFiles, connections } = shareOut(limit, wanted);
      expect(logFiles).toBeGreaterThan(0);
      expect(connections).toBeLessThanOrEqual(10_000);
      if (connections > 0) expect(logFiles + connections + 2 * wanted.peers).toBeLessThan(limit);
    }
    expect(shareOut(Infinity, wanted)).toEqual({ logFiles: 512, connections: 10_000 });
    expect(shareOut(64, wanted).connections).toBe(0);
  });

  it("are of what the system says that this process may have", () => {
    expect(descriptorLimit()).toBeGreaterThan(100);
  });
});

describe("a log whose process has no descriptors left", () => {
  it("goes on writing and reading, and never takes the disk for broken", async () => {
    const { status, out, err } = await outputOf(limited(60, [NODE, CHILD, newDir()]));
    expect([status, err]).toEqual([0, ""]);
    const told = JSON.parse(out) as Record<string, unknown>;
    expect(told).toMatchObject({ meanwhile: "writable", read: 20, after: "writable" });
    expect(told).toMatchObject({ corruptReadsCount: 0, reported: [] });
    expect(told["kinds"]).toEqual([
      "full: create failed: EMFILE",
      "full: sync failed: EMFILE",
      "full: sync-folder failed: EMFILE",
    ]);
  });
});

describe("a node whose process may have few descriptors", () => {
  async function start(limit: number): Promise<{ child: ReturnType<typeof spawn>; port: number }> {
    const dir = newDir();
    const [port = 0] = await freePorts(1);
    const members = [{ id: "r1", zone: "a", url: `http://127.0.0.1:${port}` }];
    const file = join(dir, "cluster.json");
    writeFileSync(file, JSON.stringify({ name: "few", partitions: 8, n: 1, members }));
    const args = ["node", "--cluster", file, "--id", "r1", "--data", join(dir, "r1")];
    return { child: limited(limit, [NODE, BIN, ...args]), port };
  }

  it("holds as many connections as it can, closes the others, and stores on", async () => {
    const { child, port } = await start(256);
    await new Promise<void>((resolve) =>
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        if (text.includes('"event":"listening"')) resolve();
      }),
    );
    const url = `http://127.0.0.1:${port}/v1/kv/demo`;
    const kept = connect(port, "127.0.0.1");
    await new Promise((resolve) => kept.once("connect", resolve));
    const opened: Socket[] = [kept];
    let closedCount = 0;
    for (let i = 0; i < 400; i++) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {}).on("close", () => closedCount++);
      socket.resume();
      opened.push(socket);
    }
    try {
      await expect.poll(() => closedCount).toBeGreaterThan(200);
      expect(closedCount).toBeLessThan(400);
      // A connected client is served, on an earlier connection and by a log that opens files.
      const body = "x".repeat(1000);
      const head = `PUT /v1/kv/demo/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}`;
      kept.write(`${head}\r\n\r\n${body}`);
      const answer = await new Promise<string>((resolve) =>
        kept.once("data", (d) => resolve(`${d}`)),
      );
      expect(answer).toMatch(/^HTTP\/1.1 201/);
    } finally {
      for (const socket of opened) socket.destroy();
    }
    await expect.poll(async () => (await fetch(`${url}/k`).catch(() => null))?.status).toBe(200);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/starling_store_writable 1/);
  }, 30_000);

  it("does not start with too few of them, and says which limit to raise", async () => {
    const { child } = await start(90);
    const { status, err } = await outputOf(child);
    expect(status).toBe(1);
    expect(err).toMatch(/may open 90 files.*ulimit -n/);
  });
});
