import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "starling-backup-"));
const path = (name: string): string => join(dir, name);
const atOf = ({ urls }: TestCluster): readonly string[] => ["--url", urls.join(",")];

function request(cluster: TestCluster, target: string, init: RequestInit = {}) {
  return fetch(`${cluster.urls[0]}${target}`, init);
}

async function put(cluster: TestCluster, key: string, body: string, headers = {}) {
  const answer = await request(cluster, `/v1/kv/${key}?w=all`, { method: "PUT", body, headers });
  expect(answer.ok).toBe(true);
  return answer.headers.get("starling-context") ?? "";
}

const remove = (cluster: TestCluster, key: string) =>
  request(cluster, `/v1/kv/${key}?w=all`, { method: "DELETE" });
const textOf = async (cluster: TestCluster, key: string): Promise<string> => {
  const answer = await request(cluster, `/v1/kv/${key}?r=all`);
  return answer.status === 404 ? "nothing" : answer.text();
};

/** Slashes, a NUL, and a U+FEFF where decoders take it for a mark of byte order. */
const ODD = `plain/%EF%BB%BFümläut%2F%00${"k".repeat(250)}`;

interface Line {
  readonly key?: string;
  readonly versions?: readonly { readonly value?: string }[];
  readonly end?: boolean;
  readonly sha256?: string;
  readonly purge?: { readonly namespace: string };
}
const linesOf = (text: string): readonly Line[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

/** A way to a cluster that refuses the page of entries with that number, and what comes after. */
async function refusing(cluster: TestCluster, atPage: number) {
  let pages = 0;
  const server = createServer((asked, answer) => {
    const isRefused = asked.url?.includes("/entries?") === true && ++pages >= atPage;
    const pass = async (): Promise<void> => {
      const got = await request(cluster, asked.url ?? "");
      answer.setHeader("Content-Type", got.headers.get("content-type") ?? "");
      answer.writeHead(got.status).end(new Uint8Array(await got.arrayBuffer()));
    };
    if (isRefused) answer.writeHead(400).end();
    else void pass();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

describe("backup and restore", () => {
  let from: TestCluster;
  let to: TestCluster;
  beforeAll(async () => {
    [from, to] = [await startCluster(3), await startCluster(5, { name: "other" })];
    const settings = JSON.stringify({ n: 2, ttl: 10_000 });
    await request(from, "/v1/namespaces/made", { method: "PUT", body: settings });
    const context = await put(from, "made/both", "zero");
    for (const value of ["one", "two"]) {
      await put(from, "made/both", value, { "Starling-Context": context });
    }
    for (let i = 0; i < 600; i++) await put(from, `plain/key-${i}`, `value ${i}`);
    await put(from, ODD, "odd", { "Cache-Tag": "t", "Starling-Metadata": "[1]" });
    await put(from, "plain/gone", "gone");
    await remove(from, "plain/gone");
  }, 60_000);
  afterAll(async () => {
    await Promise.all([from.close(), to.close()]);
    rmSync(dir, { recursive: true, force: true });
  });

  it("bring everything into a cluster of another size and secret", async () => {
    const made = await run(["backup", path("all.jsonl"), "--json", ...atOf(from)]);
    expect([made.code, made.err]).toEqual([0, ""]);
    expect(JSON.parse(made.out)).toMatchObject({ namespaces: 2, keys: 603 });
    const restored = await run(["restore", path("all.jsonl"), ...atOf(to)]);
    expect([restored.code, restored.err]).toEqual([0, ""]);
    expect(restored.out).toMatch(/^603 keys of 2 namespaces merged: 0 were known here, 603 /);
    expect(await textOf(to, "plain/key-599")).toBe("value 599");
    expect(await textOf(to, "plain/gone")).toBe("nothing");
    const odd = await request(to, `/v1/kv/${ODD}`);
    expect([await odd.text(), odd.headers.get("starling-metadata")]).toEqual(["odd", "[1]"]);
    const both = await request(to, "/v1/kv/made/both?siblings=all", {
      headers: { Accept: "application/json" },
    });
    expect(((await both.json()) as { siblings: unknown[] }).siblings).toHaveLength(2);
    const settings = await (await request(to, "/v1/namespaces/made")).json();
    expect(settings).toMatchObject({ n: 2, ttl: 10_000 });
    const again = await run(["restore", path("all.jsonl"), "--json", ...atOf(to)]);
    expect(JSON.parse(again.out)).toMatchObject({ keys: 603, known: 603, damaged: 0 });
  }, 60_000);

  it("can be read by standard tools, and checked by them", async () => {
    await run(["backup", path("tools.jsonl.gz"), ...atOf(from)]);
    const text = execFileSync("gzip", ["-dc", path("tools.jsonl.gz")]).toString();
    const lines = linesOf(text);
    const found = lines.find(({ key }) => key === "key-7");
    expect(atob(found?.versions?.[0]?.value ?? "")).toBe("value 7");
    writeFileSync(path("tools.head"), text.slice(0, text.lastIndexOf("\n", text.length - 2) + 1));
    const sum = execFileSync("sha256sum", [path("tools.head")]).toString();
    expect(sum.slice(0, 64)).toBe(lines.at(-1)?.sha256);
  }, 60_000);

  it("go through pipes", async () => {
    const made = await run(["backup", "-", ...atOf(from)]);
    const input = Buffer.from(made.out, "latin1").toString();
    const checked = await run(["restore", "-", "--check", ...atOf(to)], { input });
    expect([checked.code, checked.out]).toEqual([
      ...[0, "603 keys of 2 namespaces: all of it can be read\n"],
    ]);
  }, 60_000);

  it("leave deleted what was deleted since, and undo it only when told to", async () => {
    const file = path("since.jsonl");
    await run(["backup", file, ...atOf(from)]);
    await remove(from, "plain/key-1");
    await put(from, "plain/key-2", "newer");
    expect((await run(["restore", file, ...atOf(from)])).code).toBe(0);
    expect(await textOf(from, "plain/key-1")).toBe("nothing");
    expect(await textOf(from, "plain/key-2")).toBe("newer");
    const undone = await run(["restore", file, "--overwrite", "--json", ...atOf(from)]);
    expect(JSON.parse(undone.out)).toMatchObject({ keys: 603, written: 602 });
    expect(await textOf(from, "plain/key-1")).toBe("value 1");
    expect(await textOf(from, "plain/key-2")).toBe("value 2");
    expect(await textOf(from, "plain/gone")).toBe("nothing");
  }, 60_000);

  it("have a merge make the settings that are lacking, and an overwrite all of them", async () => {
    const set = async (cluster: TestCluster, settings: object): Promise<void> => {
      const put = { method: "PUT", body: JSON.stringify(settings) };
      expect((await request(cluster, "/v1/namespaces/set", put)).ok).toBe(true);
    };
    const shown = async (cluster: TestCluster): Promise<unknown> =>
      (await request(cluster, "/v1/namespaces/set")).json();
    const file = path("set.jsonl");
    await set(from, { ttl: 60, corsOrigins: ["https://app.example"] });
    await run(["backup", file, ...atOf(from)]);
    const restore = (...flags: readonly string[]) => run(["restore", file, ...flags, ...atOf(to)]);
    expect((await restore()).code).toBe(0);
    expect(await shown(to)).toMatchObject({ ttl: 60, corsOrigins: ["https://app.example"] });
    await set(to, { ttl: 7, corsOrigins: null });
    expect((await restore("--merge")).code).toBe(0);
    expect(await shown(to)).toMatchObject({ ttl: 7 });
    expect(await shown(to)).not.toHaveProperty("corsOrigins");
    expect((await restore("--overwrite")).code).toBe(0);
    expect(await shown(to)).toMatchObject({ ttl: 60, corsOrigins: ["https://app.example"] });
  }, 60_000);

  it("bring nothing back that was purged, neither then nor since", async () => {
    const file = path("purged.jsonl");
    const old = path("before-the-purge.jsonl");
    for (const key of ["purged/a", "purged/b"]) await put(from, key, "v");
    await run(["backup", old, ...atOf(from)]);
    const body = JSON.stringify({ namespace: "purged", everything: true });
    expect((await request(from, "/v1/purge", { method: "POST", body })).status).toBe(200);
    await run(["backup", file, ...atOf(from)]);
    expect((await run(["restore", file, ...atOf(to)])).code).toBe(0);
    expect(await textOf(to, "purged/a")).toBe("nothing");
    // What the purged cluster knows to be gone stays gone, whatever an earlier backup brings.
    expect((await run(["restore", old, ...atOf(from)])).code).toBe(0);
    expect(await textOf(from, "purged/a")).toBe("nothing");
  }, 60_000);

  it.each(["stopped.jsonl", "stopped.jsonl.gz"])(
    "go on where they were stopped: %s",
    async (name) => {
      const file = path(name);
      const flaky = await refusing(from, 3);
      const stopped = await run(["backup", file, "--url", flaky.url]);
      flaky.close();
      expect([stopped.code, existsSync(file)]).toEqual([1, false]);
      expect(stopped.err).toContain("run it again to go on");
      // As a run that was killed in the middle of a page leaves it.
      appendFileSync(`${file}.part`, '{"namespace":"plain","key":"hal');
      const ended = await run(["backup", file, ...atOf(from)]);
      expect([ended.code, ended.err]).toEqual([0, "starling: going on behind 257 keys\n"]);
      expect(existsSync(`${file}.part`) || existsSync(`${file}.part.notes`)).toBe(false);
      const checked = await run(["restore", file, "--check", "--json", ...atOf(to)]);
      expect(JSON.parse(checked.out)).toMatchObject({ keys: 603, damaged: 0 });
      const refused = await run(["backup", file, ...atOf(from)]);
      expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("is there already")]);
    },
    60_000,
  );

  it("name the line that is damaged, restore the others, and see a missing end", async () => {
    const file = path("hurt.jsonl");
    await run(["backup", file, ...atOf(from)]);
    const text = readFileSync(file, "utf8");
    const lines = text.split("\n");
    const hurtAt = lines.findIndex((line) => line.includes('"key":"key-5"'));
    const hurt = lines.map((line, i) => (i === hurtAt ? line.replace("key-5", "key-6") : line));
    writeFileSync(path("hurt2.jsonl"), hurt.join("\n"));
    const ran = await run(["restore", path("hurt2.jsonl"), "--check", ...atOf(to)]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(`line ${hurtAt + 1} is damaged, and left out`);
    truncateSync(file, text.length - 300);
    const cut = await run(["restore", file, ...atOf(to)]);
    expect([cut.code, cut.err]).toEqual([
      1,
      expect.stringMatching(/its end is missing.*--from \d+/),
    ]);
    writeFileSync(path("none"), "hello\n");
    expect((await run(["restore", path("none"), ...atOf(to)])).err).toContain("is no backup");
    const nowhere = await run(["restore", path("nowhere"), ...atOf(to)]);
    expect(nowhere.err).toBe(`starling: ${path("nowhere")}: there is no such file\n`);
    const both = await run(["restore", file, "--merge", "--overwrite", ...atOf(to)]);
    expect(both.code).toBe(2);
  }, 60_000);

  it("bring nothing back that was purged while they were made, but for an overwrite", async () => {
    const purge = async (what: object): Promise<void> => {
      const body = JSON.stringify({ namespace: "first", ...what });
      expect((await request(from, "/v1/purge", { method: "POST", body })).status).toBe(200);
    };
    const file = path("meanwhile.jsonl");
    for (const key of ["first/tagged", "first/under%2Fit", "first/stays"]) {
      await put(from, key, "v", key === "first/tagged" ? { "Cache-Tag": "old" } : {});
    }
    await purge({ prefix: "long-before" });
    const flaky = await refusing(from, 3);
    expect((await run(["backup", file, "--url", flaky.url])).code).toBe(1);
    flaky.close();
    await purge({ tags: ["old"] });
    await purge({ prefix: "under/" });
    expect((await run(["backup", file, ...atOf(from)])).code).toBe(0);
    const { purges } = (await (await request(from, "/v1/cluster/purges")).json()) as {
      readonly purges: readonly { readonly namespace: string }[];
    };
    const lines = linesOf(readFileSync(file, "utf8"));
    expect(lines.flatMap(({ purge }) => (purge?.namespace === "first" ? [purge] : []))).toEqual(
      purges.filter(({ namespace }) => namespace === "first"),
    );
    const restored = await run(["restore", file, "--json", ...atOf(to)]);
    expect(JSON.parse(restored.out)).toMatchObject({ purged: 2 });
    expect(await textOf(to, "first/tagged")).toBe("nothing");
    expect(await textOf(to, "first/under%2Fit")).toBe("nothing");
    expect(await textOf(to, "first/stays")).toBe("v");
    expect((await run(["restore", file, "--overwrite", ...atOf(to)])).code).toBe(0);
    expect(await textOf(to, "first/tagged")).toBe("v");
  }, 60_000);

  it("have an overwrite bring back what was purged since", async () => {
    const file = path("overwritten.jsonl");
    await put(from, "since/a", "v");
    await run(["backup", file, ...atOf(from)]);
    const body = JSON.stringify({ namespace: "since", everything: true });
    expect((await request(from, "/v1/purge", { method: "POST", body })).status).toBe(200);
    expect((await run(["restore", file, ...atOf(from)])).code).toBe(0);
    expect(await textOf(from, "since/a")).toBe("nothing");
    expect((await run(["restore", file, "--overwrite", ...atOf(from)])).code).toBe(0);
    expect(await textOf(from, "since/a")).toBe("v");
  }, 60_000);
});
