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

const ROUTE = "/v1/cluster/faults";

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new UsageError(`--${name} takes a number`);
}

async function list(at: Endpoint, isJson: boolean): Promise<void> {
  const body = (await sendJson(at, ROUTE)) as { faults: Record<string, object> };
  if (isJson) return printJson(body);
  const faults = Object.entries(body.faults);
  if (faults.length === 0) say("no replica has a fault");
  for (const [id, fault] of faults) say(`${id}  ${JSON.stringify(fault)}`);
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
  const fault = (await sendJson(at, path, { method: "PUT", body: JSON.stringify(body) })) as {
    until: string;
  };
  if (flags.json === true) printJson(fault);
  else say(`${id} is ${kind} until ${fault.until}`);
}

export function addFaultCommand(program: Command, endpoint: () => Endpoint): void {
  program
    .command("fault [replica] [kind]")
    .description(`for drills: make a replica ${FAULT_KINDS.join(", ")}, or none; list without one`)
    .option("--ms <ms>", "slow: how much longer it takes")
    .option("--share <share>", "lossy: which part of the messages is lost, 0.001 to 1")
    .option("--for <seconds>", "how long at most (default 600)")
    .option("--json", "as JSON")
    .action((id: string | undefined, kind: string | undefined, flags: Flags) => {
      if (id === undefined) return list(endpoint(), flags.json === true);
      if (kind !== undefined) return set(endpoint(), id, kind, flags);
      throw new UsageError(`say which fault: ${FAULT_KINDS.join(", ")} or none`);
    });
}
