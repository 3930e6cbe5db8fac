/** How looking into the store of responses, or writing there, fails. */

/** A look-up or a store that did not come about; the client is answered all the same. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** A piece that no owner has: the reader's connection breaks rather than give a wrong byte. */
export class MissingPiece extends Error {
  override readonly name = "MissingPiece";
}
