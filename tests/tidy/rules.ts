/** What a compiler cannot see, as functions from a source to what is wrong with it. */
import { posix } from "node:path";
import { parseSync } from "vite";
import { type Project, projectOf } from "./projects.ts";

export interface Source {
  /** Relative to the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** The folders where a seed alone decides a run. */
const isDeterministic = (path: string): boolean =>
  /^(core|ring|replica|antientropy|src\/(node|cache|staleness|metrics))\//.test(path);
/** The folders that have only Web standards at hand. */
const isPortable = (path: string): boolean =>
  isDeterministic(path) || /^(src\/(frontend|door|client|driver|testing)|worker)\//.test(path);

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

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 60;
export const LINE_CHARS_MAX = 100;
export const PARAMETERS_MAX = 3;

const IMPORT = /(?:^|\n)\s*(?:import|export)[^"';]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g;

export function importsOf({ text }: Source): readonly string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? "");
}

/** The path that a relative import means. */
export const resolveImport = (from: string, to: string): string =>
  posix.join(posix.dirname(from), to);

/** Comments, texts and regular expressions are not code. Lines stay where they are. */
export function codeOnly(text: string): string {
  const blank = (match: string): string => match.replace(/[^\n]/g, " ");
  return text
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, blank)
    .replace(/\/\/[^\n]*/g, blank)
    .replace(/`(?:[^`\\$]|\\.|\$(?!\{))*`/g, blank);
}

/** Scripts that browsers load as they stand. */
const isOfPage = (path: string): boolean => path.startsWith("src/frontend/ui/page/");

/** Tests, benches and scripts are on top of everything. */
const isProduction = (path: string): boolean => !/^(tests|bench|scripts|examples)\//.test(path);

export function layering(projects: readonly Project[], source: Source): readonly string[] {
  const own = projectOf(projects, source.path);
  if (own === null || !isProduction(source.path)) return [];
  const faults: string[] = [];
  for (const target of importsOf(source)) {
    if (target.startsWith("node:") && isPortable(source.path)) {
      faults.push(`${source.path}: imports ${target}, which not every host has`);
    }
    if (!target.startsWith(".")) continue;
    if (!isOfPage(source.path) && !target.endsWith(".ts")) {
      faults.push(`${source.path}: ${target} has no extension`);
    }
    const other = projectOf(projects, resolveImport(source.path, target))?.path;
    if (other !== own.path && !own.references.some((path) => path === other)) {
      faults.push(`${source.path}: imports ${target}, and ${own.path} does not refer to it`);
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

/** The floor of reading foreign input: these files throw CodecError, and know no other way. */
const READERS_APART = ["core/check.ts", "core/assert.ts"];

/**
 * Ways to report bad foreign input other than CodecError (core/check.ts): a function that returns
 * what it read or else a text, a catch that takes any error for bad input, and a catch of a broken
 * invariant, which is our own mistake.
 */
export function refusals({ path, text }: Source): readonly string[] {
  if (READERS_APART.includes(path)) return [];
  const faults: string[] = [];
  const lines = codeOnly(text).split("\n");
  for (const [i, line] of lines.entries()) {
    const at = `${path}:${i + 1}`;
    if (/\): (?:readonly )?[A-Z][\w<>, ]*(?:\[\])? \| string(?: \{| =>|$)/.test(line)) {
      faults.push(`${at}: a value, or words: throw CodecError`);
    }
    if (/\bAssertionFailure\b/.test(line)) faults.push(`${at}: nobody catches a broken invariant`);
    if (!isDeterministic(path) || !/\bcatch\b/.test(line)) continue;
    const follows = lines.slice(i, i + 4).join(" ");
    if (!/instanceof/.test(follows) || /instanceof Error\b/.test(follows)) {
      faults.push(`${at}: a catch names what it catches`);
    }
  }
  return faults;
}

/** Generated from texts that stand elsewhere in readable lines. */
const isGenerated = ({ text }: Source): boolean => text.startsWith("// Generated by ");

/** A file that is too long, in lines. */
export function lengths(source: Source): readonly string[] {
  if (isGenerated(source)) return [];
  const count = source.text.trimEnd().split("\n").length;
  return count > FILE_LINES_MAX ? [`${source.path}: ${count} lines`] : [];
}

/** Lines that are too long, in columns. */
export function widths(source: Source): readonly string[] {
  if (isGenerated(source)) return [];
  return source.text.split("\n").flatMap((line, i) => {
    const isLong = [...line].length > LINE_CHARS_MAX && !/https?:\/\//.test(line);
    return isLong ? [`${source.path}:${i + 1}: ${line.length} columns`] : [];
  });
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

/** What each file imports. */
const importGraph = (sources: readonly Source[]): ReadonlyMap<string, readonly string[]> =>
  new Map(
    sources.map((source) => [
      source.path,
      importsOf(source)
        .filter((target) => target.startsWith("."))
        .map((target) => resolveImport(source.path, target)),
    ]),
  );

/** The ways that come back to their beginning. */
function circlesIn(graph: ReadonlyMap<string, Iterable<string>>): readonly string[] {
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

/** Import cycles, types included, each as the path that comes back to its beginning. */
export const cycles = (sources: readonly Source[]): readonly string[] =>
  circlesIn(importGraph(sources));

/** As deep as folders go. */
const LEVELS = [1, 2, 3, 4];

/** The same between folders: at each level, a folder stands for all that is in it. */
export function folderCycles(sources: readonly Source[]): readonly string[] {
  const files = importGraph(sources);
  return LEVELS.flatMap((level) => {
    const folders = new Map<string, Set<string>>();
    const folderOf = (path: string): string =>
      path.split("/").slice(0, -1).slice(0, level).join("/");
    for (const [path, targets] of files) {
      const folder = folderOf(path);
      const others = folders.get(folder) ?? new Set();
      for (const target of targets) if (folderOf(target) !== folder) others.add(folderOf(target));
      folders.set(folder, others);
    }
    return circlesIn(folders);
  });
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
  return sources
    .map(({ path }) => path)
    .filter((path) => !used.has(path) && !ENTRIES.test(path) && !isOfPage(path));
}
