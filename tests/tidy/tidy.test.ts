import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { filesIn } from "../support/tree.ts";
import { readProjects } from "./projects.ts";
import {
  bans,
  cycles,
  deadFiles,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  folderCycles,
  functions,
  layering,
  lengths,
  refusals,
  type Source,
  widths,
} from "./rules.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = [
  "core",
  "ring",
  "replica",
  "antientropy",
  "src",
  "worker",
  "tests",
  "bench",
  "examples",
];

/** The page's scripts are the only ones that are no TypeScript. */
const isSource = (path: string): boolean =>
  path.endsWith(".ts") || (path.endsWith(".js") && path.includes("/ui/page/"));

const sources: readonly Source[] = FOLDERS.flatMap((folder) =>
  filesIn(ROOT, folder)
    .filter(isSource)
    .map((file) => ({
      path: file.replaceAll("\\", "/"),
      text: readFileSync(join(ROOT, file), "utf8"),
    })),
);
const projects = readProjects(ROOT);
const production = sources.filter(({ path }) => !path.startsWith("tests/"));
/** The in-memory store is what tests and the simulator stand on; it is no part of the program. */
const FOR_TESTS = ["replica/memory-store.ts"];

describe("the tree is tidy", () => {
  it("says in one way that foreign input is wrong", () => {
    expect(production.flatMap(refusals)).toEqual([]);
  });

  it("has the files that it should", () => {
    expect(sources.length).toBeGreaterThan(100);
  });

  it("imports only what its project refers to, with extensions, and only what every host has", () => {
    expect(sources.flatMap((source) => layering(projects, source))).toEqual([]);
  });

  it("takes no time, chance or promise in the deterministic floors", () => {
    expect(production.flatMap(bans)).toEqual([]);
  });

  it("keeps files short, tests too, and the program's lines", () => {
    expect(sources.flatMap(lengths)).toEqual([]);
    expect(production.flatMap(widths)).toEqual([]);
  });

  it("keeps functions short, with few parameters, no any and no default export", () => {
    expect(production.flatMap(functions)).toEqual([]);
  });

  it("reads values by one door, which counts what they hold", () => {
    const uses = (word: RegExp): readonly string[] =>
      production
        .filter(({ path, text }) => !path.startsWith("bench/") && word.test(text))
        .map(({ path }) => path);
    const backend = "src/frontend/backend";
    expect(uses(/\bfetchValues\b/).toSorted()).toEqual([
      "src/driver/driver-backend.ts",
      `${backend}/auto-choice.ts`,
      `${backend}/backend.ts`,
    ]);
    const doors = [`${backend}/auto-choice.ts`, `${backend}/read-room.ts`];
    expect(uses(/\bexecuteRead\b/).toSorted()).toEqual(doors);
  });

  it("has no import cycle, types included", () => {
    expect(cycles(production)).toEqual([]);
  });

  it("has no cycle between folders, at any level", () => {
    expect(folderCycles(sources)).toEqual([]);
  });

  it("has no file that nobody uses", () => {
    const dead = deadFiles(sources).filter((path) => !FOR_TESTS.includes(path));
    expect(dead).toEqual([]);
  });
});

/** A rule that never finds anything proves nothing. */
describe("the canary", () => {
  const at = (path: string, text: string): Source => ({ path, text });

  it("dies of each ban", () => {
    const lines = [
      "const a = Date.now();",
      "const b = Math.random();",
      "setTimeout(f, 1);",
      "async function c() {}",
      "const d = Buffer.from(e);",
      "process.exit();",
      "new Intl.Collator();",
    ];
    for (const line of lines) {
      expect([line, bans(at("core/x.ts", line)).length]).toEqual([line, 1]);
      expect(bans(at("src/local/x.ts", line))).toEqual([]);
    }
    expect(bans(at("core/x.ts", '// Date\nconst a = "Promise";'))).toEqual([]);
  });

  it("dies of a second way to refuse foreign input", () => {
    const texts = [
      "function a(b: unknown): Site | string {",
      "const c = (d: string): readonly Member[] | string =>",
      "try {\n  f();\n} catch {\n  return null;\n}",
      'try {\n  f();\n} catch (error) {\n  const why = error instanceof Error ? "" : "";\n}',
      "try {\n  f();\n} catch (error) {\n  if (error instanceof AssertionFailure) return;\n}",
    ];
    for (const text of texts)
      expect([text, refusals(at("core/x.ts", text)).length]).toEqual([text, 1]);
    const fine = [
      "function a(b: unknown): string | null {",
      "try {\n  f();\n} catch (error) {\n  if (!(error instanceof CodecError)) throw error;\n}",
      "// An AssertionFailure is our own mistake.",
    ];
    for (const text of fine) expect(refusals(at("core/x.ts", text))).toEqual([]);
  });

  it("dies of an import upwards, beside, without extension, or of the host", () => {
    const imports = [
      ["core/x.ts", "../ring/ring.ts"],
      ["replica/x.ts", "../antientropy/exchange.ts"],
      ["ring/x.ts", "./ring"],
      ["src/frontend/x.ts", "node:fs"],
      ["src/frontend/data/x.ts", "../kv/kv-store.ts"],
      ["src/node/x.ts", "../local/serve.ts"],
      ["src/x.ts", "../tests/sim/run.ts"],
    ];
    for (const [path = "", target] of imports) {
      expect(layering(projects, at(path, `import { a } from "${target}";`))).toHaveLength(1);
    }
  });

  it("dies of size, parameters, any, default exports, cycles and dead files", () => {
    const long = `const f = () => {\n${"a();\n".repeat(FUNCTION_LINES_MAX)}};`;
    expect(functions(at("core/x.ts", long))).toHaveLength(1);
    expect(functions(at("core/x.ts", "function f(a, b, c, d, e) {}"))).toHaveLength(1);
    expect(functions(at("core/x.ts", "const a: any = 1;"))).toHaveLength(1);
    expect(functions(at("core/x.ts", "export default 1;"))).toHaveLength(1);
    expect(lengths(at("core/x.ts", "a;\n".repeat(FILE_LINES_MAX + 1)))).toHaveLength(1);
    expect(widths(at("core/x.ts", "a".repeat(101)))).toHaveLength(1);
    const circle = [
      at("core/a.ts", 'import type { B } from "./b.ts";'),
      at("core/b.ts", 'import type { A } from "./a.ts";'),
    ];
    expect(cycles(circle)).toHaveLength(1);
    const folders = [
      at("src/a/a.ts", 'import type { B } from "../b/b.ts";'),
      at("src/a/c.ts", ""),
      at("src/b/b.ts", 'import type { C } from "../a/c.ts";'),
    ];
    expect(cycles(folders)).toEqual([]);
    expect(new Set(folderCycles(folders))).toEqual(new Set(["src/a → src/b → src/a"]));
    expect(deadFiles([at("core/a.ts", "")])).toEqual(["core/a.ts"]);
  });
});
