/**
 * The one way to say that foreign input is wrong: what a disk, a peer, a client or an operator
 * gave. Whatever reads such input throws a CodecError, in words that can be shown, and nothing
 * else. What must hold of our own work is stated with `assert`, whose failures nobody catches.
 */

/** Input that is not what it claims to be. Normal: a peer or a disk may send anything. */
export class CodecError extends Error {
  override readonly name: string = "CodecError";
}

/**
 * States what must hold of input.
 *
 * @param message what is wrong, in words that a log can show
 * @throws CodecError
 */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CodecError(message);
}

/**
 * The same for a problem that is already put in words; null where there is none. @throws CodecError
 */
export function checkNone(problem: string | null): void {
  if (problem !== null) throw new CodecError(problem);
}

/** @throws CodecError for a text that is no JSON */
export function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CodecError(error instanceof SyntaxError ? error.message : "malformed");
  }
}

/**
 * What a reader returns.
 *
 * @param refuse turns the reader's words into the caller's own error, where the input is wrong
 */
export function readOr<T>(read: () => T, refuse: (message: string) => Error): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw refuse(error.message);
  }
}
