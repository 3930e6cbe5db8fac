/**
 * The file that a backup is written to. It grows under another name, `FILE.part`, with notes
 * beside it of how far it is for certain; a backup that was stopped goes on from there. A name that
 * ends in `.gz` is compressed: page by page, so that more can be appended later (a gzip file of
 * many members, RFC 1952, 2.2, which every tool reads as one).
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, stat, truncate } from "node:fs/promises";
import { createGunzip, gzipSync } from "node:zlib";
import { CliError, writeBytes } from "./output.ts";

/** Where the lines go. */
export interface Sink {
  /** The hash of everything written so far. */
  sha256(): string;
  write(text: string): Promise<void>;
  /** Makes durable what was written; a later run goes on after it by these notes. */
  keep(notes: object): Promise<void>;
  done(): Promise<void>;
}

/** Stdout: a later run cannot go on from it. */
export function stdoutSink(): Sink {
  const hash = createHash("sha256");
  return {
    sha256: () => hash.copy().digest("hex"),
    write: (text) => {
      const bytes = Buffer.from(text);
      hash.update(bytes);
      return writeBytes(bytes);
    },
    keep: () => Promise.resolve(),
    done: () => Promise.resolve(),
  };
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

interface Kept {
  readonly byteCount: number;
  readonly notes: unknown;
}

async function keptIn(path: string): Promise<Kept | null> {
  const text = await readFile(`${path}.part.notes`, "utf8").catch(() => null);
  if (text === null || !(await exists(`${path}.part`))) return null;
  try {
    return JSON.parse(text) as Kept;
  } catch {
    return null;
  }
}

/** Hashes what a file holds, uncompressed. */
async function rehash(hash: Hash, path: string, isZipped: boolean): Promise<void> {
  const bytes = createReadStream(path);
  for await (const chunk of isZipped ? bytes.pipe(createGunzip()) : bytes) {
    hash.update(chunk as Buffer);
  }
}

export class FileSink implements Sink {
  readonly #path: string;
  readonly #hash: Hash;
  readonly #file: FileHandle;
  #byteCount: number;
  /** Of an earlier run; null when this one begins. */
  readonly notes: unknown;

  private constructor(path: string, file: FileHandle, hash: Hash, kept: Kept | null) {
    this.#path = path;
    this.#file = file;
    this.#hash = hash;
    this.#byteCount = kept?.byteCount ?? 0;
    this.notes = kept?.notes ?? null;
  }

  /** @throws CliError */
  static async open(path: string): Promise<FileSink> {
    if (await exists(path)) throw new CliError(`${path} is there already: give another name`);
    const hash = createHash("sha256");
    const kept = await keptIn(path);
    try {
      if (kept !== null && kept.byteCount > 0) {
        await truncate(`${path}.part`, kept.byteCount);
        await rehash(hash, `${path}.part`, path.endsWith(".gz"));
      }
      const file = await open(`${path}.part`, kept === null ? "w" : "a", 0o600);
      return new FileSink(path, file, hash, kept);
    } catch (error) {
      const { code = "it is damaged" } = error as NodeJS.ErrnoException;
      throw new CliError(`${path}.part cannot be written (${code})`);
    }
  }

  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  async write(text: string): Promise<void> {
    const plain = Buffer.from(text);
    this.#hash.update(plain);
    const bytes = this.#path.endsWith(".gz") ? gzipSync(plain) : plain;
    await this.#file.appendFile(bytes);
    this.#byteCount += bytes.length;
  }

  /** First the bytes, then the notes of how far they count, written aside and renamed. */
  async keep(notes: object): Promise<void> {
    await this.#file.datasync();
    const aside = `${this.#path}.part.notes.new`;
    const file = await open(aside, "w", 0o600);
    await file.writeFile(JSON.stringify({ byteCount: this.#byteCount, notes }));
    await file.datasync();
    await file.close();
    await rename(aside, `${this.#path}.part.notes`);
  }

  async done(): Promise<void> {
    await this.#file.datasync();
    await this.#file.close();
    await rename(`${this.#path}.part`, this.#path);
    await rm(`${this.#path}.part.notes`, { force: true });
  }
}
