/** The TypeScript projects of the tree: which part may import from which is written there, once. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

export interface Project {
  /** Its folder, relative to the project's root, with slashes. */
  readonly path: string;
  /** The projects that it may import from, beside itself. */
  readonly references: readonly string[];
  /** Names of packages whose globals it sees. */
  readonly types: readonly string[];
}

interface Tsconfig {
  readonly compilerOptions?: { readonly types?: readonly string[] };
  readonly references?: readonly { readonly path: string }[];
}

/** @throws SyntaxError when a `tsconfig.json` is no plain JSON */
export function readProjects(root: string): readonly Project[] {
  const read = (folder: string): Tsconfig =>
    JSON.parse(readFileSync(join(root, folder, "tsconfig.json"), "utf8"));
  return (read(".").references ?? []).map(({ path }) => {
    const { references = [], compilerOptions } = read(path);
    return {
      path,
      references: references.map((reference) => posix.join(path, reference.path)),
      types: compilerOptions?.types ?? [],
    };
  });
}

/** The innermost project that the file is part of. */
export function projectOf(projects: readonly Project[], file: string): Project | null {
  const around = projects.filter(({ path }) => file.startsWith(`${path}/`));
  return around.sort((a, b) => b.path.length - a.path.length)[0] ?? null;
}

/** The projects that one sees, through others too: as far as the compiler's own walls go. */
export function seenBy(projects: readonly Project[], path: string): ReadonlySet<string> {
  const seen = new Set([path]);
  for (const one of seen) {
    const { references = [] } = projects.find((project) => project.path === one) ?? {};
    for (const reference of references) seen.add(reference);
  }
  return seen;
}
