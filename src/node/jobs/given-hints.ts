/**
 * What a replica may say of itself for a key that it does not own. What it acknowledged of such a
 * key were hints, and hints go home. One that was given away is read with the replica that got it,
 * and an answer may know of that one only what was so a while ago. So the replica says:
 *
 * - that it has all that it acknowledged, if it never gave a hint away;
 * - that it may have given some away long ago, if that was more than `CALM_MS` ago;
 * - nothing, if it gave one away since.
 */
import type { Instant } from "../../../antientropy/claims.ts";
import type { HintMoves } from "../../../replica/hint-moves.ts";
import { CALM, CALM_MS } from "../../../replica/stale-bound.ts";

export class GivenHints {
  readonly #moves: HintMoves;
  readonly #elapsed: () => Instant;
  #movedAt: Instant;
  #seenCount = 0;

  constructor(moves: HintMoves, elapsed: () => Instant) {
    this.#moves = moves;
    this.#elapsed = elapsed;
    // What a former life gave away, it gave away before this one.
    this.#movedAt = elapsed();
  }

  /** To be called now and then: what was given away since the last time counts as of now. */
  note(): void {
    if (this.#moves.movedCount === this.#seenCount) return;
    this.#seenCount = this.#moves.movedCount;
    this.#movedAt = this.#elapsed();
  }

  /** An age as in `Ages`; null for no knowledge. */
  ownAge(): number | null {
    this.note();
    if (this.#moves.hasNone) return 0;
    return this.#elapsed() - this.#movedAt > CALM_MS ? CALM : null;
  }
}
