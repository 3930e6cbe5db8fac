/** What stops a start: files and flags that cannot work. */
import { readFile } from "node:fs/promises";

/** A configuration that cannot work: one line that names what to mend. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** @throws ConfigError that names the file and what it should have been */
export async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw new ConfigError(`${path}: the ${what} cannot be read (${code})`);
  }
}
