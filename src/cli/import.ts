/**
 * `starling import DIR NAMESPACE`: a folder tree, file by file, the path as key.
 *
 * Each value carries the digest of its bytes as metadata, so a second run sees what is stored
 * already and sends only the rest: an import that was stopped is gone on with by running it again.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { lookup } from "mrmime";
import type { StarlingClient } from "../client/client.ts";
import { StarlingError } from "../client/error.ts";
import { clientOf, type Endpoint, failureOf } from "./http.ts";
import { CliError, failWith, printable, printJson, say } from "./output.ts";
import { inParallel, startProgress } from "./progress.ts";
import { atOnceOf, RETRIES } from "./transfer.ts";
import { type LeftOut, type Tree, walk } from "./tree.ts";

interface ImportFlags {
  readonly concurrency: string;
  readonly allowTooLarge?: boolean;
  readonly json?: boolean;
}

const TOO_LARGE = "larger than the namespace takes";

export const digestOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");

class Import {
  readonly #endpoint: Endpoint;
  readonly #client: StarlingClient;
  readonly #dir: string;
  readonly leftOut: LeftOut[];
  stored = 0;
  unchanged = 0;
  bytes = 0;

  constructor(endpoint: Endpoint, at: { dir: string; namespace: string; tree: Tree }) {
    this.#endpoint = endpoint;
    this.#client = clientOf(endpoint, at.namespace, RETRIES);
    this.#dir = at.dir;
    this.leftOut = [...at.tree.leftOut];
  }

  /** @throws CliError when it is of no use to go on */
  async file(path: string): Promise<void> {
    const bytes = await readFile(join(this.#dir, path)).catch((error: NodeJS.ErrnoException) => {
      this.leftOut.push({ file: path, reason: `cannot be read (${error.code})` });
      return null;
    });
    if (bytes === null) return;
    const sha256 = digestOf(bytes);
    try {
      const there = await this.#client.head(path);
      if (there.exists && (there.metadata as { sha256?: unknown } | null)?.sha256 === sha256) {
        this.unchanged++;
        return;
      }
      const contentType = lookup(path) ?? "application/octet-stream";
      const options = { contentType, metadata: { sha256 }, repeatable: true };
      await this.#client.put(path, new Uint8Array(bytes), options);
      this.stored++;
      this.bytes += bytes.length;
    } catch (error) {
      this.#settle(path, error);
    }
  }

  #settle(path: string, error: unknown): void {
    // A path that no key can be: too long for a URL, say.
    if (error instanceof RangeError) {
      this.leftOut.push({ file: path, reason: error.message });
      return;
    }
    if (!(error instanceof StarlingError)) throw error;
    const { message, exit } = failureOf(this.#endpoint, error) as CliError;
    if ([0, 401, 403].includes(error.status)) {
      throw new CliError(`${printable(path)}: ${message}; run it again to go on`, exit);
    }
    const reason = error.status === 413 ? TOO_LARGE : message;
    this.leftOut.push({ file: path, reason });
  }
}

function summarize(job: Import, flags: ImportFlags): void {
  const { stored, unchanged, bytes, leftOut } = job;
  if (flags.json === true) printJson({ stored, unchanged, bytes, leftOut });
  else {
    for (const { file, reason } of leftOut) say(`left out: ${printable(file)}: ${reason}`);
    say(`${stored} stored (${bytes} bytes), ${unchanged} unchanged, ${leftOut.length} left out`);
  }
  const isExcused = ({ reason }: LeftOut): boolean =>
    flags.allowTooLarge === true && reason === TOO_LARGE;
  const failedCount = leftOut.filter((one) => !isExcused(one)).length;
  if (failedCount > 0) failWith(`${failedCount} of the files could not be stored`);
}

export function addImport(program: Command, endpoint: () => Endpoint): void {
  program
    .command("import <dir> <namespace>")
    .description("store a folder tree: path = key, content type from the name; run again to go on")
    .option("--concurrency <count>", "files at once", "16")
    .option("--allow-too-large", "exit 0 when only files over the size limit were left out")
    .option("--json", "print the summary as JSON")
    .action(async (dir: string, namespace: string, flags: ImportFlags) => {
      const atOnce = atOnceOf(flags.concurrency);
      const tree = await walk(dir).catch((error: NodeJS.ErrnoException) => {
        throw new CliError(`${dir} cannot be read (${error.code})`);
      });
      const { files } = tree;
      const job = new Import(endpoint(), { dir, namespace, tree });
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
