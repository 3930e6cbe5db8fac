/**
 * Which of two strict writes without a context came first, by what the primaries of their key say.
 *
 * Each primary has met the two in some order, and tells the coordinator of the later one of the
 * earlier. A strict write that was answered before another one began, or was shown by a strict read
 * before that, was at a majority of the primaries when the other one came: of those the other one
 * met none that lacked it. So where a majority lacked a version when the write came to them, the
 * write need not cover it. Nor may it: it may have been shown before the other one began, which was
 * answered since, and reads would go back. The other one covers the write, for it meets the write
 * where that came first.
 */
import type { Dot } from "../../../core/causal-context.ts";
import { sameDot } from "../../../core/entry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { majority, type QuorumRules } from "../../../core/quorum-options.ts";
import type { Found } from "../../../replica/beside.ts";
import type { WriteRoute } from "../peers/routes.ts";

/**
 * Whether a version came before the write or after it, to a majority of the primaries. `silent`:
 * those that have said nothing yet may decide it; `unclear`: all have, and it cannot be known.
 */
export type Came = "before" | "after" | "silent" | "unclear";

/**
 * Whether a primary may have had a version when the write came to it. Of one where the write is
 * over already that is assumed, for it tells of nothing.
 */
const mayHaveHad = ({ beside, covered, isOver }: Found, dot: Dot): boolean =>
  isOver || covered.covers(dot) || beside.some((one) => sameDot(one.dot, dot));

export class CameFirst {
  /** The primaries of the key but the coordinator. */
  readonly #others: readonly ReplicaId[];
  /** How many of the primaries are a majority. */
  readonly #count: number;
  /** Whether the coordinator, where it is a primary, lacked a version when it minted. */
  readonly #lacks: (dot: Dot) => boolean;
  readonly #told = new Map<ReplicaId, { readonly found: Found; readonly isBehind: boolean }>();

  /** @param lacks as of the coordinator; it lacks nothing that counts where it is no primary */
  constructor(
    { w, n }: Pick<QuorumRules, "w" | "n">,
    { primaries, need }: Pick<WriteRoute, "primaries" | "need">,
    lacks: (dot: Dot) => boolean,
  ) {
    this.#others = primaries.map(({ id }) => id);
    this.#count = need.count - Math.max(0, w - majority(n));
    this.#lacks = lacks;
  }

  /** @param isBehind it may have lost what it had: that it lacks something says nothing */
  tell(from: ReplicaId, found: Found, isBehind: boolean): void {
    this.#told.set(from, { found, isBehind });
  }

  came(dot: Dot): Came {
    let lacking = this.#lacks(dot) ? 1 : 0;
    let silent = 0;
    let unclear = 0;
    for (const id of this.#others) {
      const told = this.#told.get(id);
      if (told === undefined) silent++;
      else if (mayHaveHad(told.found, dot)) unclear += told.found.wasThere ? 1 : 0;
      else if (told.isBehind) unclear++;
      else lacking++;
    }
    if (lacking >= this.#count) return "after";
    if (lacking + silent + unclear < this.#count) return "before";
    return lacking + unclear < this.#count ? "silent" : "unclear";
  }
}
