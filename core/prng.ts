import { assert } from "./assert.ts";

/**
 * The only source of chance in the deterministic floors: xoshiro128** (Blackman and Vigna, 2018),
 * seeded by the host from the system's randomness and by the simulator from its seed. Not for
 * secrets.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed four unsigned 32-bit words; all zero is mapped to a fixed non-zero state. */
  constructor(seed: readonly [number, number, number, number]) {
    const [a, b, c, d] = seed;
    this.#a = a >>> 0;
    this.#b = b >>> 0;
    this.#c = c >>> 0;
    this.#d = d >>> 0;
    if ((this.#a | this.#b | this.#c | this.#d) === 0) this.#a = 0x9e3779b9;
  }

  /** Spreads one safe integer over the state (splitmix32), so that near seeds run far apart. */
  static fromSeed(seed: number): Prng {
    assert(Number.isSafeInteger(seed) && seed >= 0, "a seed is a non-negative safe integer");
    let state = ((seed >>> 0) ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    return new Prng([next(), next(), next(), next()]);
  }

  /** 32 uniform bits. */
  u32(): number {
    const scrambled = Math.imul(this.#b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** Uniform in [0, bound). The bias, below 2^-21 for a bound under 2^11, is of no concern here. */
  below(bound: number): number {
    assert(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32, "a bound is 1 to 2^32");
    return Math.floor((this.u32() / 2 ** 32) * bound);
  }

  /** True `numerator` times in `denominator`. */
  chance(numerator: number, denominator: number): boolean {
    assert(numerator >= 0 && numerator <= denominator, "a probability is between 0 and 1");
    return this.below(denominator) < numerator;
  }

  /** A generator of its own, so that one part's draws do not shift another's. */
  fork(): Prng {
    return new Prng([this.u32(), this.u32(), this.u32(), this.u32()]);
  }
}
