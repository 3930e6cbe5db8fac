/** The files of this tree, as tests of it read them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** What npm and wrangler leave beside sources is not ours. */
const STRANGERS = new Set(["node_modules", ".wrangler"]);

/**
 * All files below a folder, as paths from the root. No link is followed: an installed example has
 * one to the whole tree in its node_modules.
 */
export function filesIn(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return STRANGERS.has(entry.name) ? [] : filesIn(root, path);
    return entry.isFile() ? [path] : [];
  });
}
