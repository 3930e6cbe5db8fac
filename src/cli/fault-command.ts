/** `starling fault`: tells a replica to fail, for drills. */
import type { Command } from "commander";
import { FAULT_KINDS } from "../../core/fault.ts";
import { type Endpoint, sendJson } from "./http.ts";
import { printJson, say, UsageError } from "./output.ts";

interface Flags {
  readonly ms?: string;
  readonly share?: string;
  readonly for?: string;
  readonly json?: boolean;
}

/** As the API shows one. */
interface Fault {
  readonly kind: string;
  readonly ms?: number;
  readonly share?: number;
  readonly until: string;
}

const ROUTE = "/v1/cluster/faults";

function line(id: string, { kind, ms, share, until }: Fault): string {
  const delay = ms === undefined ? "" : ` (${ms} ms longer)`;
  const loss = share === undefined ? "" : ` (share ${share})`;
  return `${id} is ${kind}${delay}${loss} until ${until}`;
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new UsageError(`--${name} takes a number`);
}

async function list(at: Endpoint, isJson: boolean): Promise<void> {
  const body = (await sendJson(at, ROUTE)) as { faults: Record<string, Fault> };
  if (isJson) return printJson(body);
  const faults = Object.entries(body.faults);
  if (faults.length === 0) say("no replica has a fault");
  for (const [id, fault] of faults) say(line(id, fault));
}

async function set(at: Endpoint, id: string, kind: string, flags: Flags): Promise<void> {
  const path = `${ROUTE}/${encodeURIComponent(id)}`;
  if (kind === "none") {
    await sendJson(at, path, { method: "DELETE" });
    if (flags.json === true) printJson({ faults: {} });
    else say(`${id} has no fault any more`);
    return;
  }
  const seconds = numberOf("for", flags.for);
  const body = {
    kind,
    ms: numberOf("ms", flags.ms),
    share: numberOf("share", flags.share),
    forMs: seconds === undefined ? undefined : seconds * 1000,
  };
  const sent = { method: "PUT", body: JSON.stringify(body) } as const;
  const fault = (await sendJson(at, path, sent)) as Fault;
  if (flags.json === true) printJson(fault);
  else say(line(id, fault));
}

export function addFaultCommand(program: Command, endpoint: () => Endpoint): void {
  program
    .command("fault [replica] [kind]")
    .description(`for drills: make a replica ${FAULT_KINDS.join(", ")}, or none; list without one`)
    .option("--ms <ms>", "slow: how much longer it takes")
    .option("--share <share>", "lossy: which part of the messages is lost, 0.001 to 1")
    .option("--for <seconds>", "seconds until it ends by itself (default 600)")
    .option("--json", "as JSON")
    .action((id: string | undefined, kind: string | undefined, flags: Flags) => {
      if (id === undefined) return list(endpoint(), flags.json === true);
      if (kind !== undefined) return set(endpoint(), id, kind, flags);
      throw new UsageError(`say which fault: ${FAULT_KINDS.join(", ")} or none`);
    });
}
