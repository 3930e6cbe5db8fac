/**
 * `starling export NAMESPACE DIR`: every key of a namespace as a file. A key is foreign text: one
 * that is no plain relative path is reported and never written. Files that are there already and
 * have the digest that the import noted are left as they are.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { type Endpoint, keyPath, problemLine, sendJson, sendPatiently } from "./http.ts";
import { CliError, printable, printJson, say, UsageError, warn } from "./output.ts";
import { inParallel, startProgress } from "./progress.ts";

interface ListBody {
  readonly keys: readonly { readonly name: string; readonly metadata?: unknown }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}

interface Item {
  readonly name: string;
  readonly sha256: string | null;
}

async function listAll(endpoint: Endpoint, namespace: string): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor = "";
  for (;;) {
    const query = cursor === "" ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const path = `/v1/kv/${encodeURIComponent(namespace)}${query}`;
    const page = (await sendJson(endpoint, path)) as ListBody;
    for (const { name, metadata } of page.keys) {
      const sha256 = (metadata as { sha256?: unknown } | undefined)?.sha256;
      items.push({ name, sha256: typeof sha256 === "string" ? sha256 : null });
    }
    if (page.list_complete || page.cursor === undefined) return items;
    cursor = page.cursor;
  }
}

/** Whether the key can be a path below the folder, and nowhere else. */
export function isSafePath(key: string): boolean {
  if (key.includes("\0") || key.includes("\\") || key.startsWith("/")) return false;
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

class Export {
  readonly #endpoint: Endpoint;
  readonly #namespace: string;
  readonly #dir: string;
  readonly leftOut: { key: string; reason: string }[] = [];
  written = 0;
  unchanged = 0;
  bytes = 0;

  constructor(endpoint: Endpoint, at: { namespace: string; dir: string }) {
    this.#endpoint = endpoint;
    this.#namespace = at.namespace;
    this.#dir = at.dir;
  }

  async key({ name, sha256 }: Item): Promise<void> {
    if (!isSafePath(name)) return this.#leaveOut(name, "no relative path");
    const file = join(this.#dir, name);
    if (sha256 !== null && (await this.#has(file, sha256))) {
      this.unchanged++;
      return;
    }
    const response = await sendPatiently(this.#endpoint, keyPath(this.#namespace, name));
    if (!response.ok) return this.#leaveOut(name, await problemLine(response));
    const bytes = new Uint8Array(await response.arrayBuffer());
    try {
      await this.#write(file, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return this.#leaveOut(name, `cannot be written (${code})`);
    }
    this.written++;
    this.bytes += bytes.length;
  }

  #leaveOut(key: string, reason: string): void {
    this.leftOut.push({ key, reason });
  }

  async #has(file: string, sha256: string): Promise<boolean> {
    const bytes = await readFile(file).catch(() => null);
    return bytes !== null && digest(bytes) === sha256;
  }

  /** Aside first, then into place: a stopped export leaves no half file. */
  async #write(file: string, bytes: Uint8Array): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    const aside = `${file}.starling-${process.pid}`;
    try {
      await writeFile(aside, bytes);
      await rename(aside, file);
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }
}

export function addExport(program: Command, endpoint: () => Endpoint): void {
  program
    .command("export <namespace> <dir>")
    .description("write every key of a namespace to a file; run again to go on")
    .option("--concurrency <count>", "keys at once", "16")
    .option("--json", "print the summary as JSON")
    .action(
      async (namespace: string, dir: string, flags: { concurrency: string; json?: boolean }) => {
        const atOnce = Number(flags.concurrency);
        if (!(atOnce >= 1 && atOnce <= 256)) throw new UsageError("--concurrency takes 1 to 256");
        const items = await listAll(endpoint(), namespace);
        await mkdir(dir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
          throw new CliError(`${dir} cannot be made (${error.code})`);
        });
        const job = new Export(endpoint(), { namespace, dir });
        const progress = startProgress("exporting", items.length, flags.json === true);
        try {
          await inParallel(items, atOnce, async (item) => {
            await job.key(item);
            progress.step(item.name);
          });
        } finally {
          progress.stop();
        }
        const { written, unchanged, bytes, leftOut } = job;
        if (flags.json === true) printJson({ written, unchanged, bytes, leftOut });
        else {
          for (const { key, reason } of leftOut) warn(`left out: ${printable(key)}: ${reason}`);
          say(
            `${written} written (${bytes} bytes), ${unchanged} unchanged, ` +
              `${leftOut.length} left out`,
          );
        }
        if (leftOut.length > 0) process.exitCode = 1;
      },
    );
}
