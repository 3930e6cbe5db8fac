import type { Now } from "../core/time.ts";
import { Node } from "../src/node/node.ts";
import type { NodeParts } from "../src/node/node-parts.ts";
import type { Effect, Input } from "../src/node/peers/boundary.ts";

/**
 * A node whose every step is one transaction: either all that the step wrote is there, or nothing.
 *
 * A statement that fails (the storage is full, the disk errs) throws in the middle of a step. The
 * record might then be written and its leaf of the Merkle tree not, and what the node has in memory
 * would know of both. All writes of one turn are one transaction of the platform's, committed when
 * the turn is over; to end the object before that undoes them. Its callers see a call that failed,
 * and the next one finds a fresh object that stands on what is stored. (`transactionSync` around
 * each step would begin and commit a transaction even where it only reads, and replies would wait.)
 */
export class AtomicNode extends Node {
  readonly #state: DurableObjectState;

  constructor(parts: NodeParts, state: DurableObjectState) {
    super(parts);
    this.#state = state;
  }

  /** Every step comes through here, also one of a single input. */
  override stepAll(inputs: readonly Input[], now: Now): readonly Effect[] {
    try {
      return super.stepAll(inputs, now);
    } catch (error) {
      this.#state.abort(`a step failed: ${error instanceof Error ? error.message : "unknown"}`);
      throw error;
    }
  }
}
