/**
 * The release before and this version in one cluster of real processes, under clients that are told
 * which node is being replaced, as a load balancer is: an upgrade node by node, and back.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROGRAM_VERSION } from "../../core/version.ts";
import type { ClusterBody } from "../../src/frontend/admin/verdict.ts";
import { judgeCollected } from "../drill/judges.ts";
import { parseExposition } from "../support/exposition.ts";
import { type ProcessCluster, startProcesses, THIS_PROGRAM } from "../support/process-cluster.ts";

const RELEASE = "0.2.0";
const GOLDEN = new URL(`../golden/release-${RELEASE}/starling.mjs.gz`, import.meta.url);
/** A busy machine is no fault of either version: requests have much time. */
const TIMING = {
  ...{ heartbeatMs: 200, suspectAfterMs: 1000, requestTimeoutMs: 15_000 },
  ...{ antiEntropyMs: 2000, handoffMs: 500 },
};
const SETS = ["set-0", "set-1"];
/** A set that is longer is left alone, and read in the end. */
const ELEMENTS_MAX = 100;

let dir = "";
let cluster: ProcessCluster;
const programs = new Map<string, string>();
const versions = new Map([[THIS_PROGRAM, PROGRAM_VERSION]]);
let release = "";

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "starling-release-"));
  release = join(dir, "starling.mjs");
  writeFileSync(release, gunzipSync(readFileSync(GOLDEN)));
  writeFileSync(join(dir, "package.json"), "{}");
  versions.set(release, RELEASE);
  const programOf = (id: string): string => programs.get(id) ?? release;
  cluster = await startProcesses(3, { timing: TIMING, programOf });
}, 60_000);
afterAll(async () => {
  await cluster?.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly context: string | null;
  readonly text: string;
}

/** Clients of the cluster: what they were told, and every answer that no client should get. */
class Clients {
  readonly errors: string[] = [];
  readonly notes = new Map<string, { attempted: Set<string>; acknowledged: Set<string> }>();
  #inRotation: readonly string[] = cluster.ids;
  #isOver = false;
  #turn = 0;
  readonly #open = new Map<string, number>();
  readonly #all: Promise<void>[];
  readCount = 0;

  constructor() {
    const clients = [0, 1, 2].map((client) => this.#addToSets(client));
    this.#all = [...clients, this.#writeAndRead()];
  }

  /** Resolves when nobody waits for an answer of that node, and nobody asks it any more. */
  async takeOut(id: string): Promise<void> {
    this.#inRotation = cluster.ids.filter((other) => other !== id);
    await expect.poll(() => this.#open.get(id) ?? 0).toBe(0);
  }

  putBack(): void {
    this.#inRotation = cluster.ids;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#all);
  }

  async #ask(method: string, path: string, more: RequestInit = {}): Promise<Answer> {
    const via = this.#inRotation[this.#turn++ % this.#inRotation.length] as string;
    const what = `${method} ${path} via ${via}`;
    this.#open.set(via, (this.#open.get(via) ?? 0) + 1);
    try {
      const answer = await fetch(`${cluster.urlOf(via)}/v1/kv/rolled/${path}`, { method, ...more });
      const text = await answer.text();
      const { status, headers } = answer;
      if (status >= 400 && status !== 404) this.errors.push(`${what}: ${status} ${text}`);
      return { status, context: headers.get("starling-context"), text };
    } catch (error) {
      this.errors.push(`${what}: ${String(error)}`);
      return { status: 599, context: null, text: "" };
    } finally {
      this.#open.set(via, (this.#open.get(via) ?? 1) - 1);
    }
  }

  async #readAll(name: string): Promise<{ values: readonly string[]; context: string | null }> {
    const accept = { Accept: "application/json" };
    const { status, context, text } = await this.#ask("GET", `${name}?siblings=all`, {
      headers: accept,
    });
    if (status === 200) return { values: [text], context };
    if (status !== 300) return { values: [], context };
    const { siblings } = JSON.parse(text) as { siblings: { value: string }[] };
    const values = siblings.map(({ value }) => Buffer.from(value, "base64").toString());
    return { values, context };
  }

  async elementsOf(name: string): Promise<ReadonlySet<string>> {
    const { values } = await this.#readAll(name);
    return new Set(values.flatMap((text) => JSON.parse(text) as string[]));
  }

  async #addToSets(client: number): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const name = `${SETS[i % SETS.length]}-${Math.floor(i / ELEMENTS_MAX)}`;
      const notes = this.notes.get(name) ?? { attempted: new Set(), acknowledged: new Set() };
      this.notes.set(name, notes);
      const { values, context } = await this.#readAll(name);
      const element = `${client}-${i}`;
      notes.attempted.add(element);
      const there = values.flatMap((text) => JSON.parse(text) as string[]);
      const { status } = await this.#ask("PUT", name, {
        body: JSON.stringify([...new Set([...there, element])]),
        headers: context === null ? {} : { "Starling-Context": context },
      });
      if (status < 300) notes.acknowledged.add(element);
    }
  }

  /** Default writes, and default reads of them by whichever node is next. */
  async #writeAndRead(): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const path = `plain-${i % 50}`;
      const body = String(i);
      const { status } = await this.#ask("PUT", path, { body });
      const read = await this.#ask("GET", path);
      this.readCount++;
      if (status < 300 && (read.status !== 200 || read.text !== body)) {
        this.errors.push(`${path} was ${body} and read as ${read.status} ${read.text}`);
      }
    }
  }
}

async function settled(id: string): Promise<void> {
  const ready = async (): Promise<number> =>
    (await fetch(`${cluster.urlOf(id)}/readyz?owns`).catch(() => null))?.status ?? 0;
  await expect.poll(ready).toBe(200);
  const away = async (): Promise<readonly unknown[]> => {
    const answer = await fetch(`${cluster.urlOf(id)}/v1/cluster`);
    const { members } = (await answer.json()) as ClusterBody;
    return members.flatMap(({ id: of, reachable, hintsHeld }) => {
      const hints = Object.entries(hintsHeld).filter(([, count]) => count > 0);
      return reachable && hints.length === 0 ? [] : [{ of, reachable, hints }];
    });
  };
  await expect.poll(away).toEqual([]);
}

/** One node after the other, as docs/operations.md says. */
async function roll(clients: Clients, program: string, between: () => Promise<void>) {
  for (const id of cluster.ids) {
    await clients.takeOut(id);
    expect(await cluster.stop(id)).toBe(0);
    programs.set(id, program);
    await cluster.start(id);
    await settled(id);
    clients.putBack();
    await between();
  }
}

async function shown(): Promise<readonly (readonly unknown[])[]> {
  const answer = await fetch(`${cluster.urlOf("r1")}/v1/cluster`);
  const { members } = (await answer.json()) as ClusterBody;
  return members.map(({ version, incompatible }) => [version, incompatible]);
}

/** Settings in the nodes' shared document, changed through an old node and a new one. */
async function changeSettings(round: string): Promise<void> {
  for (const id of cluster.ids) {
    const name = `settings-${round}-${id}`;
    const settings = JSON.stringify({ n: 3, ttl: 3600 });
    const put = { method: "PUT", body: settings };
    expect((await fetch(`${cluster.urlOf(id)}/v1/namespaces/${name}`, put)).status).toBeLessThan(
      300,
    );
    for (const other of cluster.ids) {
      const read = async (): Promise<unknown> =>
        (await fetch(`${cluster.urlOf(other)}/v1/namespaces/${name}`)).json();
      await expect.poll(read).toMatchObject({ n: 3, ttl: 3600 });
    }
    const key = `${cluster.urlOf(id)}/v1/kv/${name}/k`;
    expect((await fetch(key, { method: "PUT", body: "v" })).status).toBe(201);
    const purge = JSON.stringify({ namespace: name, everything: true });
    const purged = await fetch(`${cluster.urlOf(id)}/v1/purge`, { method: "POST", body: purge });
    expect(purged.status).toBe(200);
    for (const other of cluster.ids) {
      expect((await fetch(`${cluster.urlOf(other)}/v1/kv/${name}/k`)).status).toBe(404);
    }
  }
}

describe("a rolling upgrade from the release before, and back", () => {
  it("loses nothing, reads nothing wrong, and no client gets an error", async () => {
    const clients = new Clients();
    await changeSettings("old");
    let mixed = 0;
    const between = async (): Promise<void> => {
      const before = clients.readCount;
      await expect.poll(() => clients.readCount).toBeGreaterThan(before + 10);
      const expected = cluster.ids.map((id) => versions.get(programs.get(id) ?? release));
      await expect.poll(shown).toEqual(expected.map((version) => [version, false]));
      if (new Set(expected).size > 1) await changeSettings(`mixed-${mixed++}`);
    };
    for (const program of [THIS_PROGRAM, release, THIS_PROGRAM]) {
      await roll(clients, program, between);
    }
    await clients.end();
    expect(clients.errors.slice(0, 10)).toEqual([]);
    for (const [name, { attempted, acknowledged }] of clients.notes) {
      const found = await clients.elementsOf(name);
      expect(judgeCollected(name, { attempted, acknowledged, found })).toEqual([]);
    }
    expect(mixed).toBe(6);
    for (const id of cluster.ids) {
      const events = cluster.linesOf(id).map(({ event }) => event);
      expect(events.filter((event) => event === "listening")).toHaveLength(4);
      expect(events).not.toContain("malformed-frame");
      expect(events).not.toContain("peer-incompatible");
      const families = parseExposition(await (await fetch(`${cluster.urlOf(id)}/metrics`)).text());
      expect(families.get("starling_peers_incompatible")?.samples[0]?.value).toBe(0);
    }
  }, 300_000);

  it("refuses a folder of a newer format by one line, and leaves it as it is", async () => {
    expect(await cluster.stop("r3")).toBe(0);
    const manifest = join(cluster.dir, "r3", "manifest");
    const bytes = readFileSync(manifest);
    // Seven letters and the version; the second copy is the other half.
    for (const at of [7, bytes.length / 2 + 7]) bytes[at] = (bytes[at] ?? 0) + 1;
    writeFileSync(manifest, bytes);
    for (const program of [release, THIS_PROGRAM]) {
      programs.set("r3", program);
      await expect(cluster.start("r3")).rejects.toThrow(/status 1: [^\n]*format version 2[^\n]*$/);
      expect(readFileSync(manifest).equals(bytes)).toBe(true);
    }
  });
});
