/** SIEVE as in the paper's listing, with arrays: slow, and plain to see. */
export class SieveReference {
  /** Newest first. */
  readonly #queue: { readonly key: string; visited: boolean }[] = [];
  readonly #capacity: number;
  #hand = -1;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** What is in it, newest first. */
  get keys(): readonly string[] {
    return this.#queue.map(({ key }) => key);
  }

  /** Returns whether it was there. If not, it is now, and what had to go for it is in `evicted`. */
  access(key: string, evicted: string[] = []): boolean {
    const known = this.#queue.find((item) => item.key === key);
    if (known !== undefined) {
      known.visited = true;
      return true;
    }
    if (this.#queue.length === this.#capacity) evicted.push(this.#evict());
    this.#queue.unshift({ key, visited: false });
    if (this.#hand >= 0) this.#hand++;
    return false;
  }

  remove(key: string): void {
    const at = this.#queue.findIndex((item) => item.key === key);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    if (at <= this.#hand) this.#hand--;
  }

  #evict(): string {
    for (;;) {
      if (this.#hand < 0) this.#hand = this.#queue.length - 1;
      const item = this.#queue[this.#hand];
      if (item === undefined) throw new Error("the hand fell off the queue");
      if (!item.visited) {
        this.#queue.splice(this.#hand, 1);
        this.#hand--;
        return item.key;
      }
      item.visited = false;
      this.#hand--;
    }
  }
}
