/** Which of several frontends is asked next. */

/** How long, in ms, a frontend that did not answer is passed over. */
const AWAY_MS = 5000;

export class Frontends {
  readonly #urls: readonly string[];
  readonly #now: () => number;
  /** The time until which each is passed over, in ms of `now`. */
  readonly #awayUntil: number[];
  #next: number;

  /**
   * @param start from 0 to 1, so that not all clients begin with the same frontend
   * @param now ms, of any clock
   */
  constructor(urls: readonly string[], start: number, now: () => number) {
    // A url that is named twice counts once.
    this.#urls = [...new Set(urls)];
    this.#now = now;
    const { length } = this.#urls;
    this.#awayUntil = new Array<number>(length).fill(Number.NEGATIVE_INFINITY);
    this.#next = Math.floor(start * length) % length;
  }

  get count(): number {
    return this.#urls.length;
  }

  /**
   * The next one in turn; as long as there are others, neither one of `tried` nor one that is away.
   * Where all are away it is the one that comes back first.
   */
  pick(tried: ReadonlySet<string>): string {
    const now = this.#now();
    const turn = this.#urls.map((_, i) => (this.#next + i) % this.#urls.length);
    const rank = (i: number): number => {
      const wait = Math.max(0, (this.#awayUntil[i] as number) - now);
      const isTried = tried.has(this.#urls[i] as string);
      return wait + (isTried ? 1e12 : 0);
    };
    const best = turn.reduce((a, b) => (rank(b) < rank(a) ? b : a));
    this.#next = (best + 1) % this.#urls.length;
    return this.#urls[best] as string;
  }

  /** It did not answer, or asked to be left alone for so long. */
  leave(url: string, ms: number = AWAY_MS): void {
    this.#awayUntil[this.#urls.indexOf(url)] = this.#now() + ms;
  }

  answered(url: string): void {
    this.#awayUntil[this.#urls.indexOf(url)] = Number.NEGATIVE_INFINITY;
  }
}
