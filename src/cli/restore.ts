/** `starling restore FILE`: what a backup holds, joined into a cluster or written over it. */
import { encode } from "@msgpack/msgpack";
import type { Command } from "commander";
import { type KnownPurge, noPurges, PurgeIndex } from "../../core/purges.ts";
import {
  entryOf,
  type KeyLine,
  type Line,
  type NamespaceLine,
  type PurgeLine,
  type SiteLine,
} from "./backup-format.ts";
import { expectBackup, linesIn, purgeIndexOf, purgesIn } from "./backup-lines.ts";
import { type Endpoint, failingWell, send, sendJson } from "./http.ts";
import { CliError, counted, printJson, say, UsageError, warn } from "./output.ts";
import { inParallel, startMeter } from "./progress.ts";
import { RETRIES } from "./transfer.ts";

/** What goes in one request. */
const BATCH_COUNT = 256;
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCHES_AT_ONCE = 4;

type Mode = "merge" | "overwrite" | "check";

interface Batch {
  readonly namespace: string;
  readonly entries: { readonly key: string; readonly entry: Uint8Array }[];
  readonly firstLine: number;
}

interface Counts {
  namespaces: number;
  keys: number;
  /** How many of these the cluster held something of before. */
  known: number;
  /** How many of these had a value to write. */
  written: number;
  /** How many of these lost something to a purge that the backup names. */
  purged: number;
  damaged: number;
}

interface Plan {
  readonly mode: Mode;
  readonly file: string;
  /** Keys of lines before it were restored already. */
  readonly from: number;
}

/** Whether a key of that namespace goes into another request. */
const isFull = (batch: Batch, namespace: string, byteCount: number): boolean =>
  batch.namespace !== namespace || batch.entries.length >= BATCH_COUNT || byteCount > BATCH_BYTES;

const put = (at: Endpoint, path: string, body: object): Promise<unknown> =>
  sendJson(at, path, { method: "PUT", body: JSON.stringify(body), isRepeatable: true });

class Restore {
  readonly counts: Counts = { namespaces: 0, keys: 0, known: 0, written: 0, purged: 0, damaged: 0 };
  readonly #at: Endpoint;
  readonly #plan: Plan;
  readonly #created = new Set<string>();
  readonly #sites = new Set<string>();
  #memberCount = 0;
  /** Used with --merge: an overwrite brings back even what was purged. */
  #purges = new PurgeIndex(noPurges);
  readonly #purgesBefore: KnownPurge[] = [];
  /** By the number of their first line: batches that are on their way. */
  readonly #open = new Set<number>();
  #lastLine = 0;

  constructor(at: Endpoint, plan: Plan) {
    this.#at = at;
    this.#plan = plan;
  }

  /** What the cluster has already. */
  async look(): Promise<void> {
    if (this.#plan.mode === "check") return;
    const [cluster, named, sites] = (await Promise.all([
      sendJson(this.#at, "/v1/cluster"),
      sendJson(this.#at, "/v1/namespaces"),
      sendJson(this.#at, "/v1/sites"),
    ])) as [
      { members: readonly unknown[] },
      { namespaces: readonly { name: string; created: boolean }[] },
      { sites: readonly { name: string }[] },
    ];
    if (this.#plan.mode === "merge") this.#purges = await purgesIn(this.#plan.file);
    this.#memberCount = cluster.members.length;
    for (const { name, created } of named.namespaces) if (created) this.#created.add(name);
    for (const { name } of sites.sites) this.#sites.add(name);
  }

  /** The line from which a later run is to go on. */
  get nextLine(): number {
    return Math.min(...this.#open, this.#lastLine + 1);
  }

  /** Gives the keys in batches; all other lines are carried out as they come. */
  async *batches(): AsyncGenerator<Batch> {
    let batch: Batch | null = null;
    let byteCount = 0;
    for await (const { number, line } of linesIn(this.#plan.file)) {
      if (line === null) this.#damaged(number);
      const isKey = line !== null && "key" in line;
      if (line !== null && !isKey) await this.#take(line);
      if (isKey && number >= this.#plan.from) {
        const entry = this.#entryOf(line);
        if (batch !== null && isFull(batch, line.namespace, byteCount + entry.length)) {
          yield batch;
          batch = null;
        }
        batch ??= this.#begin(line, number);
        byteCount = batch.entries.length === 0 ? entry.length : byteCount + entry.length;
        batch.entries.push({ key: line.key, entry });
      }
      this.#lastLine = number;
    }
    if (batch !== null) yield batch;
  }

  #entryOf(line: KeyLine): Uint8Array {
    const { entry, isPurged } = entryOf(line, this.#purges);
    if (isPurged) this.counts.purged++;
    return entry;
  }

  #begin({ namespace }: KeyLine, firstLine: number): Batch {
    this.#open.add(firstLine);
    return { namespace, entries: [], firstLine };
  }

  async send({ namespace, entries, firstLine }: Batch): Promise<void> {
    const { mode } = this.#plan;
    if (mode !== "check") {
      const body = new Uint8Array(encode({ namespace, mode, entries }));
      const { known = 0, written = 0 } = await this.#post(body);
      this.counts.known += known;
      this.counts.written += written;
    }
    this.counts.keys += entries.length;
    this.#open.delete(firstLine);
  }

  /** Either way a repeat does no harm: it is sent again when its outcome is unknown. */
  #post(body: Uint8Array<ArrayBuffer>): Promise<{ known?: number; written?: number }> {
    return failingWell(this.#at, async () => {
      const response = await send(this.#at, "/v1/cluster/entries", {
        method: "POST",
        headers: { "Content-Type": "application/msgpack" },
        body,
        isExpected: (answer) => answer.ok,
        isRepeatable: true,
        retries: RETRIES,
      });
      return (await response.json()) as { known?: number; written?: number };
    });
  }

  #damaged(number: number): void {
    this.counts.damaged++;
    warn(`starling: ${this.#plan.file}, line ${number} is damaged, and left out`);
  }

  async #take(line: Exclude<Line, KeyLine>): Promise<void> {
    if ("settings" in line) {
      this.counts.namespaces++;
      await this.#configure(line);
    } else if ("site" in line) await this.#keepSite(line);
    else if ("purge" in line) this.#purge(line);
  }

  /** In a pipe only the purges that come before the keys are known in time. */
  #purge({ purge }: PurgeLine): void {
    const { mode, file } = this.#plan;
    if (mode !== "merge" || file !== "-") return;
    this.#purgesBefore.push(purge);
    this.#purges = purgeIndexOf(this.#purgesBefore, file);
  }

  /** A merge leaves what there is; nothing can have more copies than there are members. */
  async #configure({ namespace, created, settings }: NamespaceLine): Promise<void> {
    const { mode } = this.#plan;
    const isThere = this.#created.has(namespace);
    if (mode === "check" || !created || (mode === "merge" && isThere)) return;
    const { title, ...rest } = settings;
    const most = this.#memberCount;
    const fitting = Object.entries(rest).map(([name, value]) => {
      const isCount = ["n", "r", "w", "dw"].includes(name) && typeof value === "number";
      return [name, isCount ? Math.min(value, most) : value];
    });
    if (typeof rest["n"] === "number" && rest["n"] > most) {
      warn(
        `starling: ${namespace} had n=${rest["n"]}; there are ${most} members, and it gets that`,
      );
    }
    await put(
      this.#at,
      `/v1/namespaces/${encodeURIComponent(namespace)}`,
      Object.fromEntries(fitting),
    );
    if (title === undefined) return;
    const path = "/client/v4/accounts/restore/storage/kv/namespaces/";
    await put(this.#at, path + encodeURIComponent(namespace), { title });
  }

  async #keepSite({ site }: SiteLine): Promise<void> {
    const { mode } = this.#plan;
    if (mode === "check" || (mode === "merge" && this.#sites.has(site.name))) return;
    const n = site["n"];
    const fitting = typeof n === "number" ? { ...site, n: Math.min(n, this.#memberCount) } : site;
    await put(this.#at, `/v1/sites/${encodeURIComponent(site.name)}`, fitting);
  }
}

interface RestoreFlags {
  readonly merge?: boolean;
  readonly overwrite?: boolean;
  readonly check?: boolean;
  readonly from?: string;
  readonly json?: boolean;
}

function planOf(file: string, flags: RestoreFlags): Plan {
  const modes = (["merge", "overwrite", "check"] as const).filter((name) => flags[name] === true);
  if (modes.length > 1) throw new UsageError("give --merge, --overwrite or --check, one of them");
  const from = flags.from ?? "1";
  if (!/^[1-9][0-9]{0,14}$/.test(from)) throw new UsageError("--from takes the number of a line");
  return { mode: modes[0] ?? "merge", file, from: Number(from) };
}

function summaryOf(mode: Mode, { keys, known, written, purged, namespaces }: Counts): string {
  const what = `${counted(keys, "key")} of ${counted(namespaces, "namespace")}`;
  if (mode === "check") return `${what}: all of it can be read`;
  if (mode === "overwrite") return `${what}: ${written} written, the others had no value to write`;
  const ended = purged === 0 ? "" : `; of ${purged} a purge had ended something`;
  const were = (count: number): string => `${count} ${count === 1 ? "was" : "were"}`;
  return `${what} merged: ${were(known)} known here, ${were(keys - known)} not${ended}`;
}

async function run(at: Endpoint, plan: Plan, isJson: boolean): Promise<void> {
  await expectBackup(plan.file);
  const restore = new Restore(at, plan);
  await restore.look();
  const meter = startMeter(plan.mode, isJson);
  const { counts } = restore;
  try {
    await inParallel(restore.batches(), BATCHES_AT_ONCE, async (batch) => {
      await restore.send(batch);
      meter.show(counts.keys, counts.keys, batch.namespace);
    });
  } catch (error) {
    if (!(error instanceof CliError) || plan.mode === "check") throw error;
    if (restore.nextLine === 1) throw error;
    const goOn = `what came before line ${restore.nextLine} is restored`;
    throw new CliError(
      `${error.message}; ${goOn} (--from ${restore.nextLine} goes on)`,
      error.exit,
    );
  } finally {
    meter.stop();
  }
  if (isJson) printJson({ mode: plan.mode, ...counts });
  else if (counts.damaged === 0 || plan.mode !== "check") say(summaryOf(plan.mode, counts));
  if (counts.damaged > 0) throw new CliError(`${counts.damaged} lines of ${plan.file} are damaged`);
}

export function addRestore(program: Command, endpoint: () => Endpoint): void {
  program
    .command("restore <file>")
    .description("bring back what a backup holds; - is stdin")
    .option("--merge", "join it with what is there: newer writes and deletes stand (default)")
    .option("--overwrite", "write it anew, over what is there: undoes a delete by mistake")
    .option("--check", "only read it, and say whether it is whole")
    .option("--from <line>", "go on at that line, after a run that was stopped")
    .option("--json", "print the summary as JSON")
    .action((file: string, flags: RestoreFlags) =>
      run(endpoint(), planOf(file, flags), flags.json === true),
    );
}
