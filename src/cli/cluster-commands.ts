/** `starling status / ring / plan / commit / repair`: the cluster plane. */

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { type Endpoint, sendJson } from "./http.ts";
import { CliError, green, printJson, red, say, table, UsageError } from "./output.ts";

interface ClusterBody {
  readonly name: string;
  readonly ringVersion: number;
  readonly partitions: number;
  readonly members: readonly {
    readonly id: string;
    readonly zone: string;
    readonly url: string;
    readonly state: string;
    readonly reachable: boolean;
    readonly partitionsOwned: number;
    readonly keys: number | null;
    readonly bytes: number | null;
    readonly hintsHeld: Readonly<Record<string, number>>;
  }[];
}

function statusText({ name, ringVersion, partitions, members }: ClusterBody): string {
  const rows = members.map((m) => [
    m.id,
    m.zone,
    m.state,
    m.reachable ? green("yes") : red("no"),
    String(m.partitionsOwned),
    String(m.keys ?? "-"),
    String(m.bytes ?? "-"),
    Object.entries(m.hintsHeld)
      .map(([target, count]) => `${count} for ${target}`)
      .join(", ") || "-",
    m.url,
  ]);
  const head = [
    "member",
    "zone",
    "state",
    "reachable",
    "partitions",
    "keys",
    "bytes",
    "hints",
    "url",
  ];
  const summary = `cluster ${name}, ring version ${ringVersion}, ${partitions} partitions`;
  return `${summary}\n${table([head, ...rows])}`;
}

interface RingBody {
  readonly version: number;
  readonly partitions: number;
  readonly members: readonly {
    readonly id: string;
    readonly zone: string;
    readonly weight: number;
  }[];
  readonly assignment: readonly (readonly string[])[];
}

function ringText({ version, partitions, members, assignment }: RingBody): string {
  const copies = (id: string): number => assignment.filter((list) => list.includes(id)).length;
  const firsts = (id: string): number => assignment.filter((list) => list[0] === id).length;
  const rows = members.map(({ id, zone, weight }) => [
    id,
    zone,
    String(weight),
    String(copies(id)),
    String(firsts(id)),
  ]);
  const head = ["member", "zone", "weight", "partitions", "first of"];
  return `ring version ${version}, ${partitions} partitions\n${table([head, ...rows])}`;
}

type Change = { add: unknown[]; remove: string[]; reweight: Record<string, number> };

interface ChangeFlags {
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly reweight: readonly string[];
  readonly file?: string;
  readonly json?: boolean;
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

async function changeOf(flags: ChangeFlags): Promise<Change | unknown> {
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

function addChange(program: Command, endpoint: () => Endpoint, name: "plan" | "commit"): void {
  const what = name === "plan" ? "say what a change of members would move" : "start the change";
  program
    .command(name)
    .description(what)
    .option("--add <member>", "ID,zone=…,url=…,weight=…; may be repeated", append, [])
    .option("--remove <id>", "may be repeated", append, [])
    .option("--reweight <id=weight>", "may be repeated", append, [])
    .option("--file <path>", "the change as JSON")
    .option("--json", "as JSON")
    .action(async (flags: ChangeFlags) => {
      const body = JSON.stringify(await changeOf(flags));
      const result = await sendJson(endpoint(), `/v1/cluster/${name}`, { method: "POST", body });
      printJson(result);
    });
}

interface RepairFlags {
  readonly replica?: string;
  readonly hints?: boolean;
  readonly json?: boolean;
}

export function addClusterCommands(program: Command, endpoint: () => Endpoint): void {
  program
    .command("status")
    .description("the members and how they are")
    .option("--json", "as JSON")
    .action(async (flags: { json?: boolean }) => {
      const body = await sendJson(endpoint(), "/v1/cluster");
      if (flags.json === true) printJson(body);
      else say(statusText(body as ClusterBody));
    });
  program
    .command("ring")
    .description("who owns how much of the ring")
    .option("--json", "as JSON, with the whole assignment")
    .action(async (flags: { json?: boolean }) => {
      const body = await sendJson(endpoint(), "/v1/cluster/ring");
      if (flags.json === true) printJson(body);
      else say(ringText(body as RingBody));
    });
  addChange(program, endpoint, "plan");
  addChange(program, endpoint, "commit");
  program
    .command("repair")
    .description("compare the replicas and mend what differs, now")
    .option("--replica <id>", "only this one, with all its peers")
    .option("--hints", "deliver hints instead")
    .option("--json", "as JSON")
    .action(async ({ replica, hints, json }: RepairFlags) => {
      const path = hints === true ? "/v1/cluster/handoff" : "/v1/cluster/anti-entropy";
      const body = JSON.stringify(replica === undefined ? {} : { replica });
      const result = await sendJson(endpoint(), path, { method: "POST", body });
      if (json === true) return printJson(result);
      const counts = Object.entries(result as object).map(([name, count]) => `${name} ${count}`);
      say(counts.join(", "));
    });
}
