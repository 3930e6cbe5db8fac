/**
 * What an export has written so far, in a file of its own in the folder: a line of JSON for each
 * key, with the ETag of what was written. The next run asks for those keys with the condition that
 * they have changed. When all is written the notes go.
 */
import { appendFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

export const NOTES_FILE = ".starling-export";

export class ExportNotes {
  readonly #file: string;
  readonly #etags: Map<string, string>;

  private constructor(file: string, etags: Map<string, string>) {
    this.#file = file;
    this.#etags = etags;
  }

  /** Notes of another namespace, and a line that was cut off, say nothing. */
  static async open(dir: string, namespace: string): Promise<ExportNotes> {
    const file = join(dir, NOTES_FILE);
    const etags = new Map<string, string>();
    const text = await readFile(file, "utf8").catch(() => "");
    for (const line of text.split("\n")) {
      const note = parsed(line);
      if (note?.namespace === namespace) etags.set(note.key, note.etag);
    }
    return new ExportNotes(file, etags);
  }

  /** The ETag of what was written of the key; null when nothing was. */
  etagOf(key: string): string | null {
    return this.#etags.get(key) ?? null;
  }

  async wrote(namespace: string, key: string, etag: string): Promise<void> {
    await appendFile(this.#file, `${JSON.stringify({ namespace, key, etag })}\n`);
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

interface Note {
  readonly namespace: string;
  readonly key: string;
  readonly etag: string;
}

function parsed(line: string): Note | null {
  try {
    const { namespace, key, etag } = JSON.parse(line) as Partial<Record<keyof Note, unknown>>;
    if (typeof namespace !== "string" || typeof key !== "string") return null;
    return typeof etag === "string" ? { namespace, key, etag } : null;
  } catch {
    return null;
  }
}
