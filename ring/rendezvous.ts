/**
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998; the weights after Efraimidis and
 * Spirakis, 2006): for each partition every member draws a score from nothing but the partition's
 * number and its own id, and the members stand in the order of their scores. So a member that
 * comes or goes never changes the order of the others, and each comes first in proportion to its
 * weight.
 *
 * Machines must agree to the last bit, and `Math.log` is allowed to differ between engines; the
 * logarithm here uses only operations that IEEE 754 defines exactly.
 */
import { assert, present } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";

export interface Weighted {
  readonly id: ReplicaId;
  /** A positive integer. */
  readonly weight: number;
}

/** ln((1 + z) / (1 - z)) = 2 (z + z^3/3 + …); with z <= 1/3 eight terms leave less than 1e-9. */
const SERIES_TERMS = 8;

/** The finalizer of a good 32-bit hash: each bit of the input moves half of the output's. */
function mix(word: number): number {
  let x = word >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** FNV-1a over UTF-16 code units; ids are ASCII. */
function hashOfId(id: ReplicaId): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** -ln((2 bits + 1) / 2^33): an exponential variate of mean 1 from 32 uniform bits. */
function exponentialOf(bits: number): number {
  const odd = bits * 2 + 1;
  const exponent = bits >= 0x80000000 ? 32 : 32 - Math.clz32(bits);
  const mantissa = odd / 2 ** exponent;
  assert(mantissa >= 1 && mantissa < 2, "a mantissa lies in [1, 2)");
  const z = (mantissa - 1) / (mantissa + 1);
  let power = z;
  let sum = 0;
  for (let k = 0; k < SERIES_TERMS; k++) {
    sum += power / (2 * k + 1);
    power *= z * z;
  }
  return (33 - exponent) * Math.LN2 - 2 * sum;
}

/** The orders of one set of candidates, partition by partition. */
export class Rendezvous {
  readonly #hashes: readonly number[];
  readonly #weights: readonly number[];

  /** @param candidates in an order of their own that every machine agrees on: it breaks ties. */
  constructor(candidates: readonly Weighted[]) {
    for (const { weight } of candidates) {
      assert(Number.isSafeInteger(weight) && weight > 0, "a weight is a positive integer");
    }
    this.#hashes = candidates.map(({ id }) => hashOfId(id));
    this.#weights = candidates.map(({ weight }) => weight);
  }

  /** The candidates' indices, best first. */
  order(partition: number): number[] {
    assert(Number.isSafeInteger(partition) && partition >= 0, "a partition is a number from 0");
    const salt = mix(partition ^ 0x9e3779b9);
    const scores = new Float64Array(this.#hashes.length);
    for (let i = 0; i < scores.length; i++) {
      const bits = mix(present(this.#hashes[i]) ^ salt);
      scores[i] = exponentialOf(bits) / present(this.#weights[i]);
    }
    const scoreOf = (i: number): number => present(scores[i]);
    return Array.from(scores.keys()).sort((a, b) => scoreOf(a) - scoreOf(b) || a - b);
  }
}
