/** A folder tree, file by file; what cannot be stored is listed with the reason. */
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

export interface LeftOut {
  readonly file: string;
  readonly reason: string;
}

export interface Tree {
  /** Paths below the folder, with slashes. */
  readonly files: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

/** The entries of a folder, their names as the bytes that they are. */
export type ReadFolder = (path: string) => Promise<readonly Dirent<Buffer>[]>;

const readFolder: ReadFolder = (path) => readdir(path, { withFileTypes: true, encoding: "buffer" });

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** null for bytes that are not text: no key can hold them. */
function textOf(name: Buffer): string | null {
  try {
    return utf8.decode(name);
  } catch {
    return null;
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "no reason";

/**
 * Every file below the folder, in order. Names that are no UTF-8, links and what cannot be read are
 * left out and do not stop it.
 *
 * @throws the error of the folder itself
 */
export async function walk(dir: string, read: ReadFolder = readFolder): Promise<Tree> {
  const files: string[] = [];
  const leftOut: LeftOut[] = [];
  const visit = (prefix: string, entries: readonly Dirent<Buffer>[]): string[] => {
    const folders: string[] = [];
    for (const entry of [...entries].sort((a, b) => a.name.compare(b.name))) {
      const name = textOf(entry.name);
      const path = prefix + (name ?? entry.name.toString("utf8"));
      if (name === null) leftOut.push({ file: path, reason: "its name is not UTF-8" });
      else if (entry.isFile()) files.push(path);
      else if (entry.isDirectory()) folders.push(path);
      else {
        // Following links could leave the folder, or never end.
        const reason = entry.isSymbolicLink() ? "a symbolic link" : "not a regular file";
        leftOut.push({ file: path, reason });
      }
    }
    return folders;
  };
  const waiting = visit("", await read(dir)).reverse();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    try {
      const folders = visit(`${path}/`, await read(join(dir, path)));
      for (const folder of folders.reverse()) waiting.push(folder);
    } catch (error) {
      leftOut.push({ file: path, reason: `a folder that cannot be read (${codeOf(error)})` });
    }
  }
  return { files, leftOut };
}
