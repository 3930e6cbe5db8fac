/** `starling scrub`: whether the replicas' disks still hold what was written to them. */
import type { Command } from "commander";
import { type Endpoint, sendJson } from "./http.ts";
import { counted, failWith, printJson, say, table } from "./output.ts";
import { ago } from "./status.ts";

interface Pass {
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly records: number;
  readonly damaged: number;
  readonly mended: number;
}

interface Member {
  readonly id: string;
  readonly reachable: boolean;
  readonly scrub?: { readonly last: Pass | null; readonly running: Pass | null } | null;
}

interface Now {
  readonly replicas: readonly {
    readonly id: string;
    readonly state: "done" | "no answer" | "platform";
    readonly records: number | null;
    readonly damaged: number | null;
    readonly mended: number | null;
  }[];
}

const counts = (pass: Pass | null | undefined): readonly string[] =>
  pass === null || pass === undefined
    ? ["-", "-", "-"]
    : [pass.records, pass.damaged, pass.mended].map(String);

/** Where the platform checks its own storage, nothing is read here. */
function lastText(members: readonly Member[], now: number): string {
  const rows = members.map(({ id, reachable, scrub = null }) => {
    if (!reachable) return [id, "does not answer"];
    if (scrub === null) return [id, "checked by the platform"];
    const { last, running } = scrub;
    const since =
      running === null ? "-" : `${counted(running.records, "record")}, ${running.damaged} damaged`;
    return [id, `${ago(last?.finishedAt, now)}`, ...counts(last), since];
  });
  const head = ["member", "last, ago", "records", "damaged", "mended", "running now"];
  return table([head, ...rows]);
}

const WORDS = { "no answer": "no answer yet: starling scrub", platform: "checked by the platform" };

function nowText({ replicas }: Now): string {
  const rows = replicas.map(({ id, state, records, damaged, mended }) =>
    state === "done" ? [id, ...[records, damaged, mended].map(String)] : [id, WORDS[state]],
  );
  return table([["member", "records", "damaged", "mended"], ...rows]);
}

interface ScrubFlags {
  readonly now?: boolean;
  readonly replica?: string;
  readonly json?: boolean;
}

async function run(at: Endpoint, { now, replica, json }: ScrubFlags): Promise<void> {
  if (now !== true && replica === undefined) {
    const { members } = (await sendJson(at, "/v1/cluster")) as { members: readonly Member[] };
    if (json === true) return printJson(members.map(({ id, scrub = null }) => ({ id, scrub })));
    return say(lastText(members, Date.now()));
  }
  const body = JSON.stringify(replica === undefined ? {} : { replica });
  const result = (await sendJson(at, "/v1/cluster/scrub", { method: "POST", body })) as Now;
  if (json === true) printJson(result);
  else say(nowText(result));
  const isLeft = ({ damaged, mended }: Now["replicas"][number]): boolean =>
    (damaged ?? 0) > (mended ?? 0);
  const left = result.replicas.filter(isLeft).map(({ id }) => id);
  if (left.length > 0) failWith(`nobody had what is damaged at ${left.join(", ")}`);
}

export function addScrub(program: Command, endpoint: () => Endpoint): void {
  program
    .command("scrub")
    .description("when all records were last read, and what was damaged")
    .option("--now", "read all of them now, and mend from the peers; status 1 if some stay damaged")
    .option("--replica <id>", "only those of this one, now")
    .option("--json", "as JSON")
    .action((flags: ScrubFlags) => run(endpoint(), flags));
}
