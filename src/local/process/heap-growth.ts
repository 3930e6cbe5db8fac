/**
 * V8 looks at its whole heap when that has grown by a share of what lives there, and counts buffers
 * into the growth. The heap of a node is small, some 25 MB, and what passes through its buffers is
 * not: it was looked at again after each 10 to 25 MB of values of 16 KiB that were replaced, for a
 * third of the time of a node that only stores them (bench/README.md, "Large values"). So it may
 * grow to four times of what lives before it is looked at.
 */
import { setFlagsFromString } from "node:v8";

const FLAG = "--heap-growing-percent";

/**
 * To be called once, at the start of a process that is a node and nothing else.
 *
 * @param options of node's own, which the process was started with: what they say of it counts
 */
export function letHeapGrow(
  options: readonly string[] = process.execArgv,
  setFlag: (flag: string) => void = setFlagsFromString,
): void {
  const isGiven = options.some((option) => option.replaceAll("_", "-").startsWith(FLAG));
  if (!isGiven) setFlag(`${FLAG}=300`);
}
