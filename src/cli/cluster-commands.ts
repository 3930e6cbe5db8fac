/** `starling status / ring / repair`: the cluster plane. */
import type { Command } from "commander";
import type { RingBody } from "../frontend/admin/verdict.ts";
import { type Endpoint, sendJson } from "./http.ts";
import { addMemberCommands } from "./member-commands.ts";
import { printJson, say, table } from "./output.ts";
import { addStaleness } from "./staleness.ts";
import { addStatus } from "./status.ts";

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

interface RepairFlags {
  readonly replica?: string;
  readonly hints?: boolean;
  readonly acceptLoss?: string;
  readonly json?: boolean;
}

function repairOf({ replica, hints, acceptLoss }: RepairFlags): [path: string, body: object] {
  if (acceptLoss !== undefined) return ["/v1/cluster/accept-loss", { replica: acceptLoss }];
  if (hints === true) return ["/v1/cluster/handoff", {}];
  return ["/v1/cluster/anti-entropy", replica === undefined ? {} : { replica }];
}

function acceptedText(result: unknown): string {
  const { replica, partitions, waitedFor } = result as {
    readonly replica: string;
    readonly partitions: number;
    readonly waitedFor: readonly string[];
  };
  if (partitions === 0) return `${replica} knows what it owns: it waits for nobody`;
  const whom = waitedFor.length === 0 ? "nobody who is away" : waitedFor.join(", ");
  return `${replica} waited with ${partitions} partitions for ${whom}; it does not any more`;
}

export function addClusterCommands(program: Command, endpoint: () => Endpoint): void {
  addStatus(program, endpoint);
  program
    .command("ring")
    .description("who owns how much of the ring")
    .option("--json", "as JSON, with the whole assignment")
    .action(async (flags: { json?: boolean }) => {
      const body = await sendJson(endpoint(), "/v1/cluster/ring");
      if (flags.json === true) printJson(body);
      else say(ringText(body as RingBody));
    });
  addMemberCommands(program, endpoint);
  addStaleness(program, endpoint);
  program
    .command("repair")
    .description("compare the replicas and mend what differs, now")
    .option("--replica <id>", "only this one, with all its peers")
    .option("--hints", "deliver hints instead")
    .option(
      "--accept-loss <id>",
      "let this one, whose disk was lost, wait for no member that is away",
    )
    .option("--json", "as JSON")
    .action(async (flags: RepairFlags) => {
      const { acceptLoss, json } = flags;
      const [path, members] = repairOf(flags);
      const body = JSON.stringify(members);
      const result = await sendJson(endpoint(), path, { method: "POST", body });
      if (acceptLoss !== undefined && json !== true) return say(acceptedText(result));
      if (json === true) return printJson(result);
      const counts = Object.entries(result as object).map(([name, count]) => `${name} ${count}`);
      say(counts.join(", "));
    });
}
