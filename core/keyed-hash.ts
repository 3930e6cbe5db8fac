/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under the cluster's secret: digests of entries, ETags
 * and the tag of a context token. It is keyed because xxHash's collisions are published: with an
 * unkeyed digest a writer could hide a difference from anti-entropy.
 */
import { assert } from "./assert.ts";
import { sipHash, sipHashOut, sipHashText } from "./sip-hash.ts";
import type { Digest } from "./store.ts";

const TWO_21 = 2 ** 21;
const TWO_32 = 2 ** 32;

/** The 64 bits of the hash just made, as two unsigned words. */
const high = (): number => (sipHashOut[0] as number) >>> 0;
const low = (): number => (sipHashOut[1] as number) >>> 0;

/** The bytes as two digits each: a fifth of what `toString` and `padStart` take. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hexByte = (word: number, shift: number): string => HEX[(word >>> shift) & 255] as string;
const hexWord = (word: number): string =>
  hexByte(word, 24) + hexByte(word, 16) + hexByte(word, 8) + hexByte(word, 0);

/** Most significant byte first. A `DataView` would have V8 move so short an array off its heap. */
function putWord(out: Uint8Array, at: number, word: number): void {
  out[at] = word >>> 24;
  out[at + 1] = word >>> 16;
  out[at + 2] = word >>> 8;
  out[at + 3] = word;
}

export class KeyedHash {
  readonly #key: Int32Array;
  /** The cluster's name: a tag under the secret vouches for this cluster alone. */
  readonly realm: string;

  #sealers: readonly KeyedHash[] = [this];

  /** @param key 128 bits */
  constructor(key: Uint8Array, realm = "") {
    assert(key.length === 16, "a SipHash key is 16 bytes");
    this.realm = realm;
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.#key = new Int32Array([0, 4, 8, 12].map((at) => view.getInt32(at, true)));
  }

  /**
   * The hashes for the texts that clients carry: the first seals them, any of these opens them.
   * They change with the cluster's secret; this hash itself, and with it digests and ETags, stays.
   */
  get sealers(): readonly KeyedHash[] {
    return this.#sealers;
  }

  /** @param sealers at least one */
  sealBy(sealers: readonly KeyedHash[]): void {
    assert(sealers.length > 0, "somebody seals");
    this.#sealers = sealers;
  }

  /** 53 bits of the hash as a safe integer, never 0. */
  digest(text: string): Digest {
    sipHashText(this.#key, text);
    return (high() % TWO_21) * TWO_32 + low() || 1;
  }

  /** All 64 bits in hexadecimal. */
  hex(message: string | Uint8Array): string {
    if (typeof message === "string") sipHashText(this.#key, message);
    else sipHash(this.#key, message, message.length);
    return hexWord(high()) + hexWord(low());
  }

  /** Hashes the bytes before a place, and puts all 64 bits there as eight bytes. */
  tagInto(bytes: Uint8Array, at: number): void {
    sipHash(this.#key, bytes, at);
    putWord(bytes, at, high());
    putWord(bytes, at + 4, low());
  }
}
