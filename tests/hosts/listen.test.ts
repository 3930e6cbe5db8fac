/** A node whose url is not where it listens: behind a translated address, as containers are. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { type NodeOptions, startNode } from "../../src/local/serve.ts";
import { run } from "../cli/run.ts";
import { freePorts } from "../support/cluster.ts";

const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const TOKEN = "a-token-of-this-test";
const secretFile = file("secret", "sixteen or more characters\n");
const tokensFile = file("tokens", JSON.stringify({ tokens: [{ token: TOKEN, role: "admin" }] }));

let count = 0;
function optionsOf(url: string, more: Partial<NodeOptions>): NodeOptions {
  const name = `n${++count}`;
  const config = { name: "t", partitions: 8, n: 1, members: [{ id: "r1", zone: "a", url }] };
  const clusterFile = file(`${name}.json`, JSON.stringify(config));
  return { clusterFile, id: "r1", dataDir: join(dir, name), log: () => {}, ...more };
}
async function start(url: string, more: Partial<NodeOptions>): Promise<void> {
  const node = await startNode(optionsOf(url, more));
  onTestFinished(() => node.close());
}
const statusAt = (origin: string, token = TOKEN): Promise<number> =>
  fetch(`${origin}/v1/kv/a/b`, { headers: { Authorization: `Bearer ${token}` } }).then(
    ({ status }) => status,
    () => 0,
  );

describe("a node with --listen", () => {
  it("listens there, whatever its url says", async () => {
    const [port = 0, other = 0] = await freePorts(2);
    const files = { secretFile, tokensFile };
    await start(`http://r1.invalid:${port}`, { listen: "127.0.0.1", ...files });
    expect(await statusAt(`http://127.0.0.1:${port}`)).toBe(404);
    await start(`http://r1.invalid:${port}`, { listen: `127.0.0.1:${other}`, ...files });
    expect(await statusAt(`http://127.0.0.1:${other}`)).toBe(404);
  });

  it("listens at all addresses of the machine, and is open at none without tokens", async () => {
    const [port = 0] = await freePorts(1);
    await start(`http://127.0.0.1:${port}`, { listen: "*", secretFile });
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const addresses = own.filter(({ family }) => family === "IPv4").map(({ address }) => address);
    expect(addresses).toContain("127.0.0.1");
    for (const address of addresses) expect(await statusAt(`http://${address}:${port}`)).toBe(401);
  });

  it("needs a secret that nobody can guess as soon as others can reach it", async () => {
    for (const listen of ["*", "0.0.0.0", "[::]"]) {
      const refused = startNode(optionsOf("http://127.0.0.1:1", { listen }));
      await expect(refused).rejects.toThrow(
        `--listen ${listen} is not on loopback, so the cluster needs a secret: give --secret-file`,
      );
    }
  });

  it.each(["localhost", "", "*:0", "127.0.0.1:99999", "::1:80:x", "http://127.0.0.1", "[::1"])(
    "refuses %j",
    async (listen) => {
      const refused = startNode(optionsOf("http://127.0.0.1:1", { listen }));
      await expect(refused).rejects.toThrow(
        `--listen takes an address of this machine or *, and a port where it is another one`,
      );
    },
  );

  it("is named in the mend when a node's url is an address of another machine", async () => {
    const [port = 0] = await freePorts(1);
    const { clusterFile } = optionsOf(`http://198.51.100.7:${port}`, {});
    const flags = ["--secret-file", secretFile, "--tokens-file", tokensFile];
    const args = ["node", "--cluster", clusterFile, "--id", "r1", "--data", join(dir, "away")];
    const { code, err } = await run([...args, ...flags]);
    expect(code).toBe(1);
    const what = `member r1 cannot listen on 198.51.100.7:${port}: EADDRNOTAVAIL`;
    const mend = "change the url, or name an address of this machine with --listen";
    expect(err).toBe(`starling: ${clusterFile}: ${what}; ${mend}\n`);
  });
});
