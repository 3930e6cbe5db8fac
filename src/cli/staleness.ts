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
  /** null where nothing was measured; `predicted` is empty then. */
  readonly latency: { readonly read: Percentiles | null; readonly write: Percentiles | null };
}

export interface StalenessReport {
  readonly model: {
    readonly samples: { readonly reads: number; readonly stores: number };
    readonly assumed: readonly string[];
  };
  readonly choices: readonly Choice[];
  readonly rmse: number | null;
  /** How old each member's knowledge of each other one is, in seconds; null: it has none. */
  readonly lag?: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
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
const ms = (value = 0): string => value.toFixed(1);

/** The cell of one time: what is predicted, then what was measured. */
function cellOf({ predicted, measured }: Choice, i: number): string {
  const { t, p } = predicted[i] ?? { t: 0, p: 0 };
  const point = measured.find((one) => one.t === t);
  return point === undefined ? percent(p) : `${percent(p)} / ${percent(point.p)}`;
}

function tableOf(choices: readonly Choice[]): string {
  const times = choices[0]?.predicted.map(({ t }) => `${t} ms`) ?? [];
  const head = ["r", "w", ...times, "read p50", "p99", "write p50", "p99"];
  const rows = choices.map((choice) => {
    const { read, write } = choice.latency;
    return [
      String(choice.r),
      String(choice.w),
      ...times.map((_, i) => cellOf(choice, i)),
      ms(read?.p50),
      ms(read?.p99),
      ms(write?.p50),
      ms(write?.p99),
    ];
  });
  return table([head, ...rows]);
}

/** A bar for what is predicted, and a mark on it where the measured share is. */
function barOf(p: number, measured: number | null): string {
  const bar = [..."█".repeat(Math.round(p * BAR_CHARS)).padEnd(BAR_CHARS, "·")];
  if (measured !== null) {
    bar[Math.min(BAR_CHARS - 1, Math.max(0, Math.round(measured * BAR_CHARS) - 1))] = "◆";
  }
  return bar.join("");
}

function plotOf({ r, w, predicted, measured, latency: { read, write } }: Choice): string {
  const widest = Math.max(...predicted.map(({ t }) => String(t).length));
  const lines = predicted.map(({ t, p }) => {
    const point = measured.find((one) => one.t === t) ?? null;
    const found = point === null ? "" : `  ◆ ${percent(point.p)} of ${point.count}`;
    const bar = barOf(p, point?.p ?? null);
    return `  ${String(t).padStart(widest)} ms ${bar} ${percent(p)}${found}`;
  });
  const costs = `reads ${ms(read?.p50)} ms, p99 ${ms(read?.p99)}`;
  const head = `r=${r}, w=${w}: ${costs}; writes ${ms(write?.p50)} ms, p99 ${ms(write?.p99)}`;
  return [head, ...lines].join("\n");
}

/** In one line, what was measured, and how far predictions are off. */
function measuredText({ choices, rmse }: StalenessReport): string {
  const probes = choices.flatMap(({ measured }) => measured.map(({ count }) => count));
  if (probes.length === 0) {
    return "Nothing was measured: canaries have this n and dw not, are off, or have not begun.";
  }
  const most = Math.max(...probes);
  const least = Math.min(...probes);
  const off = rmse === null ? "" : `; predictions are ${percent(rmse)} off (root mean square)`;
  return `Behind it what ${least} to ${most} canary reads a point have measured${off}.`;
}

/** The pair of members in which one knows least of the other; "" where members do not tell. */
function lagText({ lag = {} }: StalenessReport): string {
  const lags = Object.entries(lag).flatMap(([id, peers]) =>
    Object.entries(peers).map(([peer, seconds]) => ({ id, peer, seconds: seconds ?? Infinity })),
  );
  const [worst] = lags.sort((a, b) => b.seconds - a.seconds);
  if (worst === undefined) return "";
  const { id, peer, seconds } = worst;
  if (seconds === Infinity) return `${id} knows nothing of ${peer} yet.`;
  return `Members follow each other: ${id} is the last, ${seconds.toFixed(1)} s behind ${peer}.`;
}

export function reportText(report: StalenessReport, { plot }: Flags): string {
  const { choices, model } = report;
  const { reads, stores } = model.samples;
  if (choices.every(({ predicted }) => predicted.length === 0)) {
    throw new CliError(
      "nothing was measured: no read of the last ten minutes went between members; ask again " +
        "after some traffic",
    );
  }
  const said =
    `The chance that a read sees a write, by the time between the two, as predicted from ${reads}
reads and ${stores} stores of the last ten minutes. ${measuredText(report)}
${lagText(report)}`.trimEnd();
  const assumed = model.assumed.map((line) => `  ${line}`).join("\n");
  const body = plot === true ? choices.map(plotOf).join("\n\n") : tableOf(choices);
  return `${body}\n\n${said}\nIt is assumed:\n${assumed}`;
}

export function addStaleness(program: Command, endpoint: () => Endpoint): void {
  program
    .command("staleness")
    .description("how likely a read sees a write, predicted and measured, for each r and w")
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
      else say(reportText(body as StalenessReport, flags));
    });
}
