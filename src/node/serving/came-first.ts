/**
 * Whether a strict delete without a context may end a value that it has met, by what the primaries
 * of their key say.
 *
 * Each primary has met the two in some order, and tells the delete's coordinator of the value if
 * that came first. Where so many of them lacked it when the delete came that no majority is left, a
 * strict read may have shown nothing, and another one the value, since a value is shown beside a
 * delete. Then the delete must leave it. Where a majority had it, nobody can have been shown
 * nothing before the value.
 *
 * **Primaries are those that reads count.** While members or N change a write goes to the owners by
 * the other layout too, and waits for them. What these have met says nothing here: until then reads
 * have not counted them, so a write that none of them had may have been shown, or answered. Where
 * the layout has changed since the write was minted, nothing can be said.
 */
import type { Dot } from "../../../core/causal-context.ts";
import { sameDot } from "../../../core/entry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { Found } from "../../../replica/beside.ts";

/**
 * Whether a version came before the write or after it, to a majority of the primaries. `silent`:
 * primaries that have said nothing yet may decide it; `unclear`: all have, and it cannot be known.
 */
export type Came = "before" | "after" | "silent" | "unclear";

/** Whether a primary says that it has met a version. */
const hasMet = ({ covered, beside }: Found, dot: Dot): boolean =>
  covered.covers(dot) || beside.some((one) => sameDot(one.dot, dot));

export interface CameFirstParts {
  /** How many primaries a request of the key counts. */
  readonly n: number;
  /** The primaries by the layout that reads go by, maybe with the coordinator. */
  readonly primaries: readonly ReplicaId[];
  readonly self: ReplicaId;
  /** Whether the coordinator lacked a version when it minted. */
  lacks(dot: Dot): boolean;
  /** Whether the layout is still the one by which the write was minted. */
  isSameLayout(): boolean;
}

export class CameFirst {
  readonly #parts: CameFirstParts;
  /** If this many lacked it, no majority can have had it. */
  readonly #tooMany: number;
  readonly #told = new Map<ReplicaId, { readonly found: Found; readonly isBehind: boolean }>();

  constructor(parts: CameFirstParts) {
    this.#parts = parts;
    this.#tooMany = parts.primaries.length - majority(parts.n) + 1;
  }

  /** @param isBehind it may have lost what it had: then its order says nothing */
  tell(from: ReplicaId, found: Found, isBehind: boolean): void {
    this.#told.set(from, { found, isBehind });
  }

  came(dot: Dot): Came {
    if (!this.#parts.isSameLayout()) return "unclear";
    const count = { had: 0, lacked: 0, silent: 0, unclear: 0 };
    for (const id of this.#parts.primaries) count[this.#cameTo(id, dot)]++;
    const { lacked, silent, unclear } = count;
    if (lacked >= this.#tooMany) return "after";
    if (lacked + silent + unclear < this.#tooMany) return "before";
    return lacked + unclear < this.#tooMany ? "silent" : "unclear";
  }

  /**
   * Whether a primary had the version when the write came to it. The write may have come by another
   * way before it came from its coordinator, since a strict read brings what it shows to a
   * majority. Then it was there already, or is over and may have been there, and it is not known
   * which of the two was first.
   */
  #cameTo(id: ReplicaId, dot: Dot): "had" | "lacked" | "silent" | "unclear" {
    const { self, lacks } = this.#parts;
    if (id === self) return lacks(dot) ? "lacked" : "had";
    const told = this.#told.get(id);
    if (told === undefined) return "silent";
    // Nor is it known of a primary that may have lost what it had, and the write with that.
    if (told.found.isOver || told.isBehind) return "unclear";
    if (hasMet(told.found, dot)) return told.found.wasThere ? "unclear" : "had";
    return "lacked";
  }
}
