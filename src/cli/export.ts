/**
 * `starling export NAMESPACE DIR`: each key of a namespace as a file, its bytes as they are stored.
 * A key is foreign text: one that is no plain relative path is reported and never written. Files
 * that are there already are left as they are: those with the digest that the import noted, and
 * unchanged ones that an earlier export has noted.
 */
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import type { ListedKey } from "../client/call-types.ts";
import type { StarlingClient } from "../client/client.ts";
import { StarlingError } from "../client/error.ts";
import { checkWritable, makeFolder } from "../local/process/make-folder.ts";
import { ExportNotes, NOTES_FILE } from "./export-notes.ts";
import { clientOf, type Endpoint, failingWell, failureOf } from "./http.ts";
import { digestOf } from "./import.ts";
import { CliError, EXIT, failWith, printable, printJson, say, warn } from "./output.ts";
import { inParallel, startProgress } from "./progress.ts";
import { atOnceOf, RETRIES } from "./transfer.ts";

/** Whether the key can be a path below the folder, and nowhere else. */
export function isSafePath(key: string): boolean {
  if (key.includes("\0") || key.includes("\\") || key.startsWith("/")) return false;
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

interface At {
  readonly namespace: string;
  readonly dir: string;
  /** A folder for files on their way, so that names may be as long as the disk takes. */
  readonly aside: string;
  readonly notes: ExportNotes;
}

class Export {
  readonly #endpoint: Endpoint;
  readonly #client: StarlingClient;
  readonly #at: At;
  readonly leftOut: { key: string; reason: string }[] = [];
  written = 0;
  unchanged = 0;
  bytes = 0;
  #asideCount = 0;

  constructor(endpoint: Endpoint, at: At) {
    this.#endpoint = endpoint;
    this.#client = clientOf(endpoint, at.namespace, RETRIES);
    this.#at = at;
  }

  /** @throws CliError that names the key when it is of no use to go on */
  async key({ name, metadata }: ListedKey): Promise<void> {
    if (!isSafePath(name)) return this.#leaveOut(name, "no relative path");
    if (name === NOTES_FILE) return this.#leaveOut(name, "the export's own notes are called so");
    const file = join(this.#at.dir, name);
    const sha256 = (metadata as { sha256?: unknown } | null)?.sha256;
    if (typeof sha256 === "string" && (await this.#has(file, sha256))) {
      this.unchanged++;
      return;
    }
    try {
      await this.#fetch(name, file);
    } catch (error) {
      this.#settle(name, error);
    }
  }

  async #fetch(name: string, file: string): Promise<void> {
    const noted = this.#at.notes.etagOf(name);
    const condition = noted !== null && (await exists(file)) ? { ifNoneMatch: noted } : {};
    const got = await this.#client.get(name, condition);
    if (got.isUnchanged) {
      this.unchanged++;
      return;
    }
    // It has gone since it was listed: there is nothing to write.
    if (!got.exists) return;
    const bytes = await got.bytes();
    try {
      await this.#write(file, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return this.#leaveOut(name, `cannot be written (${code})`);
    }
    await this.#at.notes.wrote(this.#at.namespace, name, got.etag);
    this.written++;
    this.bytes += bytes.length;
  }

  #settle(name: string, error: unknown): void {
    // A key that no URL can carry.
    if (error instanceof RangeError) return this.#leaveOut(name, error.message);
    if (!(error instanceof StarlingError)) throw error;
    const { message, exit } = failureOf(this.#endpoint, error) as CliError;
    if ([0, 401, 403].includes(error.status)) {
      throw new CliError(`${printable(name)}: ${message}; run it again to go on`, exit);
    }
    this.#leaveOut(name, message);
  }

  #leaveOut(key: string, reason: string): void {
    this.leftOut.push({ key, reason });
  }

  async #has(file: string, sha256: string): Promise<boolean> {
    const bytes = await readFile(file).catch(() => null);
    return bytes !== null && digestOf(bytes) === sha256;
  }

  /** Aside first, then into place: a stopped export leaves no half file. */
  async #write(file: string, bytes: Uint8Array): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    const aside = join(this.#at.aside, String(++this.#asideCount));
    try {
      await writeFile(aside, bytes);
      await rename(aside, file);
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }
}

async function listAll(at: Endpoint, namespace: string): Promise<readonly ListedKey[]> {
  const items: ListedKey[] = [];
  await failingWell(at, async () => {
    for await (const item of clientOf(at, namespace, RETRIES).list()) items.push(item);
  });
  return items;
}

/** @throws CliError */
async function writing<T>(dir: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new CliError(`${dir} cannot be written to (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** A folder of the same disk for files on their way. @throws CliError */
const makeFolders = (dir: string): Promise<string> =>
  writing(dir, () => {
    makeFolder(dir);
    return mkdtemp(join(dir, ".starling-"));
  });

function summarize(job: Export, isJson: boolean): void {
  const { written, unchanged, bytes, leftOut } = job;
  if (isJson) printJson({ written, unchanged, bytes, leftOut });
  else {
    for (const { key, reason } of leftOut) say(`left out: ${printable(key)}: ${reason}`);
    const counts = `${written} written (${bytes} bytes), ${unchanged} unchanged`;
    say(`${counts}, ${leftOut.length} left out`);
  }
  if (leftOut.length > 0) failWith(`${leftOut.length} of the keys could not be written`);
}

interface ExportFlags {
  readonly concurrency: string;
  readonly json?: boolean;
}

async function run(at: Endpoint, to: { namespace: string; dir: string }, flags: ExportFlags) {
  const { namespace, dir } = to;
  const atOnce = atOnceOf(flags.concurrency);
  await writing(dir, () => checkWritable(dir));
  const items = await listAll(at, namespace);
  const aside = await makeFolders(dir);
  const stop = (): void => {
    rmSync(aside, { recursive: true, force: true });
    warn("starling: stopped; run it again to go on");
    process.exit(EXIT.failed);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const progress = startProgress("exporting", items.length, flags.json === true);
  try {
    const notes = await ExportNotes.open(dir, namespace);
    const job = new Export(at, { namespace, dir, aside, notes });
    await inParallel(items, atOnce, async (item) => {
      await job.key(item);
      progress.step(item.name);
    });
    if (job.leftOut.length === 0) await notes.remove();
    progress.stop();
    summarize(job, flags.json === true);
  } finally {
    progress.stop();
    await rm(aside, { recursive: true, force: true });
  }
}

export function addExport(program: Command, endpoint: () => Endpoint): void {
  program
    .command("export <namespace> <dir>")
    .description("write every key of a namespace to a file; run again to go on")
    .option("--concurrency <count>", "keys at once", "16")
    .option("--json", "print the summary as JSON")
    .action((namespace: string, dir: string, flags: ExportFlags) =>
      run(endpoint(), { namespace, dir }, flags),
    );
}
