/**
 * Numbers in little room: seven bits a byte, the lowest first, with the highest bit where more
 * follow (LEB128, as in DWARF 5, 7.6), and words of 32 bits as four bytes.
 */
import { assert } from "../../../core/assert.ts";
import { check } from "../../../core/check.ts";

const MORE = 128;

export class PackedWriter {
  readonly #bytes: number[] = [];

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** @param value a safe integer of 0 or more */
  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a count");
    let rest = value;
    while (rest >= MORE) {
      this.#bytes.push((rest % MORE) + MORE);
      rest = Math.floor(rest / MORE);
    }
    this.#bytes.push(rest);
  }

  /** @param value 0 … 2^32 - 1 */
  word(value: number): void {
    assert(value >>> 0 === value, "a word of 32 bits");
    this.#bytes.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  }
}

/** Reads what a writer wrote, in its order. All throw CodecError for anything else. */
export class PackedReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= MORE) {
      const byte = this.#next();
      value += (byte % MORE) * scale;
      check(Number.isSafeInteger(value), "a count");
      if (byte < MORE) return value;
    }
  }

  word(): number {
    const [a, b, c, d] = [this.#next(), this.#next(), this.#next(), this.#next()];
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }

  #next(): number {
    const byte = this.#bytes[this.#at++];
    check(byte !== undefined, "a number ends within the bytes");
    return byte;
  }
}
