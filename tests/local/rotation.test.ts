/** The cluster's secret is replaced by another one: no restart, no error, and ETags stay. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/local/process/config-error.ts";
import { type RunningNode, startNode } from "../../src/local/serve.ts";
import { freePorts } from "../support/cluster.ts";

const FIRST = "the first secret of all";
const NEXT = "the secret that comes next";

let dir = "";
let urls: readonly string[] = [];
const nodes = new Map<string, RunningNode>();
const logged: string[] = [];
const ids = ["r1", "r2", "r3"];
const secretFile = (id: string): string => join(dir, `${id}.secret`);
const write = (id: string, ...secrets: readonly string[]): void =>
  writeFileSync(secretFile(id), `${secrets.join("\n")}\n`);

async function start(id: string, more: object = {}): Promise<void> {
  const files = { clusterFile: join(dir, "cluster.json"), secretFile: secretFile(id) };
  const log = (event: string, fields: object = {}): void =>
    void logged.push(`${id} ${event} ${JSON.stringify(fields)}`);
  nodes.set(id, await startNode({ ...files, id, dataDir: join(dir, id), log, ...more }));
}

async function stop(id: string): Promise<void> {
  await nodes.get(id)?.close();
  nodes.delete(id);
}

const refusal = async (id: string, more: object = {}): Promise<string> => {
  const outcome = await start(id, more).then(
    () => new Error("it started"),
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(ConfigError);
  return (outcome as Error).message;
};

/** Every node with that file, one after the other, and traffic after each. */
async function roll(secrets: readonly string[], between: () => Promise<void>): Promise<void> {
  for (const id of ids) {
    write(id, ...secrets);
    await nodes.get(id)?.reload();
    await between();
  }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "starling-rotation-"));
  const ports = await freePorts(3);
  urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const members = urls.map((url, i) => ({ id: ids[i], zone: `z${i}`, url }));
  const timing = { heartbeatMs: 50, suspectAfterMs: 300 };
  const config = { name: "rotating", partitions: 64, n: 3, members, timing };
  writeFileSync(join(dir, "cluster.json"), JSON.stringify(config));
  for (const id of ids) {
    mkdirSync(join(dir, id));
    write(id, FIRST);
    await start(id);
  }
});
afterAll(async () => {
  await Promise.all([...nodes.keys()].map(stop));
  rmSync(dir, { recursive: true, force: true });
});

const key = (i: number): string => `${urls[i % 3]}/v1/kv/rotated/k`;

async function put(i: number, context: string): Promise<[number, string]> {
  const headers: Record<string, string> = context === "" ? {} : { "Starling-Context": context };
  const answer = await fetch(`${key(i)}?w=3&pw=3&sloppy=false`, {
    method: "PUT",
    body: "the same",
    headers,
  });
  return [answer.status, answer.headers.get("starling-context") ?? ""];
}

const etag = async (i: number): Promise<string> =>
  (await fetch(`${key(i)}?r=3`)).headers.get("etag") ?? "";

describe("a secret that is replaced", () => {
  /** A node that has just started neither lists nor counts before it knows what it has. */
  const allKnow = async (): Promise<void> => {
    for (const [i, url] of urls.entries()) {
      await expect.poll(async () => (await fetch(`${url}/readyz?owns`)).status).toBe(200);
      await expect.poll(async () => (await put(i, ""))[0]).toBeLessThan(300);
    }
  };

  it("takes contexts, cursors and members of both on the way, and keeps ETags", async () => {
    await allKnow();
    for (const name of ["a", "b", "c"]) {
      await fetch(`${urls[0]}/v1/kv/rotated/${name}`, { method: "PUT", body: name });
    }
    const tag = await etag(0);
    const [, first] = await put(0, "");
    const list = (await (await fetch(`${urls[0]}/v1/kv/rotated?limit=1`)).json()) as {
      cursor: string;
    };
    let context = (await fetch(key(0))).headers.get("starling-context") ?? "";
    expect(context).not.toBe("");
    const untouched = (await fetch(`${urls[0]}/v1/kv/rotated/a?r=3`)).headers.get("etag");

    let turn = 0;
    const traffic = async (): Promise<void> => {
      // Each context goes on at another node than the one that gave it.
      for (let i = 0; i < 3; i++) {
        const [status, renewed] = await put(turn++, context);
        expect([logged.length > 0, status]).toEqual([true, 204]);
        context = renewed;
        expect((await put(turn, first))[0]).toBeLessThan(300);
        context = (await fetch(`${key(turn)}?r=3`)).headers.get("starling-context") ?? "";
        const page = await fetch(`${urls[i]}/v1/kv/rotated?limit=1&cursor=${list.cursor}`);
        expect(page.status).toBe(200);
      }
    };
    await traffic();
    await roll([FIRST, NEXT], traffic);
    await roll([NEXT, FIRST], traffic);
    // A node that comes back in the middle proves one that the others take.
    await stop("r2");
    await start("r2");
    await allKnow();
    context = (await fetch(`${key(1)}?r=3`)).headers.get("starling-context") ?? "";
    await traffic();
    for (const id of ids) {
      write(id, NEXT);
      await nodes.get(id)?.reload();
    }
    expect((await put(0, first))[0]).toBe(400);
    expect((await put(0, context))[0]).toBe(204);
    const now = await fetch(`${urls[0]}/v1/kv/rotated/a?r=3`);
    expect([tag !== "", now.headers.get("etag")]).toEqual([true, untouched]);
    expect(logged.filter((line) => line.includes("secret-reloaded"))).toHaveLength(9);
    for (const secret of [FIRST, NEXT]) expect(logged.join("\n")).not.toContain(secret);
  });

  it("is not the one that a folder goes by: it keeps the keys of the first", async () => {
    await stop("r3");
    await start("r3");
    await expect.poll(async () => (await put(2, ""))[0]).toBe(204);
    const read = await fetch(`${urls[2]}/v1/kv/rotated/b?r=3`);
    expect([read.status, await read.text()]).toEqual([200, "b"]);
  });

  it.each([
    ["the present one alone", [NEXT]],
    ["both, while one gives way to the other", [NEXT, FIRST]],
  ])("fills an empty folder of a node that knows %s", async (_, secrets) => {
    const readAt = async (i: number): Promise<readonly [number, string | null]> => {
      const answer = await fetch(`${urls[i]}/v1/kv/rotated/b?r=3&pr=3&sloppy=false`);
      return [answer.status, answer.headers.get("etag")];
    };
    await expect.poll(async () => (await readAt(0))[0]).toBe(200);
    const before = await readAt(0);
    await stop("r3");
    rmSync(join(dir, "r3"), { recursive: true });
    mkdirSync(join(dir, "r3"));
    write("r3", ...secrets);
    await start("r3");
    await allKnow();
    expect(await readAt(2)).toEqual(before);
  });

  it("has to be named to an empty folder when no member answers", async () => {
    for (const id of ids) await stop(id);
    rmSync(join(dir, "r3"), { recursive: true });
    mkdirSync(join(dir, "r3"));
    writeFileSync(join(dir, "first"), FIRST);
    write("r3", NEXT, FIRST);
    expect(await refusal("r3")).toMatch(/r3\.secret: it has two secrets, .*--data-secret-file/);
    write("r3", NEXT);
    await start("r3", { dataSecretFile: join(dir, "first") });
    for (const id of ["r1", "r2"]) await start(id);
    await allKnow();
  });

  it("refuses files that make no sense, and goes on with what it has", async () => {
    await stop("r1");
    writeFileSync(join(dir, "other"), "neither of these two");
    expect(await refusal("r1", { dataSecretFile: join(dir, "other") })).toMatch(
      /other: .*r1 began with another secret/,
    );
    for (const [lines, message] of [
      [["a-secret-of-enough", "b-secret-of-enough", "c-secret-of-enough"], /at most two/],
      [[NEXT, "short"], /at least 16/],
      [[NEXT, NEXT], /both lines are the same/],
    ] as const) {
      write("r1", ...lines);
      expect(await refusal("r1")).toMatch(message);
    }
    write("r1", NEXT);
    await start("r1");
    write("r1", "short");
    await nodes.get("r1")?.reload();
    expect(logged.at(-1)).toMatch(/^r1 secret-unreadable .*at least 16/);
    await expect.poll(async () => (await put(0, ""))[0]).toBe(204);
  });
});
