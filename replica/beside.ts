/**
 * What a replica that is sent a write holds beside it: versions that the write does not cover. A
 * write without a context covers what its coordinator holds, and the coordinator may have missed
 * what was answered before. So each acknowledgement tells of it, in the shortest form that the
 * coordinator can act by: the dot of each version, and its time.
 */
import type { CausalContext, Dot } from "../core/causal-context.ts";
import { type Entry, isOvertaken, newestFirst, type Sibling, sameDot } from "../core/entry.ts";
import type { Hlc } from "../core/time.ts";

export interface Beside {
  readonly dot: Dot;
  readonly time: Hlc;
}

export const NOTHING_BESIDE: readonly Beside[] = [];

/**
 * The siblings that are held and not among those that came, nor another version of what came: an
 * operation does not go before itself.
 *
 * Nothing is told where what came is over already, covered or overtaken. Somebody has replaced it
 * who was shown it, maybe before its client was answered, and that must not be overtaken by it:
 * with a later time it would be gone, with an earlier one both would. (It may have been another
 * write without a context, too. Nobody can tell, and of the two mistakes a sibling too many is the
 * one that loses nothing.)
 *
 * @param held all that is held of the key, with what came joined into it
 */
export function besideOf(held: Entry, incoming: Entry): readonly Beside[] {
  const stands = ({ dot }: Sibling): boolean =>
    held.siblings.some((one) => sameDot(one.dot, dot) && !isOvertaken(one));
  if (!incoming.siblings.every((came) => isOvertaken(came) || stands(came))) return NOTHING_BESIDE;
  const isNews = (one: Sibling): boolean =>
    !isOvertaken(one) && !incoming.siblings.some(({ op }) => op === one.op);
  return held.siblings.some(isNews) ? held.siblings.filter(isNews) : NOTHING_BESIDE;
}

/**
 * Whether a context has grown by more than these versions: what else it names now was never held
 * here, and is known by its dots alone. (They are counted, for a key that is written often has
 * many.)
 *
 * @param after what was known `before`, and more
 */
export function namesUnseen(
  before: CausalContext,
  siblings: readonly Pick<Beside, "dot">[],
  after: CausalContext,
): boolean {
  const newCount = after.dotCount - before.dotCount;
  return newCount > 0 && newCount > siblings.filter(({ dot }) => !before.covers(dot)).length;
}

/** The one order of versions that all replicas agree on: by time, ties broken by the dot. */
export const isAbove = (a: Beside, b: Beside): boolean => newestFirst(a, b) < 0;
