/**
 * A strict reader of the Prometheus text format 0.0.4: whatever a lenient scraper would forgive is
 * an error here.
 */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);

function numberOf(text: string): number {
  if (text === "+Inf") return Infinity;
  if (!/^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/.test(text)) throw new Error(`no number: ${text}`);
  return Number(text);
}

function sampleOf(line: string): ParsedSample {
  const [, name, labelText, value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`);
  const pairs = [...(labelText ?? "").matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)];
  const labels = Object.fromEntries(pairs.map(([, label = "", text = ""]) => [label, text]));
  if (Object.keys(labels).length !== pairs.length) throw new Error(`a label twice: ${line}`);
  return { name, labels, value: numberOf(value) };
}

/** @throws Error that shows the first line which is not as it should be */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, Family & { samples: ParsedSample[] }>();
  const seen = new Set<string>();
  const lines = text.slice(0, -1).split("\n");
  for (let i = 0; i < lines.length; ) {
    const [, name, help] = HELP.exec(lines[i++] ?? "") ?? [];
    const [, typed, type] = TYPE.exec(lines[i++] ?? "") ?? [];
    if (name === undefined || help === undefined || type === undefined || typed !== name) {
      throw new Error(`a family begins with HELP and TYPE: ${lines[i - 2]}`);
    }
    if (families.has(name)) throw new Error(`${name} is there twice`);
    const samples: ParsedSample[] = [];
    for (; i < lines.length && !lines[i]?.startsWith("#"); i++) {
      const line = lines[i] ?? "";
      const series = line.slice(0, line.lastIndexOf(" "));
      if (seen.has(series)) throw new Error(`a series twice: ${series}`);
      seen.add(series);
      samples.push(sampleOf(line));
    }
    families.set(name, { type, help, samples });
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function checkFamily(name: string, { type, samples }: Family): void {
  if (type === "counter" && !name.endsWith("_total")) throw new Error(`${name} is a counter`);
  if (type !== "counter" && name.endsWith("_total")) throw new Error(`${name} is no counter`);
  if (type === "histogram") return checkHistogram(name, samples);
  for (const sample of samples) {
    if (sample.name !== name) throw new Error(`${sample.name} under ${name}`);
    if (type === "counter" && sample.value < 0) throw new Error(`${name} below nothing`);
  }
}

interface HistogramParts {
  readonly buckets: [number, number][];
  sum?: number;
  count?: number;
}

function histogramsOf(
  name: string,
  samples: readonly ParsedSample[],
): ReadonlyMap<string, HistogramParts> {
  const series = new Map<string, HistogramParts>();
  for (const { name: part, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const of = series.get(key) ?? { buckets: [] };
    series.set(key, of);
    if (part === `${name}_bucket` && le !== undefined) of.buckets.push([numberOf(le), value]);
    else if (part === `${name}_sum`) of.sum = value;
    else if (part === `${name}_count`) of.count = value;
    else throw new Error(`${part} under ${name}`);
  }
  return series;
}

function checkHistogram(name: string, samples: readonly ParsedSample[]): void {
  for (const [key, { buckets, sum, count }] of histogramsOf(name, samples)) {
    if (sum === undefined || count === undefined) throw new Error(`${name}${key} lacks a part`);
    for (const [i, [le, value]] of buckets.entries()) {
      const [leBefore, before] = buckets[i - 1] ?? [-Infinity, 0];
      if (le <= leBefore || value < before) throw new Error(`${name}${key} is not cumulative`);
    }
    const [lastLe, last] = buckets.at(-1) ?? [0, -1];
    if (lastLe !== Infinity || last !== count) throw new Error(`${name}${key}: +Inf is the count`);
  }
}
