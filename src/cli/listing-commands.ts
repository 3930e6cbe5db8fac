/** `starling list / namespaces / purge`: what is there, and how it goes away at once. */
import type { Command } from "commander";
import type { ListedKey, PurgeTarget } from "../client/call-types.ts";
import { clientOf, type Endpoint, failingWell, sendJson } from "./http.ts";
import { printable, printJson, say, table, UsageError } from "./output.ts";

interface ListFlags {
  readonly prefix?: string;
  readonly limit?: string;
  readonly long?: boolean;
  readonly json?: boolean;
}

function countOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new UsageError("--limit takes a whole number from 1 on");
}

function lineOf({ name, expiresAt, metadata }: ListedKey, isLong: boolean): string {
  if (!isLong) return printable(name);
  const until = expiresAt === null ? "-" : expiresAt.toISOString();
  const more = metadata === null ? "" : `\t${JSON.stringify(metadata)}`;
  return `${printable(name)}\t${until}${more}`;
}

const described = ({ name, expiresAt, metadata }: ListedKey): object => ({
  name,
  ...(expiresAt === null ? {} : { expiration: expiresAt.getTime() / 1000 }),
  ...(metadata === null ? {} : { metadata }),
});

async function* keysOf(at: Endpoint, namespace: string, flags: ListFlags) {
  let left = countOf(flags.limit);
  const limit = Math.min(1000, left);
  const { prefix } = flags;
  const options = { limit, ...(prefix === undefined ? {} : { prefix }) };
  for await (const key of clientOf(at, namespace).list(options)) {
    yield key;
    left--;
    if (left === 0) return;
  }
}

/** Lines as they come: a namespace may have more keys than there is room for. */
function list(at: Endpoint, namespace: string, flags: ListFlags): Promise<void> {
  return failingWell(at, async () => {
    const keys = keysOf(at, namespace, flags);
    if (flags.json === true) {
      const all: object[] = [];
      for await (const key of keys) all.push(described(key));
      return printJson(all);
    }
    for await (const key of keys) say(lineOf(key, flags.long === true));
  });
}

interface NamespacesBody {
  readonly namespaces: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[];
  /** What the values of each take up, all copies together; null where no member tells. */
  readonly bytes?: Readonly<Record<string, number | null>>;
}

function namespacesText({ namespaces, bytes = {} }: NamespacesBody): string {
  if (namespaces.length === 0) return "no namespace was created, and none holds a key";
  const columns = ["n", "r", "w", "dw", "ttl", "maxValueBytes", "maxBytes"] as const;
  const rows = namespaces.map((namespace) => [
    namespace.name,
    ...columns.map((column) => String(namespace[column] ?? "-")),
    namespace["created"] === false ? "no" : "yes",
    String(bytes[namespace.name] ?? "-"),
  ]);
  return table([["namespace", ...columns, "created", "bytes"], ...rows]);
}

interface PurgeFlags {
  readonly site?: string;
  readonly soft?: boolean;
  readonly page: readonly string[];
  readonly tag: readonly string[];
  readonly prefix?: string;
  readonly everything?: boolean;
  readonly json?: boolean;
}

function targetOf({ site, tag, prefix, everything }: PurgeFlags): PurgeTarget {
  const given = [tag.length > 0, prefix !== undefined, everything === true].filter(Boolean);
  const names = site === undefined ? "--tag, --prefix" : "--page, --tag, --prefix";
  if (given.length !== 1) throw new UsageError(`give ${names} or --everything, one of them`);
  if (tag.length > 0) return { tags: tag };
  return prefix === undefined ? { everything: true } : { prefix };
}

/** Of what a site stored, in the words of the API. @throws UsageError */
function sitePurgeOf(flags: PurgeFlags): object {
  const { site, soft, page: urls } = flags;
  const softly = soft === true ? { soft: true } : {};
  if (urls.length === 0) return { site, ...targetOf(flags), ...softly };
  if (flags.tag.length > 0 || flags.prefix !== undefined || flags.everything === true) {
    throw new UsageError("--page goes with none of --tag, --prefix and --everything");
  }
  return { site, urls, ...softly };
}

interface PurgedBody {
  readonly until: string;
  readonly replicas: { readonly learnt: number; readonly of: number };
}

async function purgeSite(at: Endpoint, flags: PurgeFlags): Promise<void> {
  const body = JSON.stringify(sitePurgeOf(flags));
  const answer = await sendJson(at, "/v1/purge", { method: "POST", body });
  if (flags.json === true) return printJson(answer);
  const { until, replicas } = answer as PurgedBody;
  const verb = flags.soft === true ? "is stale" : "is purged";
  say(
    `what was asked for until ${until} ${verb}; ${replicas.learnt} of ${replicas.of} members know`,
  );
}

const append = (value: string, all: readonly string[]): readonly string[] => [...all, value];

export function addListingCommands(program: Command, endpoint: () => Endpoint): void {
  program
    .command("list <namespace>")
    .description("the keys of a namespace, in the order of their bytes")
    .option("--prefix <prefix>", "only keys that begin so")
    .option("--limit <count>", "so many at most")
    .option("--long", "with expiry and metadata, between tabs")
    .option("--json", "as JSON")
    .action((namespace: string, flags: ListFlags) => list(endpoint(), namespace, flags));
  program
    .command("namespaces")
    .description("the namespaces that were created or hold a key, with their settings")
    .option("--json", "as JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const body = (await sendJson(endpoint(), "/v1/namespaces")) as NamespacesBody;
      if (json === true) printJson(body);
      else say(namespacesText(body));
    });
  program
    .command("purge [namespace]")
    .description("end what was written up to now: it is served no more")
    .option("--tag <tag>", "what has that tag; may be repeated", append, [])
    .option("--prefix <prefix>", "keys that begin so")
    .option("--everything", "all of the namespace")
    .option("--site <site>", "what this site of the cache door has stored, and no namespace")
    .option(
      "--page <url>",
      "with --site: a URL, or a path on all hosts; may be repeated",
      append,
      [],
    )
    .option("--soft", "with --site: make it stale, and not gone")
    .option("--json", "as JSON")
    .action(async (namespace: string | undefined, flags: PurgeFlags) => {
      const at = endpoint();
      if ((namespace === undefined) === (flags.site === undefined)) {
        throw new UsageError("purge takes a namespace, or --site");
      }
      if (namespace === undefined) return purgeSite(at, flags);
      if (flags.page.length > 0 || flags.soft === true) {
        throw new UsageError("--page and --soft go with --site");
      }
      const target = targetOf(flags);
      const { until, learnt, of } = await failingWell(at, () =>
        clientOf(at, namespace).purge(target),
      );
      if (flags.json === true) return printJson({ until: until.toISOString(), learnt, of });
      say(`purged what was written until ${until.toISOString()}; ${learnt} of ${of} members know`);
    });
}
