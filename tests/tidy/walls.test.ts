/**
 * The walls between the parts of the tree hold: in each of them an import that its `tsconfig.json`
 * does not refer to, and a global that its hosts do not have, is an error of the compiler. Every part
 * gets a canary beside it, a project with the part's own settings and one file that must not compile.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readProjects, seenBy } from "./projects.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CANARIES = ".build/canaries";
const projects = readProjects(ROOT);

/** Files that import nothing, so that the compiler has little to read. */
const ABOVE: Readonly<Record<string, string>> = {
  core: "ring/foreign-json.ts",
  ring: "replica/log-disk.ts",
  replica: "ring/foreign-json.ts",
  antientropy: "ring/foreign-json.ts",
  "src/node": "src/local/process/waited.ts",
  "src/staleness": "ring/foreign-json.ts",
  "src/metrics": "src/frontend/http/at-once.ts",
  "src/cache": "src/frontend/http/at-once.ts",
  "src/client": "core/failure.ts",
  "src/frontend/http": "src/frontend/admin/verdict.ts",
  "src/frontend/backend": "src/frontend/admin/verdict.ts",
  "src/frontend/data": "src/frontend/admin/verdict.ts",
  "src/frontend/feed": "src/frontend/admin/verdict.ts",
  "src/frontend/kv": "src/frontend/admin/verdict.ts",
  "src/frontend/admin": "src/client/coding.ts",
  "src/frontend/ui": "src/frontend/admin/verdict.ts",
  "src/frontend": "src/local/process/waited.ts",
  "src/door": "src/local/process/waited.ts",
  "src/driver": "src/local/process/waited.ts",
  "src/local": "src/cli/end-with-parent.ts",
  "src/cli": "bench/lib/figures.ts",
  "src/testing": "src/local/process/waited.ts",
  src: "bench/lib/figures.ts",
  worker: "src/local/process/waited.ts",
};

const OF_NODE = ["process.exit()", "Buffer.from([])", 'import("node:fs")'];
const OF_BROWSERS = "document.title";
const OF_HOSTS = [
  ...OF_NODE,
  'fetch("http://a")',
  "queueMicrotask(() => {})",
  "setTimeout(() => {}, 1)",
  "performance.now()",
  "console.log()",
  "crypto.randomUUID()",
];

function forbiddenIn(path: string): readonly string[] {
  const { types = [] } = projects.find((project) => project.path === path) ?? {};
  const settings = readFileSync(join(ROOT, path, "tsconfig.json"), "utf8");
  if (types.includes("node")) return [OF_BROWSERS];
  if (types.length > 0) return [OF_BROWSERS, 'import("node:fs")'];
  return settings.includes('"DOM"') ? OF_NODE : OF_HOSTS;
}

/** In the folder of the part itself nothing is written: a run that is killed leaves nothing. */
const folderOf = (path: string): string => join(CANARIES, path.replaceAll("/", "-"));

const linesOf = (path: string): readonly string[] => [
  `import "${posix.relative(folderOf(path), ABOVE[path] ?? "")}";`,
  ...forbiddenIn(path).map((expression) => `void ${expression};`),
  "export {};",
];

/** @returns the solution of all canaries, for one run of the compiler */
function writeCanaries(): string {
  const parts = Object.keys(ABOVE);
  for (const path of parts) {
    const folder = join(ROOT, folderOf(path));
    const own = projects.find((project) => project.path === path);
    const from = (target: string): string => posix.relative(folderOf(path), target);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "canary.ts"), linesOf(path).join("\n"));
    const tsconfig = {
      extends: from(`${path}/tsconfig.json`),
      compilerOptions: {
        noEmit: true,
        rootDir: from("."),
        outDir: "out",
        tsBuildInfoFile: "out/tsbuildinfo",
      },
      include: [],
      files: ["canary.ts", from("globals.d.ts")].slice(0, forbiddenIn(path) === OF_HOSTS ? 2 : 1),
      references: own?.references.map((reference) => ({ path: from(reference) })),
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
  }
  const references = parts.map((path) => ({ path: path.replaceAll("/", "-") }));
  const solution = join(ROOT, CANARIES, "tsconfig.json");
  writeFileSync(solution, JSON.stringify({ files: [], references }));
  return solution;
}

describe("the walls", () => {
  let said = "";

  beforeAll(() => {
    rmSync(join(ROOT, CANARIES), { recursive: true, force: true });
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const args = [tsc, "--build", writeCanaries(), "--pretty", "false"];
    said = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" }).stdout;
  });

  afterAll(() => rmSync(join(ROOT, CANARIES), { recursive: true, force: true }));

  it("have a canary in every part of the program", () => {
    const parts = projects.map(({ path }) => path);
    const above = /^(tests|bench|scripts|examples)|\/page$/;
    expect(Object.keys(ABOVE).sort()).toEqual(parts.filter((path) => !above.test(path)).sort());
  });

  it("are tried from outside", () => {
    for (const [path, target] of Object.entries(ABOVE)) {
      const seen = [...seenBy(projects, path)].filter((one) => target.startsWith(`${one}/`));
      expect([path, seen.filter((one) => one !== "src")]).toEqual([path, []]);
    }
  });

  it.each(Object.keys(ABOVE))("stop the compiler in %s", (path) => {
    const faults = [...said.matchAll(/^(\S+)\/canary\.ts\((\d+),\d+\): error (TS\d+)/gm)]
      .filter(([, folder]) => folder === folderOf(path))
      .map(([, , line, code]) => ({ line: linesOf(path)[Number(line) - 1], code }));
    const [forbiddenImport, ...forbidden] = linesOf(path).slice(0, -1);
    expect(faults.find(({ line }) => line === forbiddenImport)?.code).toBe("TS6307");
    const refused = new Set(faults.map(({ line }) => line));
    expect(forbidden.filter((line) => !refused.has(line))).toEqual([]);
  });
});
