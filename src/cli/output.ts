/** What the commands print: values and JSON on stdout, everything else on stderr. */

import { stripVTControlCharacters } from "node:util";

/** What a command ends with; 0 is done. */
export const EXIT = {
  failed: 1,
  /** The command was not given as it should be. */
  usage: 2,
  /** Nothing is stored under that key. */
  nothing: 3,
  /** No frontend answered. */
  nobody: 4,
} as const;

/** A failure that is said in one line. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: number;

  /** @param cause the underlying error, for a caller that can do something about it */
  constructor(message: string, exit: number = EXIT.failed, cause: unknown = undefined) {
    super(message, { cause });
    this.exit = exit;
  }
}

/** The command was not given as it should be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Only on a terminal, and not where NO_COLOR is set (https://no-color.org). */
const useColour = (): boolean =>
  process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";

const paint = (code: number, text: string): string =>
  useColour() ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = (text: string): string => paint(1, text);
export const green = (text: string): string => paint(32, text);
export const yellow = (text: string): string => paint(33, text);
export const red = (text: string): string => paint(31, text);

export const say = (line: string): void => void process.stdout.write(`${line}\n`);
export const warn = (line: string): void => void process.stderr.write(`${line}\n`);
/** Says in one line that the command failed, behind a result that is printed all the same. */
export function failWith(line: string): void {
  warn(`starling: ${line}`);
  process.exitCode = EXIT.failed;
}
export const printJson = (value: unknown): void => say(JSON.stringify(value, null, 2));

const isWithoutReader = ({ code }: NodeJS.ErrnoException): boolean => code === "EPIPE";

let hasOnlyReaders = false;

/**
 * What is printed for a reader that has gone (`| head`, a `tee` that was killed) is dropped: a
 * command ends as it would have, and a node serves on, even where its log cannot be written, as on
 * a full disk. A result that cannot be written is a failure.
 */
export function outliveReaders(): void {
  process.stderr.on("error", () => undefined);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (isWithoutReader(error)) {
      if (hasOnlyReaders) process.exit(0);
      return;
    }
    warn(`starling: stdout cannot be written (${error.code ?? error.message})`);
    process.exit(EXIT.failed);
  });
}

/** For a command that prints and does nothing else, without end: nobody reads, so it is over. */
export function endWithReader(): void {
  hasOnlyReaders = true;
}

/** Writes bytes as they are, whole even into a slow pipe. */
export function writeBytes(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) =>
      error && !isWithoutReader(error) ? reject(error) : resolve(),
    );
  });
}

/** Columns as wide as their widest cell. The first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  const widthOf = (cell: string): number => stripVTControlCharacters(cell).length;
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell + " ".repeat((widths[i] as number) - widthOf(cell)))
      .join("  ")
      .trimEnd();
  return rows.map((row, i) => (i === 0 ? bold(line(row)) : line(row))).join("\n");
}

/** Control characters of foreign text would reach the terminal otherwise. */
export const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));

/** `1 key`, `3 keys`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : "s"}`;
