import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { counted } from "../../src/cli/output.ts";
import { freePorts } from "../support/cluster.ts";
import { BIN, run } from "./run.ts";

const version = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  }
).version;

/** What bash would offer after these words. */
function offered(script: string, ...words: readonly string[]): readonly string[] {
  const list = words.map((word) => `'${word}'`).join(" ");
  const ask = `COMP_WORDS=(starling ${list}); COMP_CWORD=${words.length}; _starling`;
  const print = `printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", `${script}\n${ask}; ${print}`], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

describe("starling", () => {
  it("says its version", async () => {
    for (const flag of ["--version", "-V"]) {
      expect(await run([flag])).toEqual({ code: 0, out: `${version}\n`, err: "" });
    }
  });

  it("says in its help what the exit statuses mean", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("3 nothing is stored under that key, 4 nobody answered.");
  });

  it("has all of its commands in docs/cli.md, and no other", async () => {
    const { out } = await run(["--help"]);
    const names = [...out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
    const cells = [...page.matchAll(/^\| (`[a-z].*?`) \|/gm)].map(([, cell = ""]) => cell);
    const named = cells.flatMap((cell) => [...cell.matchAll(/`([a-z]+)/g)].map(([, name]) => name));
    expect(named.sort()).toEqual(names.filter((name) => name !== "help").sort());
  });

  it("says once why a node of a cluster did not start", async () => {
    const dir = mkdtempSync(join(tmpdir(), "starling-usage-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, "r1"), "where a folder should be");
    const [port = 0] = await freePorts(1);
    const place = ["--base-port", String(port - 1), "--data", dir];
    const { code, err } = await run(["cluster", "--nodes", "1", ...place]);
    expect(code).toBe(1);
    const last = err.trim().split("\n").at(-1) ?? "";
    expect(last).toMatch(/^starling: node r1 did not start: \/.*: give --data a folder/);
  });

  it("completes its commands and their flags in bash", async () => {
    const { out } = await run(["completion", "bash"]);
    expect(offered(out, "st")).toEqual(["status", "staleness"]);
    expect(offered(out, "p")).toEqual(["put", "purge", "plan"]);
    expect(offered(out, "get", "--cons")).toEqual(["--consistency"]);
    expect(offered(out, "purge", "ns", "--t")).toEqual(["--tag", "--token"]);
  });

  it("has a completion for zsh and for fish too, with what each word is for", async () => {
    const zsh = (await run(["completion", "zsh"])).out;
    expect(zsh).toMatch(/^#compdef starling\n/);
    expect(zsh).toContain("'get:print a value'");
    const fish = (await run(["completion", "fish"])).out;
    expect(fish).toContain("-a get -d 'print a value'");
    expect(fish).toContain("-n '__fish_seen_subcommand_from status' -l watch -d ");
    expect((await run(["completion", "tcsh"])).code).toBe(2);
  });

  it("has --json on every command that prints a result", async () => {
    const without = new Set(["dev", "node", "cluster", "completion"]);
    const names = [...(await run(["--help"])).out.matchAll(/^ {2}([a-z]+) /gm)].map(
      ([, name]) => name,
    );
    for (const name of names) {
      if (name === undefined || name === "help" || without.has(name)) continue;
      expect([name, (await run([name, "--help"])).out]).toEqual([
        name,
        expect.stringContaining("--json"),
      ]);
    }
  });

  it.each([
    [["frobnicate"], "starling: unknown command 'frobnicate'; starling --help says more"],
    [["get", "ns"], "starling: missing required argument 'key'; starling get --help says more"],
    [
      ["get", "ns", "k", "--slopy", "true"],
      "starling: unknown option '--slopy' (Did you mean --sloppy?); starling get --help says more",
    ],
  ])("says in one line what is wrong with %j", async (args, line) => {
    expect(await run(args)).toEqual({ code: 2, out: "", err: `${line}\n` });
  });

  it("says so where no folder can be made", () => {
    const data = join(BIN, "data");
    for (const command of ["dev", "cluster"]) {
      const { stderr } = spawnSync(process.execPath, [BIN, command, "--data", data], {
        ...{ encoding: "utf8", timeout: 20_000, killSignal: "SIGKILL" },
      });
      const why = "the data folder cannot be made (ENOTDIR)";
      const mend = "give --data a folder that this user may write to";
      expect(stderr).toBe(`starling: ${data}: ${why}: ${mend}\n`);
    }
  });

  it("looks at a backup before it asks anybody where to bring it", async () => {
    const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, "file");
    writeFileSync(file, "hello\n");
    for (const [name, reason] of [
      [join(dir, "nowhere"), `${join(dir, "nowhere")}: there is no such file`],
      [dir, `${dir}: it is a folder`],
      [file, `${file} is no backup of Starling`],
    ] as const) {
      const { code, err } = await run(["restore", name, "--url", "http://127.0.0.1:1"]);
      expect([code, err]).toEqual([1, `starling: ${reason}\n`]);
    }
  });

  it("looks where an export is to go before it asks anybody what there is", async () => {
    for (const dir of [BIN, join(BIN, "below")]) {
      const { code, err } = await run(["export", "ns", dir, "--url", "http://127.0.0.1:1"]);
      expect([code, err]).toEqual([1, `starling: ${dir} cannot be written to (ENOTDIR)\n`]);
    }
  });

  it("does not wait for ever where nobody answers", async () => {
    const away = "http://127.0.0.1:1";
    for (const args of [
      ["watch", "ns", "--url", away],
      ["copy", "ns", "--from", away, "--to", away],
    ]) {
      const { code, err } = await run(args);
      expect([args[0], code]).toEqual([args[0], 4]);
      expect(err).toMatch(/^starling: http:.*ECONNREFUSED.*\n$/);
    }
  });
});

it("counts one thing in the singular", () => {
  const counts = [0, 1, 2].map((count) => counted(count, "key"));
  expect(counts).toEqual(["0 keys", "1 key", "2 keys"]);
});
