/** examples/search-index as a program of its own, which is killed, over nodes that are killed. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/search-index/", import.meta.url));
const CLIENT = fileURLToPath(new URL("../../src/client/index.ts", import.meta.url));
const IDS = ["r1", "r2", "r3"] as const;
const patience = { timeout: 60_000, interval: 100 };
const dir = mkdtempSync(join(tmpdir(), "starling-test-"));

/** Its one dependency, from the registry; false where that cannot be had. */
function installed(): boolean {
  copyFileSync(join(EXAMPLE, "search.js"), join(dir, "search.js"));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  try {
    const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--silent"];
    const { dependencies } = JSON.parse(readFileSync(join(EXAMPLE, "package.json"), "utf8")) as {
      dependencies: { minisearch: string };
    };
    execFileSync("npm", ["install", ...quiet, `minisearch@${dependencies.minisearch}`], {
      cwd: dir,
    });
    return true;
  } catch {
    console.log("The search index is not tested: npm cannot install minisearch here.");
    return false;
  }
}

interface Found {
  readonly documents: number;
  readonly keys: readonly string[];
}

describe.skipIf(!installed())("the search index", () => {
  let cluster: ProcessCluster;
  let searching: ChildProcess;
  let url = "";
  const state = join(dir, "state.json");

  const start = async (stateFile = state): Promise<void> => {
    const env = { STARLING_URL: IDS.map((id) => cluster.urlOf(id)).join(), STATE: stateFile };
    searching = spawn(process.execPath, ["search.js"], {
      cwd: dir,
      env: { ...process.env, ...env, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    url = await new Promise((resolve, reject) => {
      searching.once("exit", (code) => reject(new Error(`it ended with status ${code}`)));
      searching.stdout?.setEncoding("utf8").on("data", (text: string) => {
        const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
  };
  const kill = async (): Promise<void> => {
    const ended = new Promise((resolve) => searching.once("close", resolve));
    searching.kill("SIGKILL");
    await ended;
  };
  const search = async (query: string): Promise<Found> => {
    const answer = await fetch(`${url}/?q=${encodeURIComponent(query)}`);
    const found = (await answer.json()) as { documents: number; hits: { key: string }[] };
    return { documents: found.documents, keys: found.hits.map(({ key }) => key).sort() };
  };
  const write = async (method: "PUT" | "DELETE", key: string, body = ""): Promise<void> => {
    const target = `${cluster.urlOf("r1")}/v1/kv/articles/${key}?w=all`;
    const init = method === "PUT" ? { method, body } : { method };
    await expect.poll(async () => (await fetch(target, init)).ok, patience).toBe(true);
  };

  beforeAll(async () => {
    const [, made] = await Promise.all([
      build({
        ...{ entryPoints: [CLIENT], bundle: true, format: "esm", platform: "neutral" },
        outfile: join(dir, "node_modules/starling-cache/client.js"),
      }),
      startProcesses(3),
    ]);
    cluster = made;
    mkdirSync(join(dir, "node_modules/starling-cache"), { recursive: true });
    const exported = {
      name: "starling-cache",
      type: "module",
      exports: { "./client": "./client.js" },
    };
    writeFileSync(join(dir, "node_modules/starling-cache/package.json"), JSON.stringify(exported));
  });
  afterAll(async () => {
    searching?.kill("SIGKILL");
    await cluster?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("is up to date after kills of both sides, and rebuilt from nothing the same", async () => {
    await write("PUT", "ada", "Ada Lovelace wrote the first program");
    await write("PUT", "grace", "Grace Hopper wrote the first compiler");
    await start();
    await expect
      .poll(() => search("first"), patience)
      .toEqual({
        documents: 2,
        keys: ["ada", "grace"],
      });
    await write("PUT", "ada", "Ada Lovelace saw beyond numbers");
    await expect
      .poll(() => search("compiler numbers"), patience)
      .toMatchObject({
        keys: ["ada", "grace"],
      });
    await expect.poll(() => search("first"), patience).toMatchObject({ keys: ["grace"] });
    await kill();
    await write("DELETE", "grace");
    await write("PUT", "barbara", "Barbara Liskov abstracted data");
    await start();
    await expect.poll(() => search("wrote"), patience).toEqual({ documents: 2, keys: [] });
    await expect.poll(() => search("data"), patience).toMatchObject({ keys: ["barbara"] });
    await Promise.all(IDS.map((id) => cluster.kill(id)));
    await Promise.all(IDS.map((id) => cluster.start(id)));
    await write("PUT", "radia", "Radia Perlman spanned the tree");
    await write("DELETE", "ada");
    const expected = { documents: 2, keys: ["barbara", "radia"] };
    await expect.poll(() => search("tree data numbers"), patience).toEqual(expected);
    await kill();
    await start(join(dir, "another.json"));
    await expect.poll(() => search("tree data numbers"), patience).toEqual(expected);
  });
});
