/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under the cluster's secret: digests of entries, ETags
 * and the tag of a context token. It is keyed because xxHash's collisions are published: with an
 * unkeyed digest a writer could hide a difference from anti-entropy.
 */
import siphash from "siphash";
import { assert } from "./assert.ts";
import type { Digest } from "./store.ts";

const TWO_21 = 2 ** 21;
const TWO_32 = 2 ** 32;

const encoder = new TextEncoder();

export class KeyedHash {
  readonly #key: Uint32Array;
  readonly #digests = new WeakMap<object, Digest>();
  readonly #texts = new WeakMap<object, string>();

  /** @param key 128 bits */
  constructor(key: Uint8Array) {
    assert(key.length === 16, "a SipHash key is 16 bytes");
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.#key = new Uint32Array([0, 4, 8, 12].map((at) => view.getUint32(at, true)));
  }

  /** 53 bits of the hash as a safe integer, never 0. */
  digest(text: string): Digest {
    const { h, l } = siphash.hash(this.#key, encoder.encode(text));
    return ((h >>> 0) % TWO_21) * TWO_32 + (l >>> 0) || 1;
  }

  /** The digest of a value that never changes, worked out once. */
  digestOf(value: object, textOf: () => string): Digest {
    const known = this.#digests.get(value);
    if (known !== undefined) return known;
    const digest = this.digest(textOf());
    this.#digests.set(value, digest);
    return digest;
  }

  /** A text that follows from a value that never changes and from this hash, made once. */
  textOf(value: object, make: () => string): string {
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    const text = make();
    this.#texts.set(value, text);
    return text;
  }

  /** All 64 bits in hexadecimal. */
  hex(message: string | Uint8Array): string {
    const bytes = typeof message === "string" ? encoder.encode(message) : message;
    const { h, l } = siphash.hash(this.#key, bytes);
    const word = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return word(h) + word(l);
  }

  /** All 64 bits as eight bytes. */
  tag(message: Uint8Array): Uint8Array {
    const { h, l } = siphash.hash(this.#key, message);
    const out = new Uint8Array(8);
    const view = new DataView(out.buffer);
    view.setUint32(0, h >>> 0);
    view.setUint32(4, l >>> 0);
    return out;
  }
}
