/**
 * `starling import DIR NAMESPACE`: a folder tree, file by file, the path as key.
 *
 * Each value carries the digest of its bytes as metadata, so a second run sees what is stored
 * already and sends only the rest: an import that was stopped is gone on with by running it again.
 */
import { createHash } from "node:crypto";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { lookup } from "mrmime";
import { type Endpoint, keyPath, problemLine, send, sendPatiently } from "./http.ts";
import { CliError, printable, printJson, say, UsageError, warn } from "./output.ts";
import { inParallel, startProgress } from "./progress.ts";

interface LeftOut {
  readonly file: string;
  readonly reason: string;
}

interface ImportFlags {
  readonly concurrency: string;
  readonly allowTooLarge?: boolean;
  readonly json?: boolean;
}

export interface Tree {
  readonly files: readonly string[];
  readonly leftOut: LeftOut[];
}

/** Every file below the folder, by its path with slashes; what cannot be stored is said. */
export async function walk(dir: string, prefix = ""): Promise<Tree> {
  const files: string[] = [];
  const leftOut: LeftOut[] = [];
  const names = await readdir(join(dir, prefix)).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${join(dir, prefix)} cannot be read (${error.code})`);
  });
  for (const name of names.sort()) {
    const path = prefix === "" ? name : `${prefix}/${name}`;
    const stat = await lstat(join(dir, path));
    if (stat.isFile()) files.push(path);
    else if (stat.isDirectory()) {
      const below = await walk(dir, path);
      files.push(...below.files);
      leftOut.push(...below.leftOut);
    } else {
      // Following links could leave the folder, or never end.
      const reason = stat.isSymbolicLink() ? "a symbolic link" : "not a regular file";
      leftOut.push({ file: path, reason });
    }
  }
  return { files, leftOut };
}

export const metadataOf = (bytes: Uint8Array): string =>
  JSON.stringify({ sha256: createHash("sha256").update(bytes).digest("hex") });

class Import {
  readonly #endpoint: Endpoint;
  readonly #dir: string;
  readonly #namespace: string;
  readonly leftOut: LeftOut[];
  stored = 0;
  unchanged = 0;
  bytes = 0;

  constructor(endpoint: Endpoint, at: { dir: string; namespace: string; leftOut: LeftOut[] }) {
    this.#endpoint = endpoint;
    this.#dir = at.dir;
    this.#namespace = at.namespace;
    this.leftOut = at.leftOut;
  }

  async file(path: string): Promise<void> {
    const url = keyPath(this.#namespace, path);
    const bytes = await readFile(join(this.#dir, path)).catch((error: NodeJS.ErrnoException) => {
      this.leftOut.push({ file: path, reason: `cannot be read (${error.code})` });
      return null;
    });
    if (bytes === null) return;
    const metadata = metadataOf(bytes);
    if (await this.#isStored(url, metadata)) {
      this.unchanged++;
      return;
    }
    const type = lookup(path) ?? "application/octet-stream";
    const headers = { "Content-Type": type, "Starling-Metadata": metadata };
    const request = { method: "PUT", headers, body: bytes };
    const response = await sendPatiently(this.#endpoint, url, request);
    await this.#settle(path, bytes.length, response);
  }

  async #isStored(url: string, metadata: string): Promise<boolean> {
    const response = await send(this.#endpoint, url, { method: "HEAD" });
    return response.ok && response.headers.get("Starling-Metadata") === metadata;
  }

  async #settle(path: string, byteCount: number, response: Response): Promise<void> {
    if (response.ok) {
      await response.arrayBuffer();
      this.stored++;
      this.bytes += byteCount;
    } else if (response.status === 401 || response.status === 403) {
      throw new CliError(await problemLine(response));
    } else {
      const isTooLarge = response.status === 413;
      const line = await problemLine(response);
      this.leftOut.push({ file: path, reason: isTooLarge ? TOO_LARGE : line });
    }
  }
}

const TOO_LARGE = "larger than the namespace takes";

function summarize(job: Import, flags: ImportFlags): void {
  const { stored, unchanged, bytes, leftOut } = job;
  if (flags.json === true) printJson({ stored, unchanged, bytes, leftOut });
  else {
    for (const { file, reason } of leftOut) warn(`left out: ${printable(file)}: ${reason}`);
    say(`${stored} stored (${bytes} bytes), ${unchanged} unchanged, ${leftOut.length} left out`);
  }
  const isExcused = ({ reason }: LeftOut): boolean =>
    flags.allowTooLarge === true && reason === TOO_LARGE;
  if (!leftOut.every(isExcused)) process.exitCode = 1;
}

export function addImport(program: Command, endpoint: () => Endpoint): void {
  program
    .command("import <dir> <namespace>")
    .description("store a folder tree: path = key, content type from the name; run again to go on")
    .option("--concurrency <count>", "files at once", "16")
    .option("--allow-too-large", "exit 0 when only files over the size limit were left out")
    .option("--json", "print the summary as JSON")
    .action(async (dir: string, namespace: string, flags: ImportFlags) => {
      const atOnce = Number(flags.concurrency);
      if (!(atOnce >= 1 && atOnce <= 256)) throw new UsageError("--concurrency takes 1 to 256");
      const { files, leftOut } = await walk(dir);
      const job = new Import(endpoint(), { dir, namespace, leftOut });
      const progress = startProgress("importing", files.length, flags.json === true);
      try {
        await inParallel(files, atOnce, async (path) => {
          await job.file(path);
          progress.step(path);
        });
      } finally {
        progress.stop();
      }
      summarize(job, flags);
    });
}
