/** How far a long run has come, for people who wait for it. */

/** Between two lines, and before the first, in ms. */
const EVERY_MS = 10_000;

const MINUTE_MS = 60_000;

export interface ProgressParts {
  readonly seedCount: number;
  /** The wall clock, in ms since 1970. */
  readonly now: () => number;
  readonly print: (line: string) => void;
}

export class Progress {
  readonly #parts: ProgressParts;
  readonly #begunAt: number;
  #toldAt: number;
  #doneCount = 0;
  #failedCount = 0;

  constructor(parts: ProgressParts) {
    this.#parts = parts;
    this.#begunAt = parts.now();
    this.#toldAt = this.#begunAt;
  }

  /** One more seed is done: prints a line, unless it is the last or there was one just now. */
  done(hasFailed: boolean): void {
    const { seedCount, now, print } = this.#parts;
    this.#doneCount++;
    if (hasFailed) this.#failedCount++;
    const at = now();
    if (at < this.#toldAt + EVERY_MS || this.#doneCount >= seedCount) return;
    this.#toldAt = at;
    const msPerSeed = (at - this.#begunAt) / this.#doneCount;
    const end = new Date(at + (seedCount - this.#doneCount) * msPerSeed);
    print(
      `${this.counts}, ${Math.round(MINUTE_MS / msPerSeed)} a minute, ` +
        `expected end ${end.toISOString().slice(0, 16)}Z`,
    );
  }

  get counts(): string {
    return `${this.#doneCount} of ${this.#parts.seedCount} seeds, ${this.#failedCount} failed`;
  }
}
