/** `starling status`: the members, how they are, and what that means. */
import type { Command } from "commander";
import {
  type ClusterBody,
  type MemberBody,
  type RingBody,
  verdictOf,
} from "../frontend/admin/verdict.ts";
import { type Endpoint, sendJson } from "./http.ts";
import {
  bold,
  CliError,
  endWithReader,
  green,
  printJson,
  red,
  say,
  table,
  UsageError,
  yellow,
} from "./output.ts";

/** Seconds between two looks. */
const WATCH_SECONDS = 2;
const COLOURS = { safe: green, degraded: yellow, unsafe: red } as const;

/** A time that has passed, in the two words that matter: "3 d 4 h". */
export function ago(at: string | null | undefined, now: number): string {
  const ms = at === null || at === undefined ? Number.NaN : now - Date.parse(at);
  if (Number.isNaN(ms)) return "-";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = seconds;
  const words: string[] = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(left / size);
    if (count > 0) words.push(`${count} ${unit}`);
    left -= count * size;
  }
  return words.join(" ");
}

const hintsOf = ({ hintsHeld }: MemberBody): string =>
  Object.entries(hintsHeld)
    .map(([target, count]) => `${count} for ${target}`)
    .join(", ") || "-";

/** How long ago all records were last read for rot, and what was found then. */
function scrubbed({ scrub }: MemberBody, now: number): string {
  const last = scrub?.last;
  if (last === null || last === undefined) return "-";
  const found = last.damaged === 0 ? "" : `, ${last.damaged} damaged, ${last.mended} mended`;
  return ago(last.finishedAt, now) + found;
}

/** Columns that no member says anything in are left out. */
function membersTable(members: readonly MemberBody[], now: number): string {
  const columns: readonly (readonly [head: string, cell: (member: MemberBody) => string])[] = [
    ["member", ({ id }) => id],
    ["zone", ({ zone }) => zone],
    ["state", ({ state }) => state],
    ["reachable", ({ reachable }) => (reachable ? green("yes") : red("no"))],
    [
      "since",
      ({ reachable, startedAt, unreachableSince }) =>
        ago(reachable ? startedAt : unreachableSince, now),
    ],
    ["version", ({ version = null }) => version ?? "-"],
    ["partitions", ({ partitionsOwned }) => String(partitionsOwned)],
    ["keys", ({ keys }) => String(keys ?? "-")],
    ["dead", ({ deadKeys = null }) => String(deadKeys ?? "-")],
    ["bytes", ({ bytes }) => String(bytes ?? "-")],
    ["hints", hintsOf],
    ["oldest hint", ({ oldestHintAt }) => ago(oldestHintAt, now)],
    ["scrubbed", (member) => scrubbed(member, now)],
    ["url", ({ url }) => url],
  ];
  const optional = new Set(["since", "version", "oldest hint", "scrubbed"]);
  const shown = columns.filter(
    ([head, cell]) => !optional.has(head) || members.some((member) => cell(member) !== "-"),
  );
  const rows = members.map((member) => shown.map(([, cell]) => cell(member)));
  return table([shown.map(([head]) => head), ...rows]);
}

const twiceAlive = (id: string, at: string): string =>
  `two processes run as ${id}, last noticed ${at}: one is on a copy of the other's folder; stop it`;

/** @param now ms since 1970 */
export function statusText(cluster: ClusterBody, ring: RingBody, now: number): string {
  const { name, ringVersion, partitions, version, members } = cluster;
  const program = version === undefined ? "" : `, starling ${version}`;
  const { level, text } = verdictOf(cluster, ring);
  const warnings = members.flatMap(({ id, duplicateSeenAt = null }) =>
    duplicateSeenAt === null ? [] : [red(twiceAlive(id, duplicateSeenAt))],
  );
  return [
    `cluster ${name}, ring version ${ringVersion}, ${partitions} partitions${program}`,
    membersTable(members, now),
    ...warnings,
    COLOURS[level](text),
  ].join("\n");
}

interface Status {
  readonly cluster: ClusterBody;
  readonly ring: RingBody;
}

async function look(at: Endpoint): Promise<Status> {
  const [cluster, ring] = await Promise.all([
    sendJson(at, "/v1/cluster"),
    sendJson(at, "/v1/cluster/ring"),
  ]);
  return { cluster: cluster as ClusterBody, ring: ring as RingBody };
}

function show({ cluster, ring }: Status, isJson: boolean): void {
  if (isJson) printJson({ ...cluster, verdict: verdictOf(cluster, ring) });
  else say(statusText(cluster, ring, Date.now()));
}

/**
 * Looks until it is stopped; a look that fails is reported, and the next one follows all the same.
 */
async function watch(at: Endpoint, seconds: number, isJson: boolean): Promise<never> {
  const isTerminal = process.stdout.isTTY === true && !isJson;
  endWithReader();
  for (;;) {
    let status: Status | null = null;
    let failure = "";
    try {
      status = await look(at);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      failure = error.message;
    }
    // Moves the cursor to the top left, and erases everything after it.
    if (isTerminal) process.stdout.write("\u001b[H\u001b[J");
    if (isTerminal) say(bold(`${new Date().toISOString()}, every ${seconds} s; Ctrl-C ends it`));
    if (status === null) say(isJson ? JSON.stringify({ failure }) : red(failure));
    else if (isJson) {
      const { cluster, ring } = status;
      say(JSON.stringify({ ...cluster, verdict: verdictOf(cluster, ring) }));
    } else show(status, false);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

function secondsOf(text: string | true): number {
  const seconds = text === true ? WATCH_SECONDS : Number(text);
  if (seconds >= 0.1 && seconds <= 3600) return seconds;
  throw new UsageError("--watch takes seconds, 0.1 to 3600");
}

export function addStatus(program: Command, endpoint: () => Endpoint): void {
  program
    .command("status")
    .description("the members, how they are, and what that means")
    .option("--watch [seconds]", `again and again, every ${WATCH_SECONDS} s or so many`)
    .option("--json", "as JSON; with --watch a line each time")
    .action(async (flags: { json?: boolean; watch?: string | true }) => {
      const isJson = flags.json === true;
      if (flags.watch !== undefined) await watch(endpoint(), secondsOf(flags.watch), isJson);
      else show(await look(endpoint()), isJson);
    });
}
