import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { walk } from "../../src/cli/tree.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

interface Report {
  readonly stored: number;
  readonly written: number;
  readonly unchanged: number;
  readonly leftOut: readonly { file?: string; key?: string; reason: string }[];
}
const reportOf = (out: string): Report =>
  JSON.parse(Buffer.from(out, "latin1").toString()) as Report;

describe("import and export", () => {
  let cluster: TestCluster;
  let dir = "";
  let at: readonly string[];
  let count = 0;
  let namespace = "";
  beforeAll(async () => {
    cluster = await startCluster(3);
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    at = ["--url", cluster.urls.join(",")];
  });
  beforeEach(() => {
    namespace = `transfer-${++count}`;
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const put = (key: string, body: string | Uint8Array<ArrayBuffer>, headers = {}) =>
    fetch(`${cluster.urls[0]}/v1/kv/${namespace}/${key}`, { method: "PUT", body, headers });
  const exportTo = async (to: string) => {
    const ran = await run(["export", namespace, to, "--json", ...at]);
    return { ...ran, report: reportOf(ran.out) };
  };

  it("give back the bytes that are stored, whatever they say of their coding", async () => {
    const bomb = new Uint8Array(gzipSync(new Uint8Array(2 ** 24)));
    const headers = { "Content-Encoding": "gzip" };
    await put("bomb", bomb, headers);
    await put("lie", "no gzip", headers);
    await put("plain", "plain");
    const out = join(dir, "coded");
    const { code, report } = await exportTo(out);
    expect([code, report.written, report.leftOut]).toEqual([0, 3, []]);
    expect(new Uint8Array(readFileSync(join(out, "bomb")))).toEqual(bomb);
    expect(readFileSync(join(out, "lie"), "utf8")).toBe("no gzip");
  });

  it("go on past names that are no UTF-8", async () => {
    const tree = join(dir, "names");
    mkdirSync(join(tree, "deep"), { recursive: true });
    writeFileSync(join(tree, "fine"), "1");
    const bad = Buffer.concat([Buffer.from(`${tree}/deep/`), Buffer.of(0x62, 0xff, 0xfe)]);
    writeFileSync(bad, "2");
    writeFileSync(join(tree, "zuletzt-ü"), "3");
    const { code, out } = await run(["import", tree, namespace, "--json", ...at]);
    expect([code, reportOf(out).stored]).toEqual([1, 2]);
    expect(reportOf(out).leftOut).toEqual([
      { file: "deep/b\ufffd\ufffd", reason: "its name is not UTF-8" },
    ]);
  });

  it("go on past folders that cannot be read", async () => {
    const tree = join(dir, "locked");
    mkdirSync(join(tree, "a", "b"), { recursive: true });
    mkdirSync(join(tree, "c"));
    for (const file of ["a/b/1", "c/2", "3"]) writeFileSync(join(tree, file), "");
    const found = await walk(tree, (path) => {
      const denied = Object.assign(new Error("denied"), { code: "EACCES" });
      if (path === join(tree, "a", "b")) return Promise.reject(denied);
      return readdir(path, { withFileTypes: true, encoding: "buffer" });
    });
    expect(found).toEqual({
      files: ["3", "c/2"],
      leftOut: [{ file: "a/b", reason: "a folder that cannot be read (EACCES)" }],
    });
    const none = await run(["import", join(dir, "none"), namespace, ...at]);
    expect([none.code, none.err]).toEqual([1, expect.stringContaining("cannot be read (ENOENT)")]);
  });

  it("write names as long as the disk takes, and say which are longer", async () => {
    const [long, tooLong] = ["n".repeat(255), "m".repeat(256)];
    await put(long, "long");
    await put(tooLong, "too long");
    const out = join(dir, "long");
    const { code, report } = await exportTo(out);
    expect([code, report.written]).toEqual([1, 1]);
    expect(report.leftOut).toEqual([{ key: tooLong, reason: "cannot be written (ENAMETOOLONG)" }]);
    const shown = await run(["export", namespace, join(dir, "shown"), ...at]);
    expect(shown.out).toContain("cannot be written (ENAMETOOLONG)");
    for (const err of [shown.err, (await run(["export", namespace, out, ...at, "--json"])).err]) {
      expect(err).toBe("starling: 1 of the keys could not be written\n");
    }
    expect(readFileSync(join(out, long), "utf8")).toBe("long");
  });

  it("go on where an export stopped, without fetching anything twice", async () => {
    for (let i = 0; i < 5; i++) await put(`k${i}`, `value ${i}`);
    await put("%2Fno%2Fpath", "it is left out");
    const out = join(dir, "resumed");
    const first = await exportTo(out);
    expect([first.code, first.report.written]).toEqual([1, 5]);
    rmSync(join(out, "k1"));
    await put("k2", "new value");
    const second = await exportTo(out);
    expect(second.report).toMatchObject({ written: 2, unchanged: 3 });
    expect(readFileSync(join(out, "k1"), "utf8")).toBe("value 1");
    expect(readFileSync(join(out, "k2"), "utf8")).toBe("new value");
    await fetch(`${cluster.urls[0]}/v1/kv/${namespace}/%2Fno%2Fpath`, { method: "DELETE" });
    expect((await exportTo(out)).code).toBe(0);
    // Nothing of the export's own is left when all is there.
    expect(readdirSync(out).sort()).toEqual(["k0", "k1", "k2", "k3", "k4"]);
  });

  it("name the key at which nobody answered any more", async () => {
    await put("first", "1");
    const lonely = await startCluster(1);
    const own = ["--url", lonely.urls[0] as string];
    const tree = join(dir, "unanswered");
    mkdirSync(tree);
    writeFileSync(join(tree, "a\nb"), "1");
    await lonely.close();
    const { code, err } = await run(["import", tree, namespace, ...own]);
    expect(code).toBe(4);
    expect(err).toMatch(/^starling: a\\nb: http.* does not answer .*; run it again to go on\n$/);
  });
});
