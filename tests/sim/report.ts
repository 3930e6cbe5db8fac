/** What is told of runs: one line of totals, and each failing seed as small as it could be made. */
import type { Plan } from "./plan.ts";
import type { SimReport } from "./run.ts";

export class Totals {
  #seedCount = 0;
  #failedCount = 0;
  #operationCount = 0;
  #acknowledgedCount = 0;
  #simulatedMs = 0;
  #changeCount = 0;
  #evictionCount = 0;
  #switchCount = 0;
  #resyncCount = 0;
  readonly #faults = new Map<string, number>();

  add(report: SimReport): void {
    this.#seedCount++;
    if (report.failures.length > 0) this.#failedCount++;
    this.#operationCount += report.operationCount;
    this.#acknowledgedCount += report.acknowledgedCount;
    this.#simulatedMs += report.simulatedMs;
    this.#changeCount += report.ringVersion - 1;
    this.#evictionCount += report.evictionCount;
    this.#switchCount += report.switchCount;
    this.#resyncCount += report.resyncCount;
    for (const [kind, times] of Object.entries(report.faults)) {
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + times);
    }
  }

  get line(): string {
    const hours = (this.#simulatedMs / 3_600_000).toFixed(2);
    const kinds = [...this.#faults].sort().map(([kind, times]) => `${kind} ${times}`);
    return (
      `${this.#seedCount} seeds, ${this.#failedCount} failed, ${this.#operationCount} operations ` +
      `(${this.#acknowledgedCount} writes acknowledged), ${hours} simulated hours, ` +
      `${this.#changeCount} changes of members, ${this.#evictionCount} evictions, ` +
      `${this.#switchCount} switches of the feed without a resync, ${this.#resyncCount} resyncs, ` +
      `faults: ${kinds.join(", ")}`
    );
  }
}

const indexes = (items: readonly { readonly index: number }[]): string =>
  items.map(({ index }) => index).join(",");

export const told = ({ seed, failures }: SimReport): readonly string[] => [
  `seed ${seed} FAILED`,
  ...failures.map(({ oracle, detail }) => `  ${oracle}: ${detail}`),
];

/** Nothing for a seed that did not fail. */
export async function reportLines(plan: Plan, report: SimReport): Promise<readonly string[]> {
  const { failures, seed } = report;
  const [first] = failures;
  if (first === undefined) return [];
  const { shrink } = await import("./shrink.ts");
  const small = shrink(plan, first);
  const chosen = `--faults "${indexes(small.faults)}" --clients "${indexes(small.clients)}"`;
  return [
    ...told(report),
    `  shrunk to ${small.faults.length} of ${plan.faults.length} faults and ` +
      `${small.clients.length} of ${plan.clients.length} clients; replay with`,
    `  npm run sim -- --seed ${seed} --verbose ${chosen}` +
      `${small.noise === plan.noise ? "" : " --no-noise"}`,
  ];
}
