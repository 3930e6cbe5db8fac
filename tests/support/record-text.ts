import { type Bytes, wholeOf } from "../../core/pieces.ts";

/** A record's bytes as a text; empty where there is none. */
export const textOf = (bytes: Bytes | undefined): string =>
  new TextDecoder().decode(bytes && wholeOf(bytes));
