/** `starling staleness`: what a choice of r and w costs and risks, as a table or as bars. */
import type { Command } from "commander";
import { type Endpoint, sendJson } from "./http.ts";
import { CliError, printJson, say, table } from "./output.ts";

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

interface Choice {
  readonly n: number;
  readonly r: number;
  readonly w: number;
  readonly predicted: readonly { readonly t: number; readonly p: number }[];
  readonly measured: readonly { readonly t: number; readonly p: number; readonly count: number }[];
  readonly latency: { readonly read: Percentiles; readonly write: Percentiles };
}

interface Report {
  readonly model: {
    readonly samples: { readonly reads: number; readonly stores: number };
    readonly assumed: readonly string[];
  };
  readonly choices: readonly Choice[];
}

interface Flags {
  readonly namespace?: string;
  readonly n?: string;
  readonly r?: string;
  readonly w?: string;
  readonly dw?: string;
  readonly t?: string;
  readonly from?: string;
  readonly plot?: boolean;
  readonly json?: boolean;
}

const QUERY = ["namespace", "n", "r", "w", "dw", "t", "from"] as const;
const BAR_CHARS = 40;

const percent = (p: number): string => `${(p * 100).toFixed(p > 0.999 && p < 1 ? 3 : 1)} %`;
const ms = (value: number): string => value.toFixed(1);

function tableOf(choices: readonly Choice[]): string {
  const times = choices[0]?.predicted.map(({ t }) => `${t} ms`) ?? [];
  const head = ["r", "w", ...times, "read p50", "p99", "write p50", "p99"];
  const rows = choices.map(({ r, w, predicted, latency: { read, write } }) => [
    String(r),
    String(w),
    ...predicted.map(({ p }) => percent(p)),
    ms(read.p50),
    ms(read.p99),
    ms(write.p50),
    ms(write.p99),
  ]);
  return table([head, ...rows]);
}

function plotOf({ r, w, predicted }: Choice): string {
  const widest = Math.max(...predicted.map(({ t }) => String(t).length));
  const lines = predicted.map(({ t, p }) => {
    const bar = "█".repeat(Math.round(p * BAR_CHARS)).padEnd(BAR_CHARS, "·");
    return `  ${String(t).padStart(widest)} ms ${bar} ${percent(p)}`;
  });
  return [`r=${r}, w=${w}`, ...lines].join("\n");
}

function reportText({ choices, model }: Report, { plot }: Flags): string {
  const { reads, stores } = model.samples;
  if (choices.length === 0) {
    throw new CliError(
      `too little was measured: ${reads} reads and ${stores} stores of the last ten minutes went ` +
        "from this frontend to other replicas; ask again after some traffic",
    );
  }
  const said = `The chance that a read sees a write, by the time between the two; ${reads} reads and
${stores} stores measured. It is assumed:`;
  const assumed = model.assumed.map((line) => `  ${line}`).join("\n");
  const body = plot === true ? choices.map(plotOf).join("\n\n") : tableOf(choices);
  return `${body}\n\n${said}\n${assumed}`;
}

export function addStaleness(program: Command, endpoint: () => Endpoint): void {
  program
    .command("staleness")
    .description("what a choice of r and w costs and risks, by what was measured here")
    .option("--namespace <name>", "by the settings of this one")
    .option("--n <count>", "replicas that take part")
    .option("--r <count>", "only for this r")
    .option("--w <count>", "only for this w")
    .option("--dw <count>", "of the acknowledgements, how many durable")
    .option("--t <times>", "after which times, in ms, with commas")
    .option("--from <frontend>", "whether the reader uses the writer's frontend: same or other")
    .option("--plot", "as bars")
    .option("--json", "as JSON")
    .action(async (flags: Flags) => {
      const query = new URLSearchParams();
      for (const name of QUERY) {
        const value = flags[name];
        if (value !== undefined) query.set(name, value);
      }
      const body = await sendJson(endpoint(), `/v1/cluster/staleness?${query}`);
      if (flags.json === true) printJson(body);
      else say(reportText(body as Report, flags));
    });
}
