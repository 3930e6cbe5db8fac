/**
 * How far a replica follows each of the others: its **marks**. Mark s of peer C says: whatever
 * stands at C up to position s of its order, and concerns this replica, is held here on stable
 * storage, or is known to be covered. It is about C's own records and its hints for whomever. What
 * was written once more stands further on; so when nothing stands behind the mark, all that ever
 * came to C is known here, but for hints that went elsewhere.
 *
 * A position means something in one order alone, and "concerns" in one layout of owners: under
 * another name of C's order, and with another ring or N, a mark is void. A mark that is too low is
 * never wrong; one that is too high is a promise broken.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";

export interface Mark {
  /** The name of the peer's order. */
  readonly run: number;
  readonly through: number;
}

export class Marks {
  readonly #marks = new Map<ReplicaId, Mark>();
  #layout: string;

  constructor(layout: string) {
    this.#layout = layout;
  }

  /**
   * @param layout names who owns what: when it changes all marks are void. @returns whether it did
   */
  settle(layout: string): boolean {
    if (layout === this.#layout) return false;
    this.#layout = layout;
    this.#marks.clear();
    return true;
  }

  /** null: nothing is known of what that order holds. */
  of(peer: ReplicaId, run: number): Mark | null {
    const mark = this.#marks.get(peer);
    return mark?.run === run ? mark : null;
  }

  /** The last that was reached, whatever the peer's order is called by now. */
  last(peer: ReplicaId): Mark | null {
    return this.#marks.get(peer) ?? null;
  }

  /** Within one order a mark only rises. */
  raise(peer: ReplicaId, { run, through }: Mark): void {
    assert(run > 0 && through >= 0, "a place in an order that has a name");
    const before = this.of(peer, run);
    if (before === null || before.through < through) this.#marks.set(peer, { run, through });
  }

  entries(): Iterable<readonly [ReplicaId, Mark]> {
    return this.#marks.entries();
  }
}
