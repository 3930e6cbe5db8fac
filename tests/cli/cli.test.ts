import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSafePath } from "../../src/cli/export.ts";
import { keyPath } from "../../src/cli/http.ts";
import { freePorts, startCluster, type TestCluster } from "../support/cluster.ts";
import { BIN, run } from "./run.ts";

describe("the command line", () => {
  let cluster: TestCluster;
  let dir = "";
  let at: readonly string[] = [];
  beforeAll(async () => {
    cluster = await startCluster(3);
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    at = ["--url", cluster.urls[0] as string];
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("plans, commits and follows a change of members", async () => {
    const planned = await run(["plan", "--reweight", "r1=2", ...at]);
    expect(planned.out).toMatch(/^ring version 1 to 2: \d+ copies of partitions move/);
    const committed = await run(["commit", "--reweight", "r1=2", "--wait", ...at]);
    expect([committed.code, committed.err]).toEqual([0, ""]);
    expect(committed.out).toBe(planned.out);
    expect((await run(["transfers", ...at])).out).toBe("no members change\n");
    const { version } = JSON.parse((await run(["ring", "--json", ...at])).out) as {
      version: number;
    };
    expect(version).toBe(2);
    const late = await run(["commit", "--reweight", "r1=3", "--from", "1", ...at]);
    expect([late.code, late.err]).toEqual([1, expect.stringMatching(/version 2.*ring-conflict/)]);
    const refused = await run(["commit", "--remove", "r9", ...at]);
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.err).toMatch(/"remove" names "r9": no member has that id/);
    const idle = await run(["commit", "--abort", ...at]);
    expect([idle.code, idle.err]).toEqual([1, expect.stringContaining("nothing to call off")]);
  });

  it("ends with status 1 when the change that it waits for is called off", async () => {
    const [port] = await freePorts(1);
    const newcomer = `r4,zone=a,url=http://127.0.0.1:${port}`;
    const waiting = run(["commit", "--add", newcomer, "--wait", ...at]);
    await expect
      .poll(async () => (await run(["transfers", ...at])).out, { timeout: 10_000 })
      .toMatch(/^filling, waiting for .*r4/);
    expect((await run(["commit", "--abort", "--wait", ...at])).code).toBe(0);
    const { code, out, err } = await waiting;
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/the change was called off: the members are those of ring version \d+/);
  });

  it("does not take another operator's change for the one that was called off", async () => {
    const [port] = await freePorts(1);
    const newcomer = `r4,zone=a,url=http://127.0.0.1:${port}`;
    const waiting = run(["commit", "--add", newcomer, "--wait", ...at]);
    await expect
      .poll(async () => (await run(["transfers", ...at])).out, { timeout: 10_000 })
      .toMatch(/^filling, waiting for .*r4/);
    const post = (body: unknown): Promise<Response> =>
      fetch(`${at[1]}/v1/cluster/commit`, { method: "POST", body: JSON.stringify(body) });
    expect((await post({ abort: true })).status).toBe(202);
    await expect.poll(async () => (await post({ reweight: { r1: 3 } })).status).toBe(202);
    const { code, err } = await waiting;
    expect([code, err]).toEqual([1, expect.stringContaining("the change was called off")]);
  });

  it("puts, gets, explains and deletes", async () => {
    const put = await run(["put", "cli", "a/b", "--w", "all", "--json", ...at], {
      input: "bytes\u0000",
    });
    expect(put.code).toBe(0);
    const { status, context } = JSON.parse(put.out) as { status: number; context: string };
    expect(status).toBe(201);
    const other = ["--url", cluster.urls[1] as string];
    const get = await run(["get", "cli", "a/b", "--r", "1", "--context", context, ...other]);
    expect(get).toEqual({ code: 0, out: "bytes\u0000", err: "" });
    const explained = await run(["explain", "cli", "a/b", ...at]);
    expect(explained.out).toMatch(/r1 +primary/);
    expect((await run(["delete", "cli", "a/b", ...at])).code).toBe(0);
    const gone = await run(["get", "cli", "a/b", ...at]);
    expect(gone.code).toBe(3);
    expect(gone.err).toMatch(/^starling: .*not-found.*\n$/);
  });

  it("does not mind that nobody reads what it prints any more", async () => {
    const put = await run(["put", "cli", "large", ...at], { input: "x".repeat(2 ** 20) });
    expect(put.code).toBe(0);
    for (const args of [["get", "cli", "large", ...at], ["status", ...at], ["--help"]]) {
      expect([args, await run(args, { isRead: false })]).toEqual([
        args,
        { code: 0, out: "", err: "" },
      ]);
    }
  });

  it.runIf(existsSync("/dev/full"))("says in one line that a disk is full", async () => {
    const full = openSync("/dev/full", "w");
    for (const args of [["completion", "bash"], ["get", "cli", "large", ...at], ["--version"]]) {
      const { code, err } = await run(args, { stdout: full });
      const line = "starling: stdout cannot be written (ENOSPC)\n";
      expect([args, code, err]).toEqual([args, 1, line]);
    }
    closeSync(full);
  });

  it("says in one line what is wrong, with the right exit status", async () => {
    const usage = [
      ["get", "cli"],
      ["fly"],
      ["get", "cli", "k", "--colour", "red"],
      ["dev", "--port", "x"],
      ["sites", "list", "name"],
    ];
    for (const args of usage) expect([args, (await run(args)).code]).toEqual([args, 2]);
    const bad = await run(["get", "cli", "k", "--r", "9", ...at]);
    expect(bad.code).toBe(1);
    expect(bad.err).toContain("invalid-option");
    expect(bad.err.trim().split("\n")).toHaveLength(1);
    const [port] = await freePorts(1);
    const nobody = await run(["status", "--url", `http://127.0.0.1:${port}`]);
    const line = `starling: http://127.0.0.1:${port} does not answer (ECONNREFUSED); is it running?\n`;
    expect(nobody).toEqual({ code: 4, out: "", err: line });
  });

  it("imports a tree, goes on where it stopped, and exports it again", async () => {
    const tree = join(dir, "tree");
    const files: Record<string, string | Uint8Array> = {
      "index.html": "<p>",
      "with space/ü %41.txt": "text",
      "empty.bin": "",
      "deep/er/data.json": "{}",
      "large.bin": new Uint8Array(1_048_577),
    };
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(tree, name, ".."), { recursive: true });
      writeFileSync(join(tree, name), content);
    }
    symlinkSync("index.html", join(tree, "link"));
    const first = await run(["import", tree, "tree", "--json", ...at]);
    expect(first.code).toBe(1);
    const report = JSON.parse(first.out) as { stored: number; leftOut: { file: string }[] };
    expect(report.stored).toBe(4);
    expect(report.leftOut.map(({ file }) => file).sort()).toEqual(["large.bin", "link"]);
    rmSync(join(tree, "link"));
    const again = await run(["import", tree, "tree", "--json", "--allow-too-large", ...at]);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.out)).toMatchObject({ stored: 0, unchanged: 4 });
    const html = await fetch(`${cluster.urls[2]}/v1/kv/tree/index.html`);
    expect(html.headers.get("content-type")).toBe("text/html");
    const copy = join(dir, "copy");
    const exported = await run(["export", "tree", copy, "--url", cluster.urls[1] as string]);
    expect(exported.code).toBe(0);
    for (const [name, content] of Object.entries(files)) {
      if (name === "large.bin") continue;
      expect(readFileSync(join(copy, name))).toEqual(Buffer.from(content as string));
    }
  });

  it("never writes outside the folder, whatever a key is", async () => {
    const base = cluster.urls[0] as string;
    for (const key of ["a%2F..%2F..%2Fescaped", "%2Fetc%2Fescaped", "nul%00", "fine"]) {
      await fetch(`${base}/v1/kv/hostile/${key}`, { method: "PUT", body: "x" });
    }
    const out = join(dir, "hostile", "inner");
    const exported = await run(["export", "hostile", out, "--json", ...at]);
    expect(exported.code).toBe(1);
    const { written, leftOut } = JSON.parse(exported.out) as {
      written: number;
      leftOut: unknown[];
    };
    expect([written, leftOut.length]).toEqual([1, 3]);
    expect(readFileSync(join(out, "fine"), "utf8")).toBe("x");
  });

  it("shows the cluster", async () => {
    const status = await run(["status", ...at]);
    expect(status.out).toMatch(/cluster test, ring version \d+, 64 partitions/);
    expect(status.out).not.toContain("\u001b");
    const ring = JSON.parse((await run(["ring", "--json", ...at])).out) as { partitions: number };
    expect(ring.partitions).toBe(64);
    const repaired = JSON.parse((await run(["repair", "--json", ...at])).out) as object;
    expect(Object.keys(repaired)).toContain("exchanges");
  });
});

describe("starling cluster", () => {
  it("starts nodes that end with it, and keep what was stored", async () => {
    const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    const [base = 0] = await freePorts(4);
    const args = ["cluster", "--nodes", "3", "--base-port", String(base), "--data", dir];
    const url = `http://127.0.0.1:${base + 2}/v1/kv/n/k`;
    try {
      for (const body of ["first", "second"]) {
        const child = spawn(process.execPath, [BIN, ...args], {
          stdio: ["ignore", "pipe", "ignore"],
        });
        const ended = new Promise((resolve) => child.on("exit", resolve));
        await new Promise<void>((resolve) => {
          child.stdout.on("data", (text: Buffer) => text.includes("curl") && resolve());
        });
        if (body === "second") expect(await (await fetch(url)).text()).toBe("first");
        expect((await fetch(url, { method: "PUT", body })).status).toBe(
          body === "first" ? 201 : 204,
        );
        child.kill("SIGINT");
        expect(await ended).toBe(0);
        await expect(fetch(url)).rejects.toThrow();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("paths and keys", () => {
  it("keep to the folder", () => {
    for (const key of ["a", "a/b", "...", ".hidden", "a b/ü"]) expect(isSafePath(key)).toBe(true);
    for (const key of ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\0"]) {
      expect([key, isSafePath(key)]).toEqual([key, false]);
    }
  });

  it("escape what a URL would resolve", () => {
    expect(keyPath("n", "a/b c")).toBe("/v1/kv/n/a/b%20c");
    expect(new URL(keyPath("n", "a/../b"), "http://h").pathname).toBe("/v1/kv/n/a%2F..%2Fb");
    expect(() => keyPath("n", "..")).toThrow();
  });
});
