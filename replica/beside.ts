/**
 * What a replica that is sent a write holds beside it: versions that the write does not cover. A
 * write without a context covers what its coordinator holds, and the coordinator may have missed
 * what was answered before. So each acknowledgement tells of these, in the shortest form that the
 * coordinator can act by: the dot of each version, and its time.
 */
import { CausalContext, type Dot } from "../core/causal-context.ts";
import {
  coveredIn,
  type Entry,
  hasDot,
  newestFirst,
  type Sibling,
  standingIn,
} from "../core/entry.ts";
import type { ReplyOf } from "../core/messages.ts";
import type { Hlc } from "../core/time.ts";

export interface Beside {
  readonly dot: Dot;
  readonly time: Hlc;
}

export interface Found {
  readonly beside: readonly Beside[];
  /**
   * What is over where they are held. It goes along because whatever covers a version has to cover
   * what that one replaced as well: a replica that lacks both would show the older one again.
   */
  readonly covered: CausalContext;
  /** What came is over already, and nothing is told of what is held. */
  readonly isOver: boolean;
  /** It had come before in another way, as by a read repair: maybe before what is told of. */
  readonly wasThere: boolean;
}

export const FOUND_NOTHING: Found = {
  beside: [],
  covered: CausalContext.empty,
  isOver: false,
  wasThere: false,
};
const FOUND_OVER: Found = { ...FOUND_NOTHING, isOver: true };

/** What the reply of a replica that has stored the write tells. */
export function foundIn(reply: ReplyOf<"stored" | "storedWith">): Found {
  if (reply.kind === "stored") return FOUND_NOTHING;
  const { beside, covered = CausalContext.empty, isOver = false, wasThere = false } = reply;
  return { beside, covered, isOver, wasThere };
}

/**
 * The siblings that are held, but for those that came and other versions of what came: an operation
 * does not overtake itself.
 *
 * Nothing is told where what came is over already, covered or overtaken. Somebody who was shown it
 * has replaced it, maybe before its client was answered, and it must not overtake its replacement:
 * with a later time it would be gone, with an earlier one both would. (It may have been another
 * write without a context, too. Nobody can tell, and of the two mistakes a sibling too many is the
 * one that loses nothing.)
 *
 * @param held all that is held of the key, with what came joined into it
 * @param wasThere whether all of what came was held before
 */
export function besideOf(held: Entry, incoming: Entry, wasThere: boolean): Found {
  const came = standingIn(incoming);
  const standing = standingIn(held);
  if (!came.every(({ dot }) => hasDot(standing, dot))) return FOUND_OVER;
  const isNews = ({ op }: Sibling): boolean => !came.some((one) => one.op === op);
  if (!standing.some(isNews)) return FOUND_NOTHING;
  return { beside: standing.filter(isNews), covered: coveredIn(held), isOver: false, wasThere };
}

/**
 * Whether a context has grown by more than these versions: anything else that it names now was
 * never held here, and is known by its dots alone. (Dots are counted, because a key that is written
 * often has many.)
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
