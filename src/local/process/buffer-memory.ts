/**
 * When V8 looks for garbage because of buffers. Before 14.8 it counts all bytes that were put into
 * buffers since it last looked at its whole heap, also those that nobody holds any more, and looks
 * again after some tens of MiB of them: a node that carries values of a MiB then spends a third of
 * its time on marking a heap of 22 MB that has hardly changed. A flag has it count what buffers
 * still hold, as a part of the bound on the whole heap. From 14.8 on there is no other way, and the
 * flag is gone (https://issues.chromium.org/issues/361124432).
 */
import { setFlagsFromString } from "node:v8";

/** A V8 that does not know the flag says so on standard error. Node 24 has 13.6. */
const FIRST = [13, 6] as const;
/** The first that needs no flag. */
const OVER = [14, 8] as const;

function isBefore(version: readonly number[], [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version;
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}

/** @param v8 a version as `process.versions.v8` says it */
export function canCountHeld(v8: string): boolean {
  const version = v8.split(".").map(Number);
  return !isBefore(version, FIRST) && isBefore(version, OVER);
}

/**
 * Has V8 count what buffers hold, where it can and does not by itself. It is for the whole process,
 * so a program that has its process to itself calls this once, at its start.
 */
export function countHeldBuffers(): void {
  if (canCountHeld(process.versions.v8)) {
    setFlagsFromString("--external-memory-accounted-in-global-limit");
  }
}
