/**
 * `starling copy`: a namespace of one cluster kept up to date in another, by its change feed.
 * Entries go over with their dots and contexts, so that copying twice is harmless, and what both
 * sides have written stands side by side.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { encode } from "@msgpack/msgpack";
import type { Command } from "commander";
import { decodeWithTexts } from "../frontend/http/msgpack-texts.ts";
import {
  bytesOf,
  clientOf,
  type Endpoint,
  failingWell,
  findSomebody,
  isPassing,
  pauseBeforeRound,
  send,
  sendJson,
  urlsOf,
} from "./http.ts";
import { CliError, printJson, say, UsageError, warn } from "./output.ts";

interface CopyFlags {
  readonly from?: string;
  readonly to?: string;
  readonly fromToken?: string;
  readonly toToken?: string;
  readonly since?: string;
  readonly state?: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

interface Told {
  readonly type: string;
  readonly key?: string;
  readonly entry?: Uint8Array;
  readonly lastModified?: string | null;
  readonly partition?: number;
  readonly partitions?: readonly number[];
}

interface Entry {
  readonly key: string;
  readonly entry: Uint8Array;
}

interface Page {
  readonly changes: readonly Told[];
  readonly next: string;
  readonly caught_up: boolean;
}

const MSGPACK = "application/msgpack";
const WAIT_MS = 20_000;
const ENTRIES_AT_ONCE = 250;

class Copy {
  readonly from: Endpoint;
  readonly #to: Endpoint;
  readonly #namespace: string;
  /** Keys that were told of since a `resync` that is not over; null: there is none. */
  #told: Set<string> | null = null;
  readonly #resyncing = new Set<number>();
  copied = 0;
  removed = 0;

  constructor(from: Endpoint, to: Endpoint, namespace: string) {
    this.from = from;
    this.#to = to;
    this.#namespace = namespace;
  }

  async look(since: string, waitMs: number): Promise<Page> {
    const query = new URLSearchParams({ since, include: "entry", wait: String(waitMs) });
    const target = `/v1/changes/${encodeURIComponent(this.#namespace)}?${query}`;
    return await failingWell(this.from, async () => {
      const isExpected = ({ ok }: Response): boolean => ok;
      const headers = { Accept: MSGPACK };
      const response = await send(this.from, target, { headers, isExpected });
      return decodeWithTexts(await bytesOf(response)) as Page;
    });
  }

  /** In the order in which they were told. */
  async take({ changes }: Page): Promise<void> {
    let entries: Entry[] = [];
    const bring = async (): Promise<void> => {
      if (entries.length > 0) await this.#merge(entries);
      entries = [];
    };
    for (const change of changes) {
      const { type, key, entry } = change;
      if (key === undefined) {
        await bring();
        await this.#mark(change);
      } else if (type === "purged") {
        await bring();
        await this.#purge(key, change.lastModified ?? "");
      } else if (entry !== undefined) {
        this.#told?.add(key);
        entries.push({ key, entry });
        if (entries.length >= ENTRIES_AT_ONCE || sizeOf(entries) > 8 * 1024 * 1024) await bring();
      }
    }
    await bring();
  }

  async #merge(entries: readonly Entry[]): Promise<void> {
    const body = encode({ namespace: this.#namespace, entries });
    const headers = { "Content-Type": MSGPACK };
    await sendJson(this.#to, "/v1/cluster/entries", { method: "POST", headers, body });
    this.copied += entries.length;
  }

  /**
   * A purged version keeps its dot, so joining does not take the copy's value away; and a purge of
   * the copy would also end what was written since. So whatever is not newer than that version is
   * deleted.
   */
  async #purge(key: string, lastModified: string): Promise<void> {
    const here = clientOf(this.#to, this.#namespace);
    await failingWell(this.#to, async () => {
      const head = await here.head(key);
      const at = head.lastModified?.getTime() ?? Infinity;
      if (!head.exists || at > Date.parse(lastModified)) return;
      await here.delete(key, { context: head.context });
      this.removed++;
    });
  }

  async #mark({ type, partitions = [] }: Told): Promise<void> {
    if (type === "resync") {
      this.#told ??= new Set();
      for (const partition of partitions) this.#resyncing.add(partition);
    } else if (type === "resync-end") {
      for (const partition of partitions) this.#resyncing.delete(partition);
      if (this.#resyncing.size === 0) await this.#removeOthers();
    }
  }

  /** Removes what the copy has and was not told again, unless it is found at the source. */
  async #removeOthers(): Promise<void> {
    const told = this.#told ?? new Set();
    this.#told = null;
    const there = clientOf(this.from, this.#namespace);
    const here = clientOf(this.#to, this.#namespace);
    await failingWell(this.#to, async () => {
      for await (const { name } of here.list()) {
        if (told.has(name)) continue;
        const head = await here.head(name);
        const isThere = (await there.head(name)).exists;
        if (isThere || !head.exists) continue;
        await here.delete(name, { context: head.context });
        this.removed++;
      }
    });
  }
}

const sizeOf = (entries: readonly Entry[]): number =>
  entries.reduce((sum, { entry }) => sum + entry.length, 0);

function sinceOf({ since, state }: CopyFlags): string {
  if (since !== undefined) return since;
  if (state === undefined) return "beginning";
  try {
    return readFileSync(state, "utf8").trim() || "beginning";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "beginning";
    throw new CliError(`${state}: it cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function endpointOf(name: string, url: string | undefined, token: string | undefined): Endpoint {
  if (url === undefined) throw new UsageError(`copy takes --${name} URL`);
  return { urls: urlsOf(url), token };
}

/** Kept whole whenever this process ends, because a part of a token is useless. @throws CliError */
function keep(file: string, token: string): void {
  const aside = `${file}.new`;
  try {
    writeFileSync(aside, `${token}\n`);
    renameSync(aside, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(`${file}: the token cannot be kept there (${code})`);
  }
}

const STOPPED: unique symbol = Symbol("stopped");

class Patience {
  readonly #from: Endpoint;
  #failures = 0;

  constructor(from: Endpoint) {
    this.#from = from;
  }

  /** One look and what comes of it; null when that is to be done again. @throws CliError */
  async try(step: () => Promise<Page>, isOnce: boolean): Promise<Page | null> {
    try {
      const page = await step();
      this.#failures = 0;
      return page;
    } catch (error) {
      if (isOnce || !isPassing(error)) throw error;
      if (this.#failures === 0) warn(`${error.message}; trying again`);
      await pauseBeforeRound(this.#from, ++this.#failures);
      return null;
    }
  }
}

/** Runs until it is told to stop or, where that is wanted, until all is copied. */
async function run(work: Copy, since: string, flags: CopyFlags): Promise<string> {
  const isOnce = flags.once === true;
  const patience = new Patience(work.from);
  let token = since;
  const step = async (): Promise<Page> => {
    const page = await work.look(token, isOnce ? 0 : WAIT_MS);
    await work.take(page);
    return page;
  };
  const stopping = new Promise<typeof STOPPED>((resolve) => {
    const stop = (): void => resolve(STOPPED);
    process.once("SIGINT", stop).once("SIGTERM", stop);
  });
  for (;;) {
    // What is under way when it is told to stop may be half done: copied again it does no harm.
    const page = await Promise.race([patience.try(step, isOnce), stopping]);
    if (page === STOPPED) return token;
    if (page === null) continue;
    token = page.next;
    if (flags.state !== undefined) keep(flags.state, token);
    if (isOnce && page.caught_up) return token;
  }
}

async function copy(at: Endpoint, namespace: string, flags: CopyFlags): Promise<void> {
  const from = endpointOf("from", flags.from, flags.fromToken ?? at.token);
  const to = endpointOf("to", flags.to, flags.toToken ?? at.token);
  for (const side of [from, to]) await findSomebody(side);
  const work = new Copy(from, to, namespace);
  const token = await run(work, sinceOf(flags), flags);
  const { copied, removed } = work;
  if (flags.json === true) printJson({ copied, removed, next: token });
  else {
    say(`copied ${copied} entries, removed ${removed} keys`);
    warn(`go on with --since ${token}`);
  }
  // A request that is held open would keep the process alive.
  if (flags.once !== true) process.exit(0);
}

export function addCopy(program: Command, endpoint: () => Endpoint): void {
  program
    .command("copy <namespace>")
    .description("keep a namespace of a second cluster up to date with the first one's")
    .option("--from <url>", "frontends of the cluster to read, with commas")
    .option("--to <url>", "frontends of the cluster to write, with commas")
    .option("--from-token <token>", "an admin token there, else --token")
    .option("--to-token <token>", "an admin token there, else --token")
    .option("--since <token>", "where an earlier copy was")
    .option("--state <file>", "keep the token in this file, and go on from it")
    .option("--once", "stop when all is copied that is there now")
    .option("--json", "say the result as JSON")
    .action((namespace: string, flags: CopyFlags) => copy(endpoint(), namespace, flags));
}
