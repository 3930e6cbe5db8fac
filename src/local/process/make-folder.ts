/** Makes a folder, and those above it that are missing. */
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * One by one, from the first that is there: Node's own `recursive` goes on for ever in some places
 * where the system makes none.
 *
 * @param mode of those that are made, as `mkdir` takes it
 * @throws NodeJS.ErrnoException
 */
export function makeFolder(dir: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = resolve(dir); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const path of missing) makeOne(path, mode);
  // What is there may be a file, for which this throws; for a folder this does nothing.
  if (missing.length === 0) mkdirSync(dir, { recursive: true });
}

/** Another process may have been faster. */
function makeOne(path: string, mode: number): void {
  try {
    mkdirSync(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/**
 * Whether a folder is there to be written to, or could be made, as far as that can be told without
 * making it.
 *
 * @throws NodeJS.ErrnoException where not
 */
export function checkWritable(dir: string): void {
  let at = resolve(dir);
  while (!existsSync(at)) at = dirname(at);
  if (!statSync(at).isDirectory()) {
    throw Object.assign(new Error(`${at} is no folder`), { code: "ENOTDIR" });
  }
  accessSync(at, constants.W_OK | constants.X_OK);
}

/** Of what `--data` names. @throws Error with one line that names the folder and the mend */
export function makeDataFolder(dir: string): void {
  try {
    makeFolder(dir);
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    const mend = "give --data a folder that this user may write to";
    throw new Error(`${dir}: the data folder cannot be made (${code}): ${mend}`);
  }
}
