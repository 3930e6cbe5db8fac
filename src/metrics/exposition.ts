/**
 * The Prometheus text format, version 0.0.4: one place that knows how names, labels and numbers are
 * spelled there, so that no host writes lines of its own.
 */
import { present } from "../../core/assert.ts";
import { SECONDS_BOUNDS } from "../../core/traffic.ts";

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

export interface Metric {
  /** With its unit and, on a counter, `_total` last. */
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly values: readonly Sample[];
}

export interface HistogramMetric {
  readonly name: string;
  readonly type: "histogram";
  readonly help: string;
  readonly values: readonly (readonly [labels: Labels, histogram: Histogram])[];
}

/** How often a duration fell into each class. */
export class Histogram {
  readonly bounds: readonly number[];
  /** How many were that long and no longer: one class more than there are bounds. */
  readonly counts: number[];
  sum = 0;

  /** @param bounds ascending */
  constructor(bounds: readonly number[] = SECONDS_BOUNDS) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let i = 0;
    while (value > (this.bounds[i] ?? Infinity)) i++;
    this.counts[i] = present(this.counts[i]) + 1;
    this.sum += value;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** A sample without labels. */
export const one = (value: number): readonly Sample[] => [[{}, value]];

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replace(/[\\"\n]/g, (char) => ESCAPES[char] ?? char);
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const numberText = (value: number): string => {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
};

const lineOf = (name: string, labels: Labels, value: number): string =>
  `${name}${labelText(labels)} ${numberText(value)}`;

function histogramLines(name: string, labels: Labels, histogram: Histogram): string[] {
  let below = 0;
  const lines = histogram.counts.map((count, i) => {
    below += count;
    const le = numberText(histogram.bounds[i] ?? Infinity);
    return lineOf(`${name}_bucket`, { ...labels, le }, below);
  });
  lines.push(lineOf(`${name}_sum`, labels, histogram.sum));
  lines.push(lineOf(`${name}_count`, labels, below));
  return lines;
}

function linesOf(metric: Metric | HistogramMetric): readonly string[] {
  const { name } = metric;
  if (metric.type !== "histogram") {
    return metric.values.map(([labels, value]) => lineOf(name, labels, value));
  }
  return metric.values.flatMap(([labels, histogram]) => histogramLines(name, labels, histogram));
}

/** The metrics as text; each family with its help and type, even where it has no series yet. */
export function render(metrics: readonly (Metric | HistogramMetric)[]): string {
  const families = metrics.map((metric) => {
    const { name, type, help } = metric;
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...linesOf(metric), ""].join("\n");
  });
  return families.join("");
}
