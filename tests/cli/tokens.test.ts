/** What the client commands say where a frontend asks for a token. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

let cluster: TestCluster;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "starling-tokens-"));
  const tokensFile = join(dir, "tokens.json");
  writeFileSync(tokensFile, JSON.stringify({ tokens: [{ token: "right-one", role: "admin" }] }));
  cluster = await startCluster(1, { tokensFile });
});
afterAll(async () => {
  await cluster.close();
  rmSync(dir, { recursive: true });
});

it("names the flag and the variable, without a token and with a wrong one", async () => {
  const at = ["--url", cluster.urls[0] ?? ""];
  const none = "starling: A token is needed: give --token, or set STARLING_TOKEN.";
  const wrong = "starling: The token is not known here: look at --token and STARLING_TOKEN.";
  const end = " (unauthorized, HTTP 401)\n";
  for (const command of [["status"], ["get", "ns", "k"], ["list", "ns"]]) {
    const asked = (...more: string[]) => run([...command, ...at, ...more]);
    expect([command, await asked()]).toEqual([command, { code: 1, out: "", err: none + end }]);
    const { err } = await asked("--token", "wrong-one");
    expect([command, err]).toEqual([command, wrong + end]);
  }
  expect((await run(["status", ...at, "--token", "right-one"])).code).toBe(0);
});

it("refuses an authority's file without a certificate: Node would trust nobody then", async () => {
  const file = join(dir, "key.pem");
  for (const text of [
    "",
    "one\n",
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
  ]) {
    writeFileSync(file, text);
    const { code, err } = await run(["status", "--url", cluster.urls[0] ?? "", "--ca", file]);
    expect([text, code]).toEqual([text, 1]);
    expect(err).toMatch(/key\.pem: it holds no certificates to trust \(\w+\)\n$/);
  }
});
