/** `starling watch`: what changes in a namespace, a line a change, until it is stopped. */
import type { Command } from "commander";
import type { FeedChange } from "../client/changes.ts";
import {
  clientOf,
  type Endpoint,
  failingWell,
  findSomebody,
  isPassing,
  pauseBeforeRound,
  sendJson,
} from "./http.ts";
import { endWithReader, printable, say, warn } from "./output.ts";

interface WatchFlags {
  readonly prefix?: string;
  readonly since?: string;
  readonly json?: boolean;
}

/** Tabs between: the type, the key, and what there is to say beside it. */
function lineOf(change: FeedChange): string {
  if ("partitions" in change) return `${change.type}\t${change.partitions.length} partitions`;
  if (change.key === undefined) return `${change.type}\t${JSON.stringify(change.rule)}`;
  const { type, key, etag, reason, siblings } = change;
  const more = reason ?? (siblings > 1 ? `${siblings} siblings` : etag);
  return `${type}\t${printable(key)}${more === null ? "" : `\t${more}`}`;
}

/** Where the feed is: a watch that was told of nothing yet can go on from there, too. */
async function nowOf(at: Endpoint, namespace: string, prefix: string): Promise<string> {
  const query = new URLSearchParams({ since: "now", prefix });
  for (let failures = 0; ; ) {
    try {
      const page = await sendJson(at, `/v1/changes/${encodeURIComponent(namespace)}?${query}`);
      return (page as { readonly next: string }).next;
    } catch (error) {
      if (!isPassing(error)) throw error;
      await pauseBeforeRound(at, ++failures);
    }
  }
}

async function watch(at: Endpoint, namespace: string, flags: WatchFlags): Promise<void> {
  const { prefix = "", since = "now" } = flags;
  let token = since === "now" ? null : since;
  const stop = (): void => {
    if (token !== null && flags.json !== true) warn(`go on with --since ${token}`);
    process.exit(0);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  endWithReader();
  // Made first, because it refuses a malformed namespace.
  const client = clientOf(at, namespace);
  await findSomebody(at);
  token ??= await nowOf(at, namespace, prefix);
  await failingWell(at, async () => {
    for await (const change of client.changes({ prefix, since: token as string })) {
      token = change.token;
      say(flags.json === true ? JSON.stringify(change) : lineOf(change));
    }
  });
}

export function addWatch(program: Command, endpoint: () => Endpoint): void {
  program
    .command("watch <namespace>")
    .description("what changes, a line a change, until it is stopped")
    .option("--prefix <prefix>", "only keys that begin so")
    .option("--since <token>", "where an earlier watch was; or `beginning`")
    .option("--json", "as JSON, each change with the token to go on from")
    .action((namespace: string, flags: WatchFlags) => watch(endpoint(), namespace, flags));
}
