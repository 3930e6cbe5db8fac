/** Workloads of reads and writes, and what is said of a run of one. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const GENERATOR = fileURLToPath(new URL("open-generator.ts", import.meta.url));

export interface Mix {
  readonly url: string;
  /** The number of a key comes behind it. */
  readonly path: string;
  readonly keyCount: number;
  readonly valueBytes: number;
  readonly connectionCount: number;
  readonly seconds: number;
  /** Operations a second; 0 for as many as the connections can make. */
  readonly rate: number;
  /** Of all operations, from 0 to 1. */
  readonly readShare: number;
  readonly write: "update" | "insert" | "read-modify-write";
  /** Whether the popular keys are those that were inserted last. */
  readonly isLatest: boolean;
  /** Every operation is this POST instead, whose body may name the key as `%d`. */
  readonly post?: { readonly path: string; readonly body: string };
}

/** Of latencies, in ms. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly count: number;
}

export interface MixResult {
  readonly rate: number;
  readonly errorCount: number;
  readonly read: Percentiles;
  readonly write: Percentiles;
}

type Kind = Pick<Mix, "readShare" | "write" | "isLatest">;

/** Cooper et al., "Benchmarking cloud serving systems with YCSB", 2010. E needs scans. */
export const YCSB: Readonly<Record<string, Kind>> = {
  A: { readShare: 0.5, write: "update", isLatest: false },
  B: { readShare: 0.95, write: "update", isLatest: false },
  C: { readShare: 1, write: "update", isLatest: false },
  D: { readShare: 0.95, write: "insert", isLatest: true },
  F: { readShare: 0.5, write: "read-modify-write", isLatest: false },
};

export async function runMix(mix: Mix): Promise<MixResult> {
  const { stdout } = await run(process.execPath, [GENERATOR, JSON.stringify(mix)]);
  return JSON.parse(stdout) as MixResult;
}
