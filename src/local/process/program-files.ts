/**
 * Where the program's own files lie. A checkout has the sources; an installed package has what was
 * built of them (`scripts/build-package.ts`), in fewer files at other places.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of the program's own package.json, above this file wherever it was bundled to. */
function findRoot(): URL {
  for (let dir = new URL(".", import.meta.url); ; dir = new URL("..", dir)) {
    if (existsSync(new URL("package.json", dir))) return dir;
    if (dir.pathname === "/") throw new Error("the program stands outside of its package");
  }
}

const root = findRoot();
const inRoot = (path: string): string => fileURLToPath(new URL(path, root));

/** Whether this is a checkout: then the sources are run, whatever was built of them before. */
const hasSources = existsSync(new URL("worker/index.ts", root));

/** The program that starts a command. */
export const BIN = inRoot("bin/starling.js");
/** Starts workerd such that it ends with this process. */
export const WORKERD_GUARD = inRoot(hasSources ? "src/local/workerd.sh" : "dist/dev/workerd.sh");
/** The Worker's source, to be bundled; null where `WORKER_BUNDLE` stands in its place. */
export const WORKER_SOURCE = hasSources ? inRoot("worker/index.ts") : null;
/** The folder of the Worker as it was bundled for an installed package. */
export const WORKER_BUNDLE = inRoot("dist/dev/worker");
