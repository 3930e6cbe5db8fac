/**
 * What the last few records that were written hold. A key that was written is mostly written again
 * soon, and the store then gives back the same bytes: they need not be decoded.
 */
import type { DecodedEntry } from "../core/entry-codec.ts";
import type { Bytes } from "../core/pieces.ts";

/** Few, for an entry's values may be views of whole messages, which are kept as long as it is. */
const COUNT_MAX = 64;
/** Most of a larger record is its value, which is never copied anyway. */
const BYTES_MAX = 8192;

/** Places that are taken in turn: a `Map` that is filled and emptied costs more (see IdTable). */
export class LastWritten {
  readonly #bytes = new Array<Bytes | null>(COUNT_MAX).fill(null);
  readonly #decoded = new Array<DecodedEntry | undefined>(COUNT_MAX).fill(undefined);
  #next = 0;

  /** What these very bytes, not merely equal ones, are known to hold. */
  get(bytes: Bytes): DecodedEntry | undefined {
    const at = this.#bytes.indexOf(bytes);
    return at === -1 ? undefined : this.#decoded[at];
  }

  /** @param bytes not to be changed from now on, nor the messages that the entry has views of */
  put(bytes: Bytes, decoded: DecodedEntry): void {
    if (bytes.length > BYTES_MAX) return;
    this.#bytes[this.#next] = bytes;
    this.#decoded[this.#next] = decoded;
    this.#next = (this.#next + 1) % COUNT_MAX;
  }
}
