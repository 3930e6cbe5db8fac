/** Keys as clients ask for them: the k-th most wanted one in proportion to 1 / k^skew. */
import type { Prng } from "../../core/prng.ts";

export class Zipf {
  readonly #prng: Prng;
  /** By rank, the share of all requests that go to it or to a more wanted one. */
  readonly #shares: Float64Array;

  constructor(prng: Prng, count: number, skew: number) {
    this.#prng = prng;
    this.#shares = new Float64Array(count);
    let sum = 0;
    for (let rank = 0; rank < count; rank++) {
      sum += 1 / (rank + 1) ** skew;
      this.#shares[rank] = sum;
    }
    for (let rank = 0; rank < count; rank++) {
      this.#shares[rank] = (this.#shares[rank] ?? 0) / sum;
    }
  }

  /** A rank from 0. */
  next(): number {
    const point = this.#prng.u32() / 2 ** 32;
    let low = 0;
    let high = this.#shares.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#shares[middle] ?? 1) > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
