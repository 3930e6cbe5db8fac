/** The one way to say that foreign input is wrong: what a disk, a peer or a client gave. */

/** Bytes that are not what they claim to be. Normal input: a peer or a disk may send anything. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

/**
 * States what must hold of input. What must hold of our own doing is for `assert` to say.
 *
 * @param message what is wrong, in words that a log can show
 * @throws CodecError
 */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CodecError(message);
}
