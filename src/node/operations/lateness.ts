/**
 * When a change that somebody asked for comes too late to be made. A process that was frozen, or a
 * machine that slept, goes on where it was, long after its caller gave up: another node may have
 * made the change since, and undone it. So a node that changes something for all looks at the time
 * between its questions and its proposal.
 */
import type { Failure } from "../../../core/failure.ts";
import type { Millis } from "../../../core/time.ts";

/** Rounds of questions before a proposal, each of which may take as long as a request may. */
const ROUNDS_MAX = 3;

/** How long after the request a change may be proposed, unless its caller says how long, in ms. */
export const changeMsMax = (timeoutMs: number): number => ROUNDS_MAX * timeoutMs;

/**
 * What the caller is told, if it still listens; null while there is time.
 *
 * @param asked when it was asked, by this node's own time, and how long that holds, in ms
 */
export function tooLate(
  asked: { readonly at: Millis; readonly forMs: number },
  now: Millis,
): Failure | null {
  const lateMs = now - asked.at;
  if (lateMs <= asked.forMs) return null;
  const detail =
    `The node came to it ${Math.round(lateMs)} ms after it was asked, and its caller waits ` +
    `${asked.forMs} ms at most: nothing was changed. See what there is now, and ask again.`;
  return { code: "quorum-timeout", detail, isWithoutEffect: true };
}
