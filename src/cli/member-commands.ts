/** `starling plan / commit / transfers`: who is a member. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { StarlingError } from "../client/error.ts";
import type { RingBody } from "../frontend/admin/verdict.ts";
import { type Endpoint, sendJson } from "./http.ts";
import { CliError, printJson, say, table, UsageError } from "./output.ts";
import { startMeter } from "./progress.ts";

type Change = { add: unknown[]; remove: string[]; reweight: Record<string, number> };

interface ChangeFlags {
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly reweight: readonly string[];
  readonly file?: string;
  readonly from?: string;
  readonly json?: boolean;
}

interface CommitFlags extends ChangeFlags {
  readonly abort?: boolean;
  readonly wait?: boolean;
}

/** `r6,zone=a,url=http://…,weight=1` */
function parseMember(text: string): unknown {
  const [id = "", ...fields] = text.split(",");
  const member: Record<string, unknown> = { id };
  for (const field of fields) {
    const [name = "", value = ""] = field.split(/=(.*)/s);
    if (!["zone", "url", "weight"].includes(name)) {
      throw new UsageError(`--add takes ID,zone=…,url=…,weight=…, not "${field}"`);
    }
    member[name] = name === "weight" ? Number(value) : value;
  }
  return member;
}

/** The change, with the version that is named; what is no object is for the API to refuse. */
async function changeOf(flags: CommitFlags): Promise<unknown> {
  const change = flags.abort === true ? { abort: true } : await namedChange(flags);
  const { from } = flags;
  if (from === undefined || !isObject(change)) return change;
  if (!/^[1-9][0-9]{0,14}$/.test(from)) throw new UsageError("--from takes a ring's version");
  return { ...change, from: Number(from) };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

async function namedChange(flags: ChangeFlags): Promise<Change | unknown> {
  if (flags.file !== undefined) {
    try {
      return JSON.parse(await readFile(flags.file, "utf8")) as unknown;
    } catch {
      throw new CliError(`${flags.file} is not a file with JSON`);
    }
  }
  const reweight: Record<string, number> = {};
  for (const text of flags.reweight) {
    const [id = "", weight = ""] = text.split("=");
    if (!/^[0-9]+$/.test(weight)) throw new UsageError("--reweight takes ID=WEIGHT");
    reweight[id] = Number(weight);
  }
  return { add: flags.add.map(parseMember), remove: flags.remove, reweight };
}

const append = (value: string, list: readonly string[]): readonly string[] => [...list, value];

interface PlanBody {
  readonly from: number;
  readonly to: number;
  readonly moves: readonly { readonly to: string; readonly from: string | null }[];
  readonly movedPartitions: number;
  readonly minimumPossible: number;
}

function planText({ from, to, moves, movedPartitions, minimumPossible }: PlanBody): string {
  const takers = [...new Set(moves.map((move) => move.to))].sort();
  const rows = takers.map((taker) => {
    const gets = moves.filter((move) => move.to === taker);
    const givers = [...new Set(gets.map((move) => move.from ?? "nobody"))].sort();
    return [taker, String(gets.length), givers.join(", ")];
  });
  const least = `${movedPartitions} copies of partitions move, ${minimumPossible} at the least`;
  const summary = `ring version ${from} to ${to}: ${least}`;
  return rows.length === 0 ? summary : `${summary}\n${table([["to", "copies", "from"], ...rows])}`;
}

interface TransfersBody {
  readonly ringVersion: number;
  readonly phase: string | null;
  readonly waitingFor?: readonly string[];
  readonly transfers: readonly {
    readonly to: string;
    readonly state: string;
    readonly partitions: number;
    readonly partitionsDone: number;
    readonly keys: number;
    readonly bytes: number;
  }[];
  readonly namespaces: readonly {
    readonly namespace: string;
    readonly from: number;
    readonly to: number;
    readonly phase: string;
    readonly waitingFor: readonly string[];
  }[];
}

const namesOf = (ids: readonly string[]): string => ids.join(", ") || "nobody";

function transfersText(body: TransfersBody): string {
  const resized = body.namespaces.map(
    ({ namespace, from, to, phase, waitingFor }) =>
      `namespace ${namespace}: n ${from} to ${to}, ${phase}, waiting for ${namesOf(waitingFor)}`,
  );
  return [membersText(body), ...resized].join("\n");
}

function membersText({ phase, waitingFor = [], transfers }: TransfersBody): string {
  if (phase === null) return "no members change";
  const rows = transfers.map(({ to, state, partitions, partitionsDone, keys, bytes }) => [
    ...[to, state, `${partitionsDone} of ${partitions}`, String(keys), String(bytes)],
  ]);
  const head = ["to", "state", "partitions", "keys", "bytes"];
  const summary = `${phase}, waiting for ${namesOf(waitingFor)}`;
  return `${summary}\n${table([head, ...rows])}`;
}

const WAIT_MS = 250;

const transfersNow = async (endpoint: Endpoint): Promise<TransfersBody> =>
  (await sendJson(endpoint, "/v1/cluster/transfers")) as TransfersBody;

/** null while too few members answer to tell: that passes, and the change goes on. */
async function transfersSoon(endpoint: Endpoint): Promise<TransfersBody | null> {
  try {
    return await transfersNow(endpoint);
  } catch (error) {
    const cause = error instanceof CliError ? error.cause : null;
    if (cause instanceof StarlingError && cause.code === "quorum-unavailable") return null;
    throw error;
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, WAIT_MS));

/**
 * Follows the change to its end.
 *
 * @returns the version that the ring has then
 */
async function waitForEnd(endpoint: Endpoint, isQuiet: boolean): Promise<number> {
  const meter = startMeter("moving", isQuiet);
  try {
    for (; ; await pause()) {
      const body = await transfersSoon(endpoint);
      if (body === null) continue;
      if (body.phase === null) return body.ringVersion;
      const sum = (of: "partitions" | "partitionsDone"): number =>
        body.transfers.reduce((all, transfer) => all + transfer[of], 0);
      const label = `${body.phase}, waiting for ${body.waitingFor?.join(", ") ?? "nobody"}`;
      meter.show(sum("partitionsDone"), sum("partitions"), label);
    }
  } finally {
    meter.stop();
  }
}

/** Whether a ring has the members that a change was to lead to. */
function isAsWanted({ members }: RingBody, change: Partial<Change>): boolean {
  const weights = new Map(members.map(({ id, weight }) => [id, weight]));
  const added = (change.add ?? []) as readonly { readonly id: string; readonly weight?: number }[];
  return (
    added.every(({ id, weight = 1 }) => weights.get(id) === weight) &&
    (change.remove ?? []).every((id) => !weights.has(id) || added.some((one) => one.id === id)) &&
    Object.entries(change.reweight ?? {}).every(([id, weight]) => weights.get(id) === weight)
  );
}

/**
 * A change that was called off leaves the former ring, and the next version may then be another
 * operator's.
 *
 * @param to the version that the change was to lead to, and that to which the ring has come
 * @throws CliError when it led to nothing
 */
async function checkOutcome(
  endpoint: Endpoint,
  change: unknown,
  to: { readonly wanted: number; readonly reached: number },
): Promise<void> {
  const { wanted, reached } = to;
  if (reached > wanted) return;
  if (reached === wanted) {
    const ring = await ringSince(endpoint, reached);
    if (ring.version > wanted || isAsWanted(ring, change as Partial<Change>)) return;
  }
  const kept = `the members are those of ring version ${reached}`;
  throw new CliError(`the change was called off: ${kept}`);
}

/** A node other than the one that told of that version may hear of it a moment later. */
async function ringSince(endpoint: Endpoint, version: number): Promise<RingBody> {
  for (; ; await pause()) {
    const ring = (await sendJson(endpoint, "/v1/cluster/ring")) as RingBody;
    if (ring.version >= version) return ring;
  }
}

/**
 * The change as it is sent: for the present version of the ring, unless it names one. A node that
 * gets to it late, when the ring has moved on, then refuses it.
 */
async function boundTo(endpoint: Endpoint, change: unknown): Promise<unknown> {
  if (!isObject(change) || change["from"] !== undefined) return change;
  return { ...change, from: (await transfersNow(endpoint)).ringVersion };
}

const withChange = (command: Command): Command =>
  command
    .option("--add <member>", "ID,zone=…,url=…,weight=…; may be repeated", append, [])
    .option("--remove <id>", "may be repeated", append, [])
    .option("--reweight <id=weight>", "may be repeated", append, [])
    .option("--file <path>", "the change as JSON")
    .option("--from <version>", "only if the ring has that version still, as a plan said it")
    .option("--json", "as JSON");

export function addMemberCommands(program: Command, endpoint: () => Endpoint): void {
  withChange(program.command("plan"))
    .description("say what a change of members would move")
    .action(async (flags: ChangeFlags) => {
      const body = JSON.stringify(await changeOf(flags));
      const plan = await sendJson(endpoint(), "/v1/cluster/plan", {
        method: "POST",
        body,
        isWrite: false,
      });
      if (flags.json === true) printJson(plan);
      else say(planText(plan as PlanBody));
    });
  withChange(program.command("commit"))
    .description("start a change of members")
    .option("--wait", "until it is over")
    .option("--abort", "call off the change that is going on")
    .action(async (flags: CommitFlags) => {
      const change = await boundTo(endpoint(), await changeOf(flags));
      const body = JSON.stringify(change);
      const plan = await sendJson(endpoint(), "/v1/cluster/commit", { method: "POST", body });
      if (flags.wait === true) {
        const reached = await waitForEnd(endpoint(), flags.json === true);
        const to = { wanted: (plan as PlanBody).to, reached };
        if (flags.abort !== true) await checkOutcome(endpoint(), change, to);
      }
      if (flags.json === true) printJson(plan);
      else if (flags.abort === true) say("called off");
      else say(planText(plan as PlanBody));
    });
  program
    .command("transfers")
    .description("how far a change of members is")
    .option("--wait", "until it is over")
    .option("--json", "as JSON")
    .action(async ({ wait, json }: { wait?: boolean; json?: boolean }) => {
      if (wait === true) await waitForEnd(endpoint(), json === true);
      const body = await transfersNow(endpoint());
      if (json === true) printJson(body);
      else say(transfersText(body));
    });
}
