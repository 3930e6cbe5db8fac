/** A set of small whole numbers as bits: closures of a thousand writes are joined all the time. */
export class IdSet {
  #words = new Uint32Array(4);

  static of(...ids: readonly number[]): IdSet {
    const set = new IdSet();
    for (const id of ids) set.add(id);
    return set;
  }

  has(id: number): boolean {
    return (((this.#words[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;
  }

  add(id: number): void {
    const word = id >>> 5;
    if (word >= this.#words.length) this.#grow(word + 1);
    this.#words[word] = (this.#words[word] as number) | (1 << (id & 31));
  }

  addAll(other: IdSet): void {
    const words = other.#words;
    if (words.length > this.#words.length) this.#grow(words.length);
    for (let i = 0; i < words.length; i++) {
      if (words[i] !== 0) this.#words[i] = (this.#words[i] as number) | (words[i] as number);
    }
  }

  /** The set's own iterator is a generator, and far slower. */
  each(take: (id: number) => void): void {
    const words = this.#words;
    for (let word = 0; word < words.length; word++) {
      for (let bits = words[word] as number; bits !== 0; bits &= bits - 1) {
        take(word * 32 + (31 - Math.clz32(bits & -bits)));
      }
    }
  }

  /** From the greatest down, until `isEnough` says so. */
  untilDownwards(isEnough: (id: number) => boolean): void {
    for (let word = this.#words.length - 1; word >= 0; word--) {
      for (let bits = this.#words[word] as number; bits !== 0; ) {
        const bit = 31 - Math.clz32(bits);
        if (isEnough(word * 32 + bit)) return;
        bits &= ~(1 << bit);
      }
    }
  }

  includes(other: IdSet): boolean {
    const [mine, words] = [this.#words, other.#words];
    for (let i = 0; i < words.length; i++) {
      if (((words[i] as number) & ~(mine[i] ?? 0)) !== 0) return false;
    }
    return true;
  }

  copy(): IdSet {
    const set = new IdSet();
    set.#words = this.#words.slice();
    return set;
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let word = 0; word < this.#words.length; word++) {
      for (let bits = this.#words[word] as number; bits !== 0; bits &= bits - 1) {
        yield word * 32 + (31 - Math.clz32(bits & -bits));
      }
    }
  }

  #grow(length: number): void {
    const words = new Uint32Array(Math.max(length, 2 * this.#words.length));
    words.set(this.#words);
    this.#words = words;
  }
}
