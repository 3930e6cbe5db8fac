/** A real `env.KV` of a real workerd, its service forwarded here as in examples/workerd-kv. */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { differencesOf } from "../contract/kv-calls.ts";
import { freePorts } from "../support/cluster.ts";
import { NodeProcesses } from "../support/processes.ts";

const inRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Calls a method of the namespace by name and says what came of it. */
const WORKER = `
  import teller from "teller.js";
  const plain = (value) => (value instanceof Map ? Object.fromEntries(value) : value);
  export default {
    async fetch(request, { KV }) {
      if (new URL(request.url).pathname === "/tell") return teller.fetch(request, { KV });
      const [method, ...args] = await request.json();
      try {
        return Response.json({ result: plain(await KV[method](...args)) ?? null });
      } catch (error) {
        return Response.json({ error: String(error) });
      }
    },
  };`;

/** Makes all calls of tests/contract/kv-calls.ts, and says what came of each. */
const TELLER = bundle(`
  import { toldOf } from "./kv-calls.ts";
  export default { fetch: async (_, { KV }) => Response.json(await toldOf(KV)) };`);

function bundle(contents: string): string {
  const stdin = { contents, resolveDir: inRoot("tests/contract") };
  const options = { stdin, bundle: true, format: "esm", write: false } as const;
  return buildSync(options).outputFiles[0]?.text ?? "";
}

type Outcomes = Readonly<Record<string, string>>;
/** Where ours is meant to differ; docs/kv.md says so too. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "cacheTtl under 30": "is ignored, as any other",
  "cacheTtl null": "is ignored, as any other",
  "expirationTtl of a second": "is taken",
  "metadata that JSON has no word for": "is the caller's mistake",
};

const configOf = (port: number, starling: string): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "kv", worker = .forward),
    (name = "starling", external = (address = "${starling}", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js"), (name = "teller.js", esModule = embed "teller.js")],
  compatibilityDate = "2026-07-30",
  bindings = [(name = "KV", kvNamespace = "kv")],
);
const forward :Workerd.Worker = (
  modules = [(name = "forward.js", esModule = embed "forward.js")],
  compatibilityDate = "2026-07-30",
  bindings = [(name = "STARLING", service = "starling"), (name = "NAMESPACE", text = "wire")],
);`;

const dir = mkdtempSync(join(tmpdir(), "starling-workerd-"));
let cluster: NodeProcesses;
let workerd: ChildProcess;
let url = "";

beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
  const [port = 0] = await freePorts(1);
  url = `http://127.0.0.1:${port}/`;
  const config = configOf(port, new URL(cluster.urls[0] as string).host);
  writeFileSync(join(dir, "config.capnp"), config);
  writeFileSync(join(dir, "worker.js"), WORKER);
  writeFileSync(join(dir, "teller.js"), TELLER);
  copyFileSync(inRoot("examples/workerd-kv/forward.js"), join(dir, "forward.js"));
  const args = ["serve", join(dir, "config.capnp")];
  workerd = spawn(inRoot("node_modules/.bin/workerd"), args, { stdio: "inherit" });
  await vi.waitUntil(() => fetch(url, { method: "POST", body: "[]" }).then(Boolean, () => false), {
    timeout: 20_000,
  });
});
afterAll(async () => {
  const gone = new Promise((resolve) => workerd.once("exit", resolve));
  workerd.kill("SIGKILL");
  await gone;
  await cluster.close();
  rmSync(dir, { recursive: true, force: true });
});

async function kv(...call: readonly unknown[]): Promise<unknown> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(call) });
  const { result, error } = (await answer.json()) as { result?: unknown; error?: string };
  if (error !== undefined) throw new Error(error);
  return result;
}

describe("env.KV of workerd", () => {
  it("puts, gets, lists and deletes with metadata and expiration", async () => {
    const key = "a/b c%ü?#&";
    const expiration = Math.floor(Date.now() / 1000) + 90;
    const metadata = { by: "Ädä" };
    await kv("put", key, '{"x":1}', { expiration, metadata });
    expect(await kv("get", key)).toBe('{"x":1}');
    expect(await kv("getWithMetadata", key, "json")).toEqual({
      value: { x: 1 },
      metadata,
      cacheStatus: null,
    });
    const listed = { name: key, expiration, metadata };
    const all = { keys: [listed], list_complete: true, cacheStatus: null };
    expect(await kv("list", { prefix: "a/b " })).toEqual(all);
    await kv("delete", key);
    expect(await kv("get", key)).toBeNull();
    expect(await kv("getWithMetadata", key)).toMatchObject({ value: null, metadata: null });
  });

  it("gets many, lists page by page, and takes short lives", async () => {
    for (const key of ["k1", "k2", "k3"]) await kv("put", key, `"${key}"`, { metadata: [key] });
    expect(await kv("get", ["k1", "none"], "json")).toEqual({ k1: "k1", none: null });
    const many = (await kv("getWithMetadata", ["k2", "none"])) as Record<string, unknown>;
    expect(many).toEqual({ k2: { value: '"k2"', metadata: ["k2"] }, none: null });
    const first = (await kv("list", { limit: 2 })) as { cursor: string; list_complete: boolean };
    expect(first).toMatchObject({ keys: [{ name: "k1" }, { name: "k2" }], list_complete: false });
    expect(await kv("list", { limit: 2, cursor: first.cursor })).toMatchObject({
      keys: [{ name: "k3" }],
      list_complete: true,
    });
    await kv("put", "short", "lived", { expirationTtl: 1 });
    await expect.poll(() => kv("get", "short"), { timeout: 10_000 }).toBeNull();
  });

  it("is told of what fails", async () => {
    await expect(kv("put", "k", "v".repeat(1_048_577))).rejects.toThrow(
      /KV PUT failed: 413 The body is larger than .*\(value-too-large\)/,
    );
  });

  it("says of every call what a namespace of the platform says", async () => {
    const compatibilityDate = "2026-07-30";
    const modules = { "teller.js": { type: "esm", contents: TELLER } } as const;
    const manifest = { mainModule: "teller.js", modulesRoot: "/", modules };
    const env = { KV: { type: "kv", id: "platform" } } as const;
    const platform = new Miniflare({
      enableDevRegistry: false,
      workers: [{ config: { name: "teller", compatibilityDate, manifest, env } }],
    });
    try {
      const real = (await (await platform.dispatchFetch("http://any/")).json()) as Outcomes;
      const ours = (await (await fetch(`${url}tell`)).json()) as Outcomes;
      const differences = differencesOf(real, ours);
      const unexpected = Object.entries(differences).filter(([name]) => !(name in DIFFERENT));
      expect(Object.fromEntries(unexpected)).toEqual({});
      expect(Object.keys(differences).sort()).toEqual(Object.keys(DIFFERENT).sort());
    } finally {
      await platform.dispose();
    }
  });
});
