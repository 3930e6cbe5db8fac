/** `starling backup FILE`: all namespaces, with their settings and versions, in one file. */
import type { Command } from "commander";
import type { KnownPurge } from "../../core/purges.ts";
import { PROGRAM_VERSION } from "../../core/version.ts";
import { decodeWithTexts } from "../frontend/http/msgpack-texts.ts";
import { FileSink, type Sink, stdoutSink } from "./backup-file.ts";
import {
  FORMAT,
  keyLine,
  type Line,
  type NamespaceLine,
  type SiteLine,
  textOf,
} from "./backup-format.ts";
import { bytesOf, type Endpoint, failingWell, send, sendJson } from "./http.ts";
import { CliError, counted, printJson, say, UsageError, warn } from "./output.ts";
import { startMeter } from "./progress.ts";
import { RETRIES } from "./transfer.ts";

/** How far the backup is, for a later run to go on from. */
interface Notes {
  readonly cluster: string;
  readonly at: string;
  readonly namespaces: readonly NamespaceLine[];
  /** The one at work. */
  readonly index: number;
  /** Where in it the next page begins; empty for its beginning. */
  readonly cursor: string;
  readonly keyCount: number;
  /** What was purged, as the file has it; absent in notes of a program that did not ask. */
  readonly purges?: readonly KnownPurge[];
  /** When that was asked for last, in ms since 1970. */
  readonly askedAt?: number;
}

interface Page {
  readonly entries: readonly { readonly key: string; readonly entry: Uint8Array }[];
  readonly cursor: string | null;
}

interface Named {
  readonly namespaces: readonly (Readonly<Record<string, unknown>> & {
    readonly name: string;
    readonly created: boolean;
  })[];
}

async function namespacesAt(at: Endpoint): Promise<readonly NamespaceLine[]> {
  const { namespaces } = (await sendJson(at, "/v1/namespaces")) as Named;
  return namespaces.map(({ name, created, ...settings }) => ({
    namespace: name,
    created,
    settings,
  }));
}

function pageAt(at: Endpoint, namespace: string, cursor: string): Promise<Page> {
  const more = cursor === "" ? "" : `&cursor=${cursor}`;
  return failingWell(at, async () => {
    const target = `/v1/cluster/entries?namespace=${encodeURIComponent(namespace)}${more}`;
    const isExpected = (response: Response): boolean => response.ok;
    const response = await send(at, target, { isExpected, retries: RETRIES });
    return decodeWithTexts(await bytesOf(response)) as Page;
  });
}

/** A cluster remembers a purge for ten minutes at least. */
const ASK_PURGES_MS = 60_000;

const linesOf = (lines: readonly Line[]): string => lines.map(textOf).join("");

/** Writes down what was purged, unless that is in the file already. */
async function askPurges(at: Endpoint, sink: Sink, notes: Notes): Promise<Notes> {
  const told = (await sendJson(at, "/v1/cluster/purges")) as {
    readonly purges: readonly KnownPurge[];
  };
  const { purges: known = [] } = notes;
  const texts = new Set(known.map((purge) => JSON.stringify(purge)));
  const purges = told.purges.filter((purge) => !texts.has(JSON.stringify(purge)));
  if (purges.length > 0) await sink.write(linesOf(purges.map((purge) => ({ purge }))));
  return { ...notes, purges: [...known, ...purges], askedAt: Date.now() };
}

/** The head, and what belongs to no namespace. */
async function begin(at: Endpoint, sink: Sink): Promise<Notes> {
  const { name: cluster } = (await sendJson(at, "/v1/cluster")) as { name: string };
  const { sites } = (await sendJson(at, "/v1/sites")) as { sites: readonly SiteLine["site"][] };
  const namespaces = await namespacesAt(at);
  const now = new Date().toISOString();
  const head = { starling: "backup", format: FORMAT, cluster, at: now } as const;
  const all = [{ ...head, program: PROGRAM_VERSION }, ...sites.map((site) => ({ site }))];
  await sink.write(linesOf(all));
  const begun = { cluster, at: now, namespaces, index: 0, cursor: "", keyCount: 0 };
  const notes = await askPurges(at, sink, begun);
  await sink.keep(notes);
  return notes;
}

/** @throws UsageError when what was begun is of another cluster */
async function goOn(at: Endpoint, notes: Notes, file: string): Promise<Notes> {
  const { name } = (await sendJson(at, "/v1/cluster")) as { name: string };
  if (name === notes.cluster) return notes;
  const of = `is the beginning of a backup of the cluster ${notes.cluster}, not of ${name}`;
  throw new UsageError(`${file}.part ${of}: remove it, or give another name`);
}

interface Writing {
  readonly sink: Sink;
  readonly begun: Notes;
  readonly told: (notes: Notes) => void;
}

/** Page by page, each kept before the next is asked for. */
async function writeAll(at: Endpoint, to: Writing): Promise<Notes> {
  const { sink, begun, told } = to;
  let notes = begun;
  for (const line of begun.namespaces.slice(begun.index)) {
    if (notes.cursor === "") await sink.write(textOf(line));
    for (let cursor: string | null = notes.cursor; cursor !== null; ) {
      const page: Page = await pageAt(at, line.namespace, cursor);
      const lines = page.entries.map(({ key, entry }) => keyLine(line.namespace, key, entry));
      if (lines.length > 0) await sink.write(linesOf(lines));
      cursor = page.cursor;
      const index = cursor === null ? notes.index + 1 : notes.index;
      notes = {
        ...notes,
        index,
        cursor: cursor ?? "",
        keyCount: notes.keyCount + lines.length,
      };
      if (Date.now() - (notes.askedAt ?? 0) >= ASK_PURGES_MS) {
        notes = await askPurges(at, sink, notes);
      }
      await sink.keep(notes);
      told(notes);
    }
  }
  // Values that were purged meanwhile may have been read before that.
  return askPurges(at, sink, notes);
}

async function run(at: Endpoint, file: string, isJson: boolean): Promise<void> {
  const sink = file === "-" ? stdoutSink() : await FileSink.open(file);
  const kept = sink instanceof FileSink ? (sink.notes as Notes | null) : null;
  const meter = startMeter("backup", isJson);
  const told = ({ index, namespaces, keyCount }: Notes): void =>
    meter.show(index, namespaces.length, counted(keyCount, "key"));
  try {
    const begun = kept === null ? await begin(at, sink) : await goOn(at, kept, file);
    if (kept !== null) warn(`starling: going on behind ${counted(kept.keyCount, "key")}`);
    const { namespaces, keyCount: keys } = await writeAll(at, { sink, begun, told });
    const counts = { namespaces: namespaces.length, keys };
    await sink.write(textOf({ end: true, ...counts, sha256: sink.sha256() }));
    await sink.done();
    meter.stop();
    // Stdout is the backup itself.
    if (file === "-") return;
    if (isJson) printJson({ ...counts, file });
    else say(`${counted(keys, "key")} of ${counted(namespaces.length, "namespace")} in ${file}`);
  } catch (error) {
    meter.stop();
    if (!(error instanceof CliError) || file === "-") throw error;
    throw new CliError(`${error.message}; run it again to go on`, error.exit);
  }
}

export function addBackup(program: Command, endpoint: () => Endpoint): void {
  program
    .command("backup <file>")
    .description("all namespaces with settings and versions into one file; run again to go on")
    .option("--json", "print the summary as JSON")
    .addHelpText("after", "\n- is stdout; a name that ends in .gz is compressed.")
    .action((file: string, flags: { json?: boolean }) =>
      run(endpoint(), file, flags.json === true),
    );
}
