/** The guest book of examples/kv-binding as its README says: `wrangler dev`, two Workers. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { freePorts } from "../support/cluster.ts";

const inRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "starling-binding-"));
let wrangler: ChildProcess;
let url = "";

/** A configuration moved to where wrangler may write, and where a secret can lie beside it. */
function moved(name: string, folder: string, main: string): string {
  const config = readFileSync(inRoot(`${folder}wrangler.toml`), "utf8");
  const own = join(dir, name);
  mkdirSync(own);
  const file = join(own, "wrangler.toml");
  const entry = `main = ${JSON.stringify(inRoot(folder + main))}`;
  writeFileSync(file, config.replace(`main = "${main}"`, entry));
  writeFileSync(join(own, ".dev.vars"), 'STARLING_SECRET="for this test alone"\n');
  return file;
}

beforeAll(async () => {
  const [port = 0, inspector = 0] = await freePorts(2);
  url = `http://127.0.0.1:${port}/`;
  const book = moved("book", "examples/kv-binding/", "worker.ts");
  const configs = ["-c", book, "-c", moved("starling", "", "worker/index.ts")];
  const at = ["--ip", "127.0.0.1", "--port", `${port}`, "--inspector-port", `${inspector}`];
  const args = ["dev", ...configs, ...at, "--persist-to", join(dir, "state")];
  const env = {
    ...process.env,
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_HIDE_BANNER: "true",
    XDG_CONFIG_HOME: dir,
    WRANGLER_LOG_PATH: dir,
    CI: "1",
  };
  const bin = inRoot("node_modules/wrangler/bin/wrangler.js");
  // A group of its own: wrangler starts workerd, and both are to end.
  const options = { env, cwd: dir, detached: true, stdio: "ignore" } as const;
  wrangler = spawn(process.execPath, [bin, ...args], options);
  await vi.waitUntil(() => fetch(url).then(Boolean, () => false), { timeout: 50_000 });
});
afterAll(async () => {
  const gone = new Promise((resolve) => wrangler.once("exit", resolve));
  process.kill(-(wrangler.pid as number), "SIGKILL");
  await gone;
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

describe("a Worker with a service binding", () => {
  it("keeps its guest book in Starling", async () => {
    expect(await (await fetch(url)).json()).toEqual({ entries: [], isAll: true });
    const keys: string[] = [];
    for (const by of ["Ada", "Grace"]) {
      const body = JSON.stringify({ by, text: "Ahoy" });
      const signed = await fetch(url, { method: "POST", body });
      expect(signed.status).toBe(201);
      keys.push(((await signed.json()) as { key: string }).key);
    }
    const { entries } = (await (await fetch(url)).json()) as { entries: unknown[] };
    expect(entries).toHaveLength(2);
    expect(entries).toContainEqual({ by: "Ada", text: "Ahoy" });
    const one = (await (await fetch(url + keys[1])).json()) as { near: string; sure: string };
    expect(JSON.parse(one.sure)).toEqual({ by: "Grace", text: "Ahoy" });
    expect((await fetch(`${url}none`)).status).toBe(404);
  });
});
