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

/**
 * The element at a place that surely exists: `present(column[slot])`. To the type checker any
 * element may be missing. Taking 0 for a missing one would hide that an index is wrong.
 *
 * @throws AssertionFailure
 */
export function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new AssertionFailure("nothing stands at an index");
  return value;
}
