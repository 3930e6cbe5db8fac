import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { BIN, run } from "./run.ts";

interface Listed {
  readonly keys: readonly { readonly name: string }[];
}

describe("copy", () => {
  let here: TestCluster;
  let there: TestCluster;
  let dir = "";
  beforeAll(async () => {
    here = await startCluster(1);
    there = await startCluster(1);
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
  });
  afterAll(async () => {
    await Promise.all([here.close(), there.close()]);
    rmSync(dir, { recursive: true, force: true });
  });
  const at = (cluster: TestCluster, path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${cluster.urls[0]}/v1/kv/demo${path}`, init);
  const put = (cluster: TestCluster, key: string, body: string, headers = {}) =>
    at(cluster, `/${key}`, { method: "PUT", body, headers });
  const copy = async (...more: readonly string[]) => {
    const between = ["--from", here.urls[0] ?? "", "--to", there.urls[0] ?? ""];
    const state = ["--state", join(dir, "state"), "--once", "--json"];
    const { code, out, err } = await run(["copy", "demo", ...between, ...state, ...more]);
    expect([code, err]).toEqual([0, ""]);
    return JSON.parse(out) as { copied: number; removed: number };
  };
  const contentsOf = async (cluster: TestCluster): Promise<Record<string, string>> => {
    const { keys } = (await (await at(cluster, "")).json()) as Listed;
    const contents: Record<string, string> = {};
    for (const { name } of keys) contents[name] = await (await at(cluster, `/${name}`)).text();
    return contents;
  };

  it("makes a second cluster equal, with what lives there kept beside", async () => {
    for (let i = 0; i < 20; i++) await put(here, `k${i}`, `v${i}`);
    await put(here, "typed", "{}", { "Content-Type": "application/json", "Cache-Tag": "red" });
    // A U+FEFF is a part of the key, and no mark of byte order.
    await put(here, `%EF%BB%BF${"k".repeat(250)}`, "marked");
    expect(await copy()).toMatchObject({ copied: 22, removed: 0 });
    expect(await contentsOf(there)).toEqual(await contentsOf(here));
    const typed = await at(there, "/typed");
    expect(typed.headers.get("content-type")).toBe("application/json");
    await put(here, "k1", "newer");
    await at(here, "/k2", { method: "DELETE" });
    expect(await copy()).toMatchObject({ copied: 2 });
    expect(await contentsOf(there)).toEqual(await contentsOf(here));
    expect(await copy()).toMatchObject({ copied: 0 });
    // The whole once more: nothing is doubled.
    await copy("--since", "beginning");
    expect(await contentsOf(there)).toEqual(await contentsOf(here));
    expect((await at(there, "/k1")).headers.get("starling-siblings")).toBeNull();
  });

  it("takes a purge along, and keeps what was written since", async () => {
    await put(here, "a/1", "v");
    await put(here, "b/1", "v");
    await copy();
    const body = JSON.stringify({ namespace: "demo", prefix: "a/" });
    await fetch(`${here.urls[0]}/v1/purge`, { method: "POST", body });
    await put(here, "a/2", "later");
    // Each key is told of as it is swept.
    await vi.waitUntil(
      async () => {
        await copy();
        return (await at(there, "/a/1")).status === 404;
      },
      { timeout: 20_000, interval: 300 },
    );
    expect(await contentsOf(there)).toEqual(await contentsOf(here));
  });

  it("follows writes that go on, and ends equal, whoever is killed meanwhile", async () => {
    const namespace = "moving";
    const state = join(dir, "moving.state");
    const between = ["--from", here.urls[0] ?? "", "--to", there.urls[0] ?? ""];
    const args = [BIN, "copy", namespace, ...between, "--state", state];
    const start = () => spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    const url = `${here.urls[0]}/v1/kv/${namespace}`;
    const copied = async (key: string): Promise<boolean> => {
      const answer = await fetch(`${there.urls[0]}/v1/kv/${namespace}/${key}`).catch(() => null);
      return answer?.status === 200;
    };
    const soon = { timeout: 30_000, interval: 100 };
    let isOver = false;
    let number = 0;
    const write = async (): Promise<void> => {
      while (!isOver) {
        const key = `k${number++ % 150}`;
        const isDelete = number % 7 === 0;
        const init = isDelete ? { method: "DELETE" } : { method: "PUT", body: `v${number}` };
        await fetch(`${url}/${key}`, init).catch(() => null);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const mark = async (key: string): Promise<void> => {
      await fetch(`${url}/${key}`, { method: "PUT", body: key });
      await vi.waitUntil(() => copied(key), soon);
    };
    const writing = write();
    let copying = start();
    onTestFinished(() => {
      isOver = true;
      copying.kill("SIGKILL");
    });
    await mark("mark-1");
    copying.kill("SIGKILL");
    await new Promise((resolve) => copying.once("exit", resolve));
    copying = start();
    await mark("mark-2");
    let told = "";
    copying.stderr?.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    for (const [end, count] of [[there, 1] as const, [here, 2] as const]) {
      await end.stop("r1");
      await vi.waitUntil(() => told.split("trying again").length > count, soon);
      await end.start("r1");
      await mark(`mark-back-${count}`);
    }
    isOver = true;
    await writing;
    await mark("mark-4");
    copying.kill("SIGTERM");
    const code = await new Promise((resolve) => copying.once("close", resolve));
    expect([code, told]).toEqual([0, expect.stringMatching(/go on with --since \S+\n$/)]);
    await run(["copy", namespace, ...between, "--state", state, "--once"]);
    for (const [name, cluster] of [["a", here] as const, ["b", there] as const]) {
      const ended = await run([
        "export",
        namespace,
        join(dir, name),
        "--url",
        cluster.urls[0] ?? "",
      ]);
      expect([ended.code, ended.err]).toEqual([0, ""]);
    }
    const { status, stdout } = spawnSync("diff", ["-r", join(dir, "a"), join(dir, "b")]);
    expect([status, stdout.toString()]).toEqual([0, ""]);
    expect(readdirSync(join(dir, "a")).length).toBeGreaterThan(4);
  });

  it("asks for both ends", async () => {
    const { code, err } = await run(["copy", "demo", "--to", there.urls[0] ?? ""]);
    expect([code, err]).toEqual([2, "starling: copy takes --from URL\n"]);
  });

  it("names the file in which the token cannot be kept", async () => {
    const between = ["--from", here.urls[0] ?? "", "--to", there.urls[0] ?? "", "--once"];
    const state = join(dir, "nowhere", "state");
    const { code, err } = await run(["copy", "demo", ...between, "--state", state]);
    const said = `starling: ${state}: the token cannot be kept there (ENOENT)\n`;
    expect([code, err]).toEqual([1, said]);
  });

  it("is watched from a token on, line by line", async () => {
    const first = await fetch(`${here.urls[0]}/v1/changes/demo`);
    const { next } = (await first.json()) as { next: string };
    await put(here, "seen", "v");
    const watching = run(["watch", "demo", "--since", next, "--url", here.urls[0] ?? ""], {
      until: /put\tseen\t"/,
    });
    expect((await watching).out).toMatch(/^put\tseen\t"[0-9a-f]+"\n/);
  });

  it("goes on from where a watch that saw nothing had come to", async () => {
    const at = ["--url", there.urls[0] ?? ""];
    const idle = spawn(process.execPath, [BIN, "watch", "demo", "--prefix", "idle/", ...at]);
    let said = "";
    idle.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const ended = new Promise((resolve) => idle.once("close", resolve));
    // Nobody else follows this cluster.
    const isHeld = async (): Promise<boolean> =>
      /subscribers\{form="json"\} 1/.test(await (await fetch(`${there.urls[0]}/metrics`)).text());
    const soon = { timeout: 20_000, interval: 200 };
    await vi.waitUntil(isHeld, soon);
    // The question where the feed is was held too, for a moment.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await vi.waitUntil(isHeld, soon);
    idle.kill("SIGINT");
    await ended;
    expect(said).toMatch(/^go on with --since \S+\n$/);
    const [, since = ""] = /--since (\S+)/.exec(said) ?? [];
    await put(there, "idle/later", "v");
    const again = ["watch", "demo", "--prefix", "idle/", "--since", since, ...at];
    expect((await run(again, { until: /idle\/later/ })).out).toMatch(/^put\tidle\/later\t"/);
  });

  it("is watched no longer than somebody reads", async () => {
    const at = ["--url", here.urls[0] ?? ""];
    await put(here, "read", "v");
    const args = ["watch", "demo", "--since", "beginning", ...at];
    expect((await run(args, { isRead: false })).code).toBe(0);
  });

  it("merges nothing that is no entry", async () => {
    const url = `${here.urls[0]}/v1/cluster/entries`;
    const answer = await fetch(url, { method: "POST", body: "no MessagePack" });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
      400,
      "invalid-request",
    ]);
  });
});
