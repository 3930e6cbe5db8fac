/** What a compiler cannot see, as functions from a source to what is wrong with it. */
import { parseSync } from "vite";

export interface Source {
  /** Relative to the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

const FLOORS = ["core", "ring", "replica", "antientropy", "src", "worker", "tests"] as const;
/** Which floors a floor may import from, beside itself. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ring: ["core"],
  replica: ["core", "ring"],
  antientropy: ["core", "ring"],
  src: ["core", "ring", "replica", "antientropy"],
  worker: ["core", "ring", "replica", "antientropy", "src"],
};

/** Where a seed alone decides a run. */
const isDeterministic = (path: string): boolean =>
  /^(core|ring|replica|antientropy|src\/node|src\/cache|src\/staleness)\//.test(path);
/** Where only Web standards are at hand. */
const isPortable = (path: string): boolean =>
  isDeterministic(path) ||
  /^(src\/frontend\/|src\/door\/|src\/client\/|src\/driver\.ts|worker\/)/.test(path);

const BANS: readonly (readonly [RegExp, string])[] = [
  [/\bDate\b/, "time is an argument: take `now`"],
  [/\bMath\.random\b/, "chance is handed in: take a Prng"],
  [/\bset(Timeout|Interval|Immediate)\b/, "return when to be woken instead"],
  [/\b(async|await|Promise)\b/, "what finishes later comes back as an input"],
  [/\bBuffer\b/, "use Uint8Array"],
  [/\bprocess\b/, "the host hands it in"],
  [/\bperformance\b/, "time is an argument: take `now`"],
  [/\b(WeakRef|FinalizationRegistry|Intl)\b/, "it leaks the machine"],
  [/\bcrypto\b/, "it is asynchronous, or the host's"],
];

export const FILE_LINES_MAX = 500;
export const FUNCTION_LINES_MAX = 70;
export const LINE_CHARS_MAX = 100;
export const PARAMETERS_MAX = 3;

const IMPORT = /(?:^|\n)\s*(?:import|export)[^"';]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g;

export function importsOf({ text }: Source): readonly string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? "");
}

/** The path that a relative import means. */
export function resolveImport(from: string, to: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of to.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Comments, texts and regular expressions are not code. Lines stay where they are. */
export function codeOnly(text: string): string {
  const blank = (match: string): string => match.replace(/[^\n]/g, " ");
  return text
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, blank)
    .replace(/\/\/[^\n]*/g, blank)
    .replace(/`(?:[^`\\$]|\\.|\$(?!\{))*`/g, blank);
}

/** An import in the text of a script that browsers load: tests/frontend/ui.test.ts looks at it. */
const isOfPage = (path: string, target: string): boolean =>
  path.startsWith("src/frontend/ui/") && target.endsWith(".js");

export function layering(source: Source): readonly string[] {
  const floor = source.path.split("/")[0] ?? "";
  const allowed = BELOW[floor];
  if (allowed === undefined) return [];
  const faults: string[] = [];
  for (const target of importsOf(source)) {
    if (target.startsWith("node:") && isPortable(source.path)) {
      faults.push(`${source.path}: imports ${target}, which not every host has`);
    }
    if (!target.startsWith(".") || isOfPage(source.path, target)) continue;
    if (!target.endsWith(".ts")) faults.push(`${source.path}: ${target} has no extension`);
    const other = resolveImport(source.path, target).split("/")[0] ?? "";
    const isFloor = FLOORS.some((name) => name === other);
    if (isFloor && other !== floor && !allowed.includes(other)) {
      faults.push(`${source.path}: imports ${target}, which is on a floor above or beside`);
    }
  }
  return faults;
}

export function bans(source: Source): readonly string[] {
  if (!isDeterministic(source.path)) return [];
  const faults: string[] = [];
  for (const [i, line] of codeOnly(source.text).split("\n").entries()) {
    for (const [pattern, mend] of BANS) {
      if (pattern.test(line)) faults.push(`${source.path}:${i + 1}: ${mend}`);
    }
  }
  return faults;
}

export function sizes(source: Source): readonly string[] {
  const lines = source.text.trimEnd().split("\n");
  const faults: string[] = [];
  if (lines.length > FILE_LINES_MAX) faults.push(`${source.path}: ${lines.length} lines`);
  for (const [i, line] of lines.entries()) {
    const isLong = [...line].length > LINE_CHARS_MAX && !/https?:\/\//.test(line);
    if (isLong) faults.push(`${source.path}:${i + 1}: ${line.length} columns`);
  }
  return faults;
}

interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly params?: readonly unknown[];
}

function* nodesOf(value: unknown): Iterable<Syntax> {
  if (Array.isArray(value)) for (const item of value) yield* nodesOf(item);
  else if (typeof value === "object" && value !== null) {
    if ("type" in value && "start" in value) yield value as Syntax;
    for (const child of Object.values(value)) yield* nodesOf(child);
  }
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

export function functions(source: Source): readonly string[] {
  const faults: string[] = [];
  for (const node of nodesOf(parseSync(source.path, source.text).program)) {
    const at = `${source.path}:${source.text.slice(0, node.start).split("\n").length}`;
    if (node.type === "TSAnyKeyword") faults.push(`${at}: any`);
    if (node.type === "ExportDefaultDeclaration" && !mayExportDefault(source.path)) {
      faults.push(`${at}: a default export`);
    }
    if (!FUNCTIONS.has(node.type)) continue;
    const lineCount = source.text.slice(node.start, node.end).split("\n").length;
    if (lineCount > FUNCTION_LINES_MAX) faults.push(`${at}: a function of ${lineCount} lines`);
    const count = node.params?.length ?? 0;
    if (count > PARAMETERS_MAX + 1) faults.push(`${at}: ${count} positional parameters`);
  }
  return faults;
}

const mayExportDefault = (path: string): boolean =>
  path === "worker/index.ts" ||
  path === "bench/worker/bare-worker.ts" ||
  /^examples\/.*\/worker\.ts$/.test(path) ||
  path.endsWith(".config.ts") ||
  path.endsWith(".d.ts");

/** Import cycles, types included, each as the path that comes back to its beginning. */
export function cycles(sources: readonly Source[]): readonly string[] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      importsOf(source)
        .filter((target) => target.startsWith("."))
        .map((target) => resolveImport(source.path, target)),
    ]),
  );
  const faults: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) faults.push([...trail.slice(at), path].join(" → "));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return faults;
}

const ENTRIES =
  /^(src\/index|src\/(cli\/main|client\/index|testing\/index)|worker\/index|globals\.d|.*\.d)\.ts$|^(tests|bench|examples|scripts)\//;

/** Production files that nobody imports. */
export function deadFiles(sources: readonly Source[]): readonly string[] {
  const used = new Set(
    sources
      .filter(({ path }) => !path.startsWith("tests/"))
      .flatMap((source) => importsOf(source).map((target) => resolveImport(source.path, target))),
  );
  return sources.map(({ path }) => path).filter((path) => !used.has(path) && !ENTRIES.test(path));
}
