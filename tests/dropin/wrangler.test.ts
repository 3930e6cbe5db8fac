/** `wrangler kv`, the real one, with nothing but its environment pointing here. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NodeProcesses } from "../support/processes.ts";

const WRANGLER = fileURLToPath(
  new URL("../../node_modules/wrangler/bin/wrangler.js", import.meta.url),
);
const dir = mkdtempSync(join(tmpdir(), "starling-wrangler-"));
let cluster: NodeProcesses;

beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
});
afterAll(async () => {
  await cluster.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
}

function wrangler(...args: readonly string[]): Promise<Ran> {
  const env = {
    ...process.env,
    CLOUDFLARE_API_BASE_URL: `${cluster.urls[0]}/client/v4`,
    CLOUDFLARE_API_TOKEN: "any",
    CLOUDFLARE_ACCOUNT_ID: "any",
    WRANGLER_SEND_METRICS: "false",
    // Without its banner it does not look for a newer version.
    WRANGLER_HIDE_BANNER: "true",
    XDG_CONFIG_HOME: dir,
    WRANGLER_LOG_PATH: dir,
    NO_COLOR: "1",
    CI: "1",
  };
  return new Promise((resolve) => {
    const options = { env, cwd: dir };
    execFile(process.execPath, [WRANGLER, "kv", ...args], options, (error, out, err) => {
      const code = typeof error?.code === "number" ? error.code : error === null ? 0 : 1;
      resolve({ code, out: code === 0 ? out : out + err });
    });
  });
}

const remote = ["--remote", "--namespace-id", "wrangler"] as const;
const key = (verb: string, ...args: string[]): Promise<Ran> =>
  wrangler("key", verb, ...args, ...remote);
function bulk(verb: string, body: unknown, ...args: string[]): Promise<Ran> {
  const file = join(dir, `${verb}.json`);
  writeFileSync(file, JSON.stringify(body));
  return wrangler("bulk", verb, file, ...args, ...remote);
}
/** What it prints beside its banner. */
const jsonIn = ({ out }: Ran): unknown =>
  JSON.parse(out.slice(out.search(/^[[{]/m)).split("\n\n")[0] ?? "");

describe("wrangler kv", () => {
  it("puts, gets, lists and deletes a key", async () => {
    const metadata = '{"by":"Ada"}';
    const put = await key("put", "a/b ü", "hello", "--metadata", metadata, "--ttl", "30");
    expect(put).toMatchObject({ code: 0 });
    expect((await key("get", "a/b ü", "--text")).out).toContain("hello");
    const listed = jsonIn(await key("list")) as { expiration: number }[];
    expect(listed).toMatchObject([{ name: "a/b ü", metadata: { by: "Ada" } }]);
    expect(listed[0]?.expiration).toBeGreaterThan(Date.now() / 1000);
    expect(await key("delete", "a/b ü")).toMatchObject({ code: 0 });
    const missing = await key("get", "a/b ü");
    expect([missing.code, missing.out]).toEqual([1, expect.stringContaining("404")]);
  });

  it("puts, gets and deletes in bulk", async () => {
    const pairs = [
      { key: "x", value: "1" },
      { key: "y", value: btoa("two"), base64: true, metadata: { q: 1 }, expiration_ttl: 5 },
    ];
    expect((await bulk("put", pairs)).out).toContain("Success");
    expect(jsonIn(await bulk("get", ["x", "y", "z"]))).toEqual({ x: "1", y: "two", z: null });
    expect((await bulk("delete", ["x", "y"], "--force")).out).toContain("Success");
    expect(jsonIn(await key("list"))).toEqual([]);
  });
});
