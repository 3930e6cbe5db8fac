/** Another commit of this very project beside the working tree, ready to be run. */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeDir } from "./processes.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Worktree {
  /** The commit, abbreviated. */
  readonly commit: string;
  readonly root: string;
  /** Takes it away again; once more does nothing. */
  remove(): void;
}

const git = (...args: readonly string[]): string =>
  execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

export class NoSuchCommit extends Error {
  override readonly name = "NoSuchCommit";
}

/** What is installed for production, as npm locked it; as text, to be compared. */
function lockedIn(root: string): string {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<
      Record<string, { readonly version?: string; readonly dev?: boolean }>
    >;
  };
  const used = Object.entries(lock.packages).filter(
    ([path, { dev }]) => path !== "" && dev !== true,
  );
  return JSON.stringify(used.map(([path, { version }]) => [path, version]));
}

/**
 * Checks a commit out into a folder of its own. It runs on the packages that are installed here
 * where it locked the same ones, else on its own.
 *
 * @throws NoSuchCommit in one line
 */
export function checkOut(ref: string): Worktree {
  let commit: string;
  try {
    commit = git("rev-parse", "--verify", "--quiet", "--short", `${ref}^{commit}`).trim();
  } catch {
    throw new NoSuchCommit(`"${ref}" is no commit here`);
  }
  const dir = makeDir();
  const root = join(dir, "tree");
  let isThere = true;
  const remove = (): void => {
    if (!isThere) return;
    isThere = false;
    git("worktree", "remove", "--force", root);
    rmSync(dir, { recursive: true, force: true });
  };
  git("worktree", "add", "--detach", root, commit);
  try {
    if (lockedIn(root) === lockedIn(ROOT)) {
      symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    } else {
      execFileSync("npm", ["ci", "--omit=dev", "--no-audit", "--no-fund"], {
        cwd: root,
        stdio: "ignore",
      });
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { commit, root, remove };
}
