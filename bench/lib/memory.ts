/** How much memory a process has had, as Linux counts it. */
import { readFileSync, writeFileSync } from "node:fs";

/** The most memory that the process has had since it was asked to forget, in MB. */
export function peakMb(pid: number): number {
  const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");
