/** `starling sites`: the origins that the cache door stands in front of. */
import { type Command, Option } from "commander";
import { firstByHost } from "../../core/site.ts";
import { type Endpoint, sendJson } from "./http.ts";
import { printable, printJson, say, table, UsageError } from "./output.ts";

interface Site {
  readonly name: string;
  readonly origin: string;
  readonly hosts: readonly string[];
  readonly staleWhileRevalidate: number | null;
  readonly staleIfError: number | null;
  readonly maxBytes: number | null;
}

interface Flags {
  readonly origin?: string;
  readonly host: readonly string[];
  readonly staleWhileRevalidate?: string;
  readonly staleIfError?: string;
  readonly defaultTtl?: string;
  readonly maxBytes?: string;
  readonly maxObjectBytes?: string;
  readonly purgeMethod?: boolean;
  readonly with?: string;
  readonly json?: boolean;
}

const NUMBERS = [
  ["staleWhileRevalidate", "--stale-while-revalidate"],
  ["staleIfError", "--stale-if-error"],
  ["defaultTtl", "--default-ttl"],
  ["maxBytes", "--max-bytes"],
  ["maxObjectBytes", "--max-object-bytes"],
] as const;

function sitesText(sites: readonly Site[]): string {
  if (sites.length === 0) return "there is no site: starling sites set NAME --origin URL makes one";
  const shown = (value: number | null): string => (value === null ? "-" : String(value));
  const rows = sites.map((site) => [
    site.name,
    printable(site.origin),
    site.hosts.map(printable).join(" "),
    shown(site.staleWhileRevalidate),
    shown(site.staleIfError),
    shown(site.maxBytes),
  ]);
  const head = ["site", "origin", "hosts", "stale-while-revalidate", "stale-if-error", "maxBytes"];
  return [table([head, ...rows]), ...sites.flatMap((site) => overshadowed(site, sites))].join("\n");
}

/** Those of a site's hosts that another site, which names them too, answers for. */
function overshadowed({ name, hosts }: Site, sites: readonly Site[]): readonly string[] {
  const first = firstByHost(sites);
  return [...new Set(hosts)].flatMap((host) => {
    const answering = first.get(host.toLowerCase()) ?? name;
    if (answering === name) return [];
    return [`${answering} answers for ${printable(host)}, and not ${name}: both name it`];
  });
}

/** What the flags say, in the words of the API. @throws UsageError */
function membersOf(flags: Flags): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  if (flags.with !== undefined) {
    try {
      Object.assign(members, JSON.parse(flags.with));
    } catch {
      throw new UsageError("--with takes a JSON object of a site's members");
    }
  }
  if (flags.origin !== undefined) members["origin"] = flags.origin;
  if (flags.host.length > 0) members["hosts"] = flags.host;
  for (const [name, flag] of NUMBERS) {
    const text = flags[name];
    if (text === undefined) continue;
    if (!/^(?:\d{1,15}|none)$/.test(text)) throw new UsageError(`${flag} takes a number, or none`);
    members[name] = text === "none" ? null : Number(text);
  }
  if (flags.purgeMethod === true) members["purgeMethod"] = true;
  return members;
}

async function sitesOf(at: Endpoint): Promise<readonly Site[]> {
  return ((await sendJson(at, "/v1/sites")) as { readonly sites: readonly Site[] }).sites;
}

/** What is not named stays as it is. */
async function set(at: Endpoint, name: string, flags: Flags): Promise<void> {
  const sites = await sitesOf(at);
  const known = sites.find((site) => site.name === name);
  const body = JSON.stringify({ ...known, ...membersOf(flags) });
  if (known === undefined && flags.origin === undefined && flags.with === undefined) {
    throw new UsageError("a new site needs --origin");
  }
  const path = `/v1/sites/${encodeURIComponent(name)}`;
  const made = await sendJson(at, path, { method: "PUT", body });
  if (flags.json === true) return printJson(made);
  const others = sites.filter((site) => site.name !== name);
  const shadows = overshadowed(made as Site, [...others, made as Site]);
  say([`${name} stands in front of ${printable((made as Site).origin)}`, ...shadows].join("\n"));
}

async function remove(at: Endpoint, name: string, flags: Flags): Promise<void> {
  await sendJson(at, `/v1/sites/${encodeURIComponent(name)}`, { method: "DELETE" });
  if (flags.json === true) return printJson({ removed: name });
  say(`${name} is no site any more, and what it stored is gone`);
}

const append = (value: string, all: readonly string[]): readonly string[] => [...all, value];

export function addSiteCommands(program: Command, endpoint: () => Endpoint): void {
  program
    .command("sites [action] [name]")
    .description("the cache door's sites: list (the default), set NAME, remove NAME")
    .option("--origin <url>", "set: where answers are fetched")
    .option("--host <host>", "set: a host name, *.suffix or *; may be repeated", append, [])
    .option("--stale-while-revalidate <seconds>", "set: where the response says nothing, or none")
    .option("--stale-if-error <seconds>", "set: the same")
    .option("--default-ttl <seconds>", "set: lifetime where none is said, or none to guess it")
    .option("--max-bytes <bytes>", "set: bound for all that is stored, or none")
    .option("--max-object-bytes <bytes>", "set: a longer response is passed on, not stored")
    .option("--purge-method", "set: take PURGE /path with a write token")
    .addOption(new Option("--with <json>", "set: any members of the API, as a JSON object"))
    .option("--json", "as JSON")
    .action(async (action = "list", name: string | undefined, flags: Flags) => {
      const at = endpoint();
      if (action === "list") {
        if (name !== undefined) throw new UsageError("sites list takes no name");
        const sites = await sitesOf(at);
        return flags.json === true ? printJson(sites) : say(sitesText(sites));
      }
      if (action !== "set" && action !== "remove") {
        throw new UsageError(`sites takes list, set or remove, and not ${printable(action)}`);
      }
      if (name === undefined) throw new UsageError(`sites ${action} takes the name of a site`);
      return action === "set" ? set(at, name, flags) : remove(at, name, flags);
    });
}
