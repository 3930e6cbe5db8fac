import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import {
  COMPATIBILITY_DATE,
  checkMiniflare,
  type DevOptions,
  type RunningDev,
  startDev,
} from "../../src/local/dev.ts";
import { freePorts } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const start = (name: string, more: Partial<DevOptions> = {}) =>
  startDev({ port: 0, replicas: 5, dataDir: join(dir, name), log: () => {}, ...more });

const refusal = (started: Promise<RunningDev>): Promise<string> =>
  started.then(
    async (dev) => {
      await dev.close();
      return "it started";
    },
    (error: Error) => error.message,
  );

/** The processes below one, itself not among them. */
function below(pid: number): number[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const rows = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number));
  const children = rows.filter(([, parent]) => parent === pid).map(([child = 0]) => child);
  return children.flatMap((child) => [child, ...below(child)]);
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};

async function allGone(pids: readonly number[]): Promise<void> {
  await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
}

describe("starling dev", () => {
  it("keeps what was stored over a restart, in its folder", async () => {
    const before = new Set(below(process.pid));
    let dev = await start("kept");
    const started = below(process.pid).filter((pid) => !before.has(pid));
    expect(started.length).toBeGreaterThan(0);
    const put = (key: string, body: string): Promise<Response> =>
      fetch(`${dev.url}/v1/kv/demo/${key}`, { method: "PUT", body });
    expect((await put("a", "one")).status).toBe(201);
    expect((await put("b", "two")).status).toBe(201);
    const removed = await fetch(`${dev.url}/v1/kv/demo/b`, { method: "DELETE" });
    expect(removed.status).toBe(204);
    const etag = (await fetch(`${dev.url}/v1/kv/demo/a`)).headers.get("etag");
    await dev.close();
    await allGone(started);
    expect(readdirSync(join(dir, "kept"))).toContain("do");

    dev = await start("kept");
    try {
      const got = await fetch(`${dev.url}/v1/kv/demo/a`);
      expect([got.status, await got.text(), got.headers.get("etag")]).toEqual([200, "one", etag]);
      expect((await fetch(`${dev.url}/v1/kv/demo/b`)).status).toBe(404);
      expect((await put("a", "three")).status).toBe(204);
      const all = await fetch(`${dev.url}/v1/kv/demo/a?r=all`);
      expect([await all.text(), all.headers.get("starling-siblings")]).toEqual(["three", null]);
    } finally {
      await dev.close();
    }
  });

  describe("on a folder of Miniflare 4, which had the objects elsewhere", () => {
    const golden = join(root, "tests/golden/dev-miniflare-4");

    it("opens it with all that was stored, and again", async () => {
      cpSync(golden, join(dir, "golden"), { recursive: true });
      for (const round of ["first", "second"]) {
        const dev = await start("golden", { replicas: 1 });
        const values = ["a", "b", "c"].map(async (key) =>
          (await fetch(`${dev.url}/v1/kv/golden/${key}`)).text(),
        );
        expect(await Promise.all(values), round).toEqual(["value a", "value b", "value c"]);
        await dev.close();
      }
    });

    it("refuses one that holds replicas in both places, and names them", async () => {
      cpSync(golden, join(dir, "twice"), { recursive: true });
      mkdirSync(join(dir, "twice/do/starling-ReplicaObject"), { recursive: true });
      const said = await refusal(start("twice", { replicas: 1 }));
      expect(said).toMatch(/twice\/starling-ReplicaObject and .*\/do\/.* both hold replicas: move/);
    });
  });

  it("logs no target, also of requests that workerd does not understand", async () => {
    const logged: string[] = [];
    const log = (_: string, fields: object = {}): void => void logged.push(JSON.stringify(fields));
    const dev = await start("targets", { log });
    try {
      for (const line of ["GET http://[hidden/", "GET /hidden b", "GET ?hidden", "GET *"]) {
        const answer = await rawRequest(dev.url, `${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
        expect([400, 404, 421], line).toContain(answer.status);
      }
      // It is logged after all of these, and workerd has nothing to hide in it.
      await rawRequest(dev.url, "CONNECT hidden:80 HTTP/1.1\r\nHost: a\r\n\r\n");
      await expect.poll(() => logged.join()).toContain("connect()");
      expect(logged.join()).not.toContain("hidden");
    } finally {
      await dev.close();
    }
  });

  it("answers with keys as workerd hands the path on", async () => {
    const dev = await start("paths");
    const send = async (method: string, target: string): Promise<[number, string]> => {
      const body = method === "PUT" ? `Content-Length: 1\r\n\r\nv` : "\r\n";
      const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${body}`;
      const answer = await rawRequest(dev.url, head);
      return [answer.status, answer.body];
    };
    try {
      // Slashes, NUL and double percent signs arrive as they were sent.
      const keys = ["a%2Fb", "a//b", "%00", "%252e", "a%2F..%2Fb", "%F0%9F%98%80", "x/../dots"];
      for (const key of keys) {
        expect([key, (await send("PUT", `/v1/kv/paths/${key}`))[0]]).toEqual([key, 201]);
        expect(await send("GET", `/v1/kv/paths/${key}`)).toEqual([200, "v"]);
      }
      // Segments of dots are data like any other.
      expect((await send("GET", "/v1/kv/paths/dots"))[0]).toBe(404);
      expect(await send("GET", "/v1/kv/paths/x/%2e%2E/dots")).toEqual([200, "v"]);
      expect((await send("OPTIONS", "*"))[0]).toBe(405);
    } finally {
      await dev.close();
    }
  });

  it("keeps the zones that a folder began with", async () => {
    mkdirSync(join(dir, "zones"));
    writeFileSync(join(dir, "zones", "dev.json"), '{"replicas":5}\n');
    const zonesOf = async (dev: RunningDev): Promise<string> => {
      const cluster = await (await fetch(`${dev.url}/v1/cluster`)).json();
      const { members } = cluster as { members: readonly { zone: string }[] };
      await dev.close();
      return members.map(({ zone }) => zone).join("");
    };
    expect(await zonesOf(await start("zones", {}))).toBe("abcab");
    expect(await zonesOf(await start("even", {}))).toBe("abcde");
    expect(await zonesOf(await start("even", {}))).toBe("abcde");
  });

  it("begins anew where a power cut left an empty note, and believes no broken one", async () => {
    const note = join(dir, "cut", "dev.json");
    mkdirSync(join(dir, "cut"));
    writeFileSync(note, "");
    await (await start("cut", { replicas: 3 })).close();
    expect(JSON.parse(readFileSync(note, "utf8"))).toMatchObject({ replicas: 3 });
    writeFileSync(note, '{"replicas":');
    expect(await refusal(start("cut", { replicas: 3 }))).toBe(
      `${note} does not say what this folder began with: put back what it said, or use another --data`,
    );
  });

  it("refuses a folder in use, another number of replicas, and a port that is taken", async () => {
    const dev = await start("busy", { replicas: 3 });
    try {
      const line = await refusal(start("busy", { replicas: 3 }));
      expect(line).toMatch(/in use by another process: stop that one, or use another folder$/);
    } finally {
      await dev.close();
    }
    expect(await refusal(start("busy", { replicas: 4 }))).toMatch(/--replicas 3/);
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    try {
      const line = await refusal(start("busy", { replicas: 3, port }));
      expect(line).toBe(`port ${port} is taken; choose another with --port`);
    } finally {
      taken.close();
    }
    // None of the refusals kept the folder.
    await (await start("busy", { replicas: 3 })).close();
  });

  async function spawnDev(name: string) {
    const [port = 0] = await freePorts(1);
    const args = ["bin/starling.js", "dev", "--port", `${port}`, "--data", join(dir, name)];
    const child = spawn(process.execPath, args, { cwd: root, detached: true, stdio: "pipe" });
    let said = "";
    let complained = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (complained += text));
    await expect.poll(() => said, { timeout: 30_000 }).toContain("answers at");
    const pid = child.pid ?? 0;
    const family = below(pid);
    expect(family.length).toBeGreaterThan(0);
    return { child, pid, family, complaints: () => complained };
  }

  it.each(["SIGINT", "SIGTERM"] as const)("leaves no process after %s", async (signal) => {
    const { child, pid, family, complaints } = await spawnDev(signal);
    // Ctrl-C on a terminal goes to the whole group, workerd included.
    process.kill(signal === "SIGINT" ? -pid : pid, signal);
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(0);
    expect(complaints()).toBe("");
    await allGone(family);
  });

  it("ends in order and in silence when Ctrl-C meets its start", async () => {
    const [port = 0] = await freePorts(1);
    const data = join(dir, "early");
    const args = ["bin/starling.js", "dev", "--port", `${port}`, "--data", data];
    const child = spawn(process.execPath, args, { cwd: root, detached: true, stdio: "pipe" });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (said += text));
    }
    await expect.poll(() => existsSync(join(data, "dev.json")), { interval: 5 }).toBe(true);
    const family = below(child.pid ?? 0);
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said).toBe("");
    await allGone(family);
  });

  it("leaves no process when it is killed", async () => {
    const { child, family } = await spawnDev("killed");
    child.kill("SIGKILL");
    await once(child, "exit");
    await allGone(family);
  });

  it("takes any Miniflare 5, and says what it needs where another one lies", () => {
    for (const version of ["5.20261102.0-beta", "5.20261117.0-beta", "5.1.0"]) {
      expect(() => checkMiniflare(version)).not.toThrow();
    }
    expect(() => checkMiniflare("4.20260714.0")).toThrow(
      /^starling dev needs miniflare 5, not 4\.20260714\.0: npm install miniflare@5\.[0-9a-z.-]+$/,
    );
  });

  it("runs on the same version of the platform as a deployment", () => {
    const toml = readFileSync(join(root, "wrangler.toml"), "utf8");
    expect(toml).toContain(`compatibility_date = "${COMPATIBILITY_DATE}"`);
  });
});
