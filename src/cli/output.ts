/** What the commands print: values and JSON on stdout, everything else on stderr. */

/** A failure that is said in one line; the exit status is 1. */
export class CliError extends Error {
  override readonly name = "CliError";
}

/** The command was not given as it should be; the exit status is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const useColour = (): boolean =>
  process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";

const paint = (code: number, text: string): string =>
  useColour() ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = (text: string): string => paint(1, text);
export const green = (text: string): string => paint(32, text);
export const red = (text: string): string => paint(31, text);

export const say = (line: string): void => void process.stdout.write(`${line}\n`);
export const warn = (line: string): void => void process.stderr.write(`${line}\n`);
export const printJson = (value: unknown): void => say(JSON.stringify(value, null, 2));

const isWithoutReader = ({ code }: NodeJS.ErrnoException): boolean => code === "EPIPE";

/**
 * What is printed for a reader that has gone (`| head`, a `tee` that was killed) is dropped: a
 * command ends as it would have, and a node serves on.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (!isWithoutReader(error)) throw error;
    });
  }
}

/** Bytes as they are, whole even into a slow pipe. */
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
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return rows.map((row, i) => (i === 0 ? bold(line(row)) : line(row))).join("\n");
}

/** Control characters of foreign text would reach the terminal otherwise. */
export const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
