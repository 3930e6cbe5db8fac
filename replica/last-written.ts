/**
 * What the last few records that were written hold. A key that was written is mostly written again
 * soon, and the store then gives back the same bytes: they need not be decoded.
 */
import type { DecodedEntry } from "../core/entry-codec.ts";

/** Few, for an entry's values may be views of whole messages, which are kept as long as it is. */
const COUNT_MAX = 64;
/** Of a larger record most is the value, and that is never copied anyway. */
const BYTES_MAX = 8192;

export class LastWritten {
  /** In the order in which they were written. */
  readonly #byBytes = new Map<Uint8Array, DecodedEntry>();

  /** What these bytes, and no others like them, are known to hold. */
  get(bytes: Uint8Array): DecodedEntry | undefined {
    return this.#byBytes.get(bytes);
  }

  /** @param bytes not to be changed from now on, like what the entry has of messages */
  put(bytes: Uint8Array, decoded: DecodedEntry): void {
    if (bytes.length > BYTES_MAX) return;
    this.#byBytes.set(bytes, decoded);
    if (this.#byBytes.size <= COUNT_MAX) return;
    for (const oldest of this.#byBytes.keys()) {
      this.#byBytes.delete(oldest);
      return;
    }
  }
}
