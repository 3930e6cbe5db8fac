/** What import and export have in common. */
import { UsageError } from "./output.ts";

/** A long transfer outlasts a frontend's restart: some twelve seconds of pauses. */
export const RETRIES = 6;

/** @throws UsageError */
export function atOnceOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 256) return count;
  throw new UsageError("--concurrency takes 1 to 256");
}
