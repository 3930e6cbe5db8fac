/** A broken invariant: a bug in Starling, never the fault of input, a disk or a peer. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/**
 * States what must hold here. Always on, in production too: a node that has lost its invariants
 * must stop rather than spread what it believes.
 *
 * @throws AssertionFailure
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}
