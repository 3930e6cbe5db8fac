/**
 * `starling get / put / delete / explain`: one key, with every option of the contract as a flag.
 */
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { StarlingError } from "../client/error.ts";
import {
  bytesOf,
  detailFor,
  type Endpoint,
  failingWell,
  failureOf,
  keyPath,
  type RequestOptions,
  send,
  sendJson,
} from "./http.ts";
import {
  CliError,
  EXIT,
  printable,
  printJson,
  say,
  table,
  UsageError,
  warn,
  writeBytes,
} from "./output.ts";
import { saySiblings, siblingsOf } from "./siblings.ts";

/** Flags that become query parameters; yes-or-no flags mean `true` without a value. */
const OPTIONS: readonly (readonly [name: string, help: string, value?: "[value]"])[] = [
  ["n", "how many of the preference list take part"],
  ["r", "replies a read waits for: a number, one, quorum or all"],
  ["w", "acknowledgements a write waits for: a number, one, quorum or all"],
  ["pr", "of the replies, how many from primaries"],
  ["pw", "of the acknowledgements, how many from primaries"],
  ["dw", "of the acknowledgements, how many on stable storage"],
  ["zones", "in how many zones they must lie"],
  ["sloppy", "whether fallbacks stand in for primaries: true or false", "[value]"],
  ["notfound-ok", "whether nothing counts as a reply: true or false", "[value]"],
  [
    "basic-quorum",
    "with notfound-ok false: stop at a majority of nothing: true or false",
    "[value]",
  ],
  ["timeout", "milliseconds for the whole request"],
  ["max-stale", "a read: at most so many seconds behind what was acknowledged, or none"],
  ["stale-w", "with max-stale: by how many replicas, for it to count; else the namespace's w"],
  ["consistency", "one, quorum, all, local_quorum, strict or auto"],
  ["min-p", "with auto, a read: how likely it has to see what was written, such as 0.999"],
  ["return-body", "a put answers with what is stored: true or false", "[value]"],
  ["ttl", "seconds the value lives, from 0.001"],
];

type Flags = Readonly<Record<string, string | boolean | undefined>>;

const camel = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** As the HTTP API spells it; every flag is accepted in that spelling too. */
const inQuery = (name: string): string => name.replaceAll("-", "_");

function addOptions(command: Command): Command {
  for (const [name, help, value = "<value>"] of OPTIONS) {
    command.option(`--${name} ${value}`, help);
    if (inQuery(name) === name) continue;
    const second = new Option(`--${inQuery(name)} ${value}`).conflicts(camel(name));
    command.addOption(second.hideHelp());
  }
  return command
    .option("--context <token>", "the Starling-Context of an earlier answer")
    .option("--verbose", "say status and headers on stderr")
    .option("--json", "print status, headers and value as JSON");
}

function queryOf(flags: Flags): string {
  const query = new URLSearchParams();
  for (const [name] of OPTIONS) {
    const value = flags[camel(name)] ?? flags[inQuery(name)];
    if (value !== undefined) query.set(inQuery(name), String(value));
  }
  const { siblings } = flags;
  // Without a value it means `all`, the only one that there is.
  if (siblings !== undefined) query.set("siblings", siblings === true ? "all" : String(siblings));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

function headersOf(flags: Flags): Record<string, string> {
  const headers: Record<string, string> = {};
  const set = (name: string, flag: string): void => {
    const value = flags[flag];
    if (typeof value === "string") headers[name] = value;
  };
  set("Starling-Context", "context");
  set("Content-Type", "contentType");
  set("Content-Encoding", "contentEncoding");
  set("Content-Language", "contentLanguage");
  set("Content-Disposition", "contentDisposition");
  set("Starling-Metadata", "metadata");
  set("If-Match", "ifMatch");
  set("If-None-Match", "ifNoneMatch");
  set("If-Unmodified-Since", "ifUnmodifiedSince");
  set("Cache-Tag", "cacheTag");
  if (flags["siblings"] !== undefined) headers["Accept"] = "application/json";
  return headers;
}

const isPassing = (response: Response): boolean => [429, 502, 503, 504].includes(response.status);

interface ProblemBody {
  readonly detail?: string;
  readonly code?: string;
}

/** @throws CliError in one line, with the exit status that belongs to the problem */
function fail(endpoint: Endpoint, status: number, problem: ProblemBody | null): never {
  const { detail = "no problem document", code = "unexpected-answer" } = problem ?? {};
  const exit = code === "not-found" ? EXIT.nothing : EXIT.failed;
  const text = detailFor(endpoint, { code, detail });
  throw new CliError(`${text} (${code}, HTTP ${status})`, exit);
}

function parsed(body: Uint8Array): ProblemBody | null {
  try {
    return JSON.parse(Buffer.from(body).toString() || "null") as ProblemBody | null;
  } catch {
    return null;
  }
}

/** @throws CliError when the answer is a problem */
async function report(endpoint: Endpoint, response: Response, flags: Flags): Promise<void> {
  const { status } = response;
  const headers = Object.fromEntries(response.headers);
  if (flags["verbose"] === true) {
    warn(`HTTP ${status}`);
    for (const [name, value] of Object.entries(headers)) warn(printable(`${name}: ${value}`));
  }
  const body = await failingWell(endpoint, () => bytesOf(response));
  const context = headers["starling-context"] ?? null;
  const isJson = flags["json"] === true;
  if (status >= 400) {
    const problem = parsed(body);
    if (isJson) printJson({ status, context, headers, problem });
    fail(endpoint, status, problem);
  }
  if (flags["siblings"] !== undefined) {
    const siblings = siblingsOf(response, body);
    return isJson ? printJson({ status, context, headers, siblings }) : saySiblings(siblings);
  }
  if (!isJson) return writeBytes(body);
  printJson({ status, context, headers, value: Buffer.from(body).toString("base64") });
}

/** Sends it, and again where that is safe; `--json` tells of a failure as well. @throws CliError */
async function ask(endpoint: Endpoint, target: string, flags: Flags, options: RequestOptions) {
  const isExpected = (response: Response): boolean => !isPassing(response);
  try {
    return await send(endpoint, target, { ...options, isExpected });
  } catch (error) {
    if (flags["json"] === true && error instanceof StarlingError) {
      const { status, context, code, detail, required, achieved } = error;
      printJson({ status, context, problem: { code, detail, required, achieved } });
    }
    throw failureOf(endpoint, error);
  }
}

async function bodyOf(flags: Flags, value: string | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const { file } = flags;
  if (value !== undefined && file !== undefined) {
    throw new UsageError("give the value as VALUE or with --file, not both");
  }
  if (value !== undefined) return new TextEncoder().encode(value);
  if (typeof file !== "string") {
    if (process.stdin.isTTY === true) warn("the value, then Ctrl-D:");
    return new Uint8Array(await buffer(process.stdin));
  }
  try {
    return new Uint8Array(await readFile(file));
  } catch (error) {
    throw new CliError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

interface ExplainBody {
  readonly partition: number;
  readonly n: number;
  readonly preferenceList: readonly string[];
  readonly replicas: readonly {
    readonly id: string;
    readonly role: string;
    readonly reachable: boolean;
    readonly entry: null | {
      readonly etag: string;
      readonly siblings: number;
      readonly tombstone: boolean;
      readonly bytes: number;
      readonly expiresAt: string | null;
      readonly hintFor: string | null;
    };
  }[];
}

function explainText(body: ExplainBody): string {
  const rows = body.replicas.map(({ id, role, reachable, entry }) => [
    id,
    role,
    reachable ? "yes" : "no",
    entry?.etag ?? "-",
    String(entry?.siblings ?? "-"),
    entry === null ? "-" : entry.tombstone ? "yes" : "no",
    String(entry?.bytes ?? "-"),
    entry?.expiresAt ?? "-",
    entry?.hintFor ?? "-",
  ]);
  const head = ["replica", "role", "reachable", "etag", "live", "tombstone", "bytes", "expires"];
  const list = body.preferenceList.join(" ");
  const summary = `partition ${body.partition}, n ${body.n}, preference list ${list}`;
  return `${summary}\n${table([[...head, "hint for"], ...rows])}`;
}

export function addDataCommands(program: Command, endpoint: () => Endpoint): void {
  const one = async (
    method: "GET" | "PUT" | "DELETE",
    at: readonly [namespace: string, key: string, value?: string | undefined],
    flags: Flags,
  ): Promise<void> => {
    const [namespace, key, value] = at;
    const target = keyPath(namespace, key) + queryOf(flags);
    const headers = headersOf(flags);
    const body = method === "PUT" ? await bodyOf(flags, value) : undefined;
    const request = { method, headers, ...(body === undefined ? {} : { body }) };
    const frontends = endpoint();
    await report(frontends, await ask(frontends, target, flags, request), flags);
  };
  addOptions(program.command("get <namespace> <key>").description("print a value"))
    .option("--siblings [all]", "show every sibling")
    .option("--if-none-match <etag>", "print nothing when the value is still that version")
    .action((namespace: string, key: string, flags: Flags) => one("GET", [namespace, key], flags));
  addOptions(
    program
      .command("put <namespace> <key> [value]")
      .description("store a value: the one given, a file's, or stdin's"),
  )
    .option("--file <path>", "the value; without it, and without VALUE, stdin is read")
    .option("--content-type <type>", "stored with the value")
    .option("--content-encoding <coding>", "stored with the value")
    .option("--content-language <tag>", "stored with the value")
    .option("--content-disposition <text>", "stored with the value")
    .option("--metadata <json>", "stored with the value, at most 1,024 bytes")
    .option("--cache-tag <tags>", "tags to purge by, with commas")
    .option("--if-match <etag>", "only over that version")
    .option("--if-none-match <etag>", "*: only when nothing is stored")
    .option("--if-unmodified-since <date>", "only over what was not written since")
    .action((namespace: string, key: string, value: string | undefined, flags: Flags) =>
      one("PUT", [namespace, key, value], flags),
    );
  addOptions(program.command("delete <namespace> <key>").description("delete a value"))
    .option("--if-match <etag>", "only that version")
    .option("--if-unmodified-since <date>", "only what was not written since")
    .action((namespace: string, key: string, flags: Flags) =>
      one("DELETE", [namespace, key], flags),
    );
  program
    .command("explain <namespace> <key>")
    .description("what each replica itself holds of a key")
    .option("--json", "as JSON")
    .action(async (namespace: string, key: string, flags: Flags) => {
      const path = keyPath(namespace, key).replace("/v1/kv/", "/v1/cluster/explain/");
      const body = await sendJson(endpoint(), path);
      if (flags["json"] === true) printJson(body);
      else say(explainText(body as ExplainBody));
    });
}
