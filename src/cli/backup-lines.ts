/** A backup read back, line by line, from a file or stdin, compressed or not. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { type KnownPurge, noPurges, PurgeIndex, purgesFrom } from "../../core/purges.ts";
import { FORMAT, type Line, lineFrom } from "./backup-format.ts";
import { CliError } from "./output.ts";

const NEWLINE = 0x0a;
const isZipped = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function* chunksOf(file: string): AsyncGenerator<Buffer> {
  const source: Readable = file === "-" ? process.stdin : createReadStream(file);
  try {
    yield* plainChunks(source);
  } finally {
    // A reader of the head alone lets go of the file.
    source.destroy();
  }
}

async function* plainChunks(source: Readable): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head: Buffer = Buffer.alloc(0);
  let isOver = false;
  while (head.length < 2 && !isOver) {
    const next = await chunks.next();
    isOver = next.done === true;
    if (!isOver) head = Buffer.concat([head, next.value as Buffer]);
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield next.value;
    }
  };
  if (!isZipped(head)) return yield* all();
  const plain = Readable.from(all());
  const unzipped = createGunzip();
  plain.on("error", (error) => unzipped.destroy(error));
  for await (const chunk of plain.pipe(unzipped)) yield chunk as Buffer;
}

async function* bytesOfLines(file: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  for await (const chunk of chunksOf(file)) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, at)]);
      rest = [];
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

export interface NumberedLine {
  /** From 1 on. */
  readonly number: number;
  /** null: it is damaged. */
  readonly line: Line | null;
}

/** Why a file could not be read on, in words. */
function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "Z_BUF_ERROR") return "it was cut off";
  if (code?.startsWith("Z_") === true) return "what is compressed in it is damaged";
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder";
  if (code === "EACCES") return "this user may not read it";
  return code ?? String(error);
}

/**
 * Every line with its number. The first must say that this is a backup. The last must say that it
 * is whole; its checksum is of all before it.
 *
 * @throws CliError when it is no backup, or was cut off
 */
export async function* linesIn(file: string): AsyncGenerator<NumberedLine> {
  const hash = createHash("sha256");
  let number = 0;
  let isWhole = false;
  try {
    for await (const bytes of bytesOfLines(file)) {
      number++;
      const line = lineFrom(bytes.toString("utf8"));
      if (number === 1) expectHead(line, file);
      if (line !== null && "end" in line) {
        isWhole = true;
        if (hash.digest("hex") === line.sha256) yield { number, line };
        else yield { number, line: null };
        break;
      }
      hash.update(bytes).update("\n");
      yield { number, line };
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    const where = number === 0 ? file : `${file}, behind line ${number}`;
    throw new CliError(`${where}: ${reasonOf(error)}`);
  }
  if (isWhole) return;
  if (number === 0) throw new CliError(`${file} is empty: it is no backup`);
  throw new CliError(`${file} was cut off behind line ${number}: its end is missing`);
}

/**
 * Checks by the first line that there is a backup. Stdin, which is read once, is checked then.
 *
 * @throws CliError when there is none
 */
export async function expectBackup(file: string): Promise<void> {
  if (file === "-") return;
  for await (const _ of linesIn(file)) return;
}

/**
 * What a backup says was purged, wherever in the file that stands. For stdin, which is read once,
 * nothing can be known ahead. Of a damaged file its next reader complains.
 *
 * @throws CliError for malformed purges
 */
export async function purgesIn(file: string): Promise<PurgeIndex> {
  if (file === "-") return new PurgeIndex(noPurges);
  const purges: KnownPurge[] = [];
  try {
    for await (const { line } of linesIn(file)) {
      if (line !== null && "purge" in line) purges.push(line.purge);
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
  }
  return purgeIndexOf(purges, file);
}

/** @throws CliError */
export function purgeIndexOf(purges: readonly KnownPurge[], file: string): PurgeIndex {
  try {
    return new PurgeIndex(purgesFrom(purges));
  } catch (error) {
    throw new CliError(`${file} names a malformed purge: ${(error as Error).message}`);
  }
}

function expectHead(line: Line | null, file: string): void {
  if (line === null || !("starling" in line))
    throw new CliError(`${file} is no backup of Starling`);
  if (line.format === FORMAT) return;
  throw new CliError(`${file} is a backup of format ${line.format}; this program reads ${FORMAT}`);
}
