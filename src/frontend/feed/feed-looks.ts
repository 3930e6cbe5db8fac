/**
 * What the streams of one frontend have in common. Streams that stand at the same place of the same
 * feed are told the same, so they are looked for once and share what was found, down to the bytes
 * that are sent: what a change costs does not grow with those who are told of it.
 *
 * Streams come to stand at the same place because they pause together: those that have just been
 * told something look again in the same turn, and the sources answer them all in one.
 */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** @typeParam Found what a look finds */
export class FeedLooks<Found> {
  readonly #pauseMs: number;
  readonly #open = new Map<string, Promise<Found>>();
  #turn: Promise<void> | null = null;

  /** @param pauseMs between two looks that found something: one that comes at once finds little */
  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  /**
   * What the look of that name finds: the one that is under way, or a new one.
   *
   * @param name tells looks apart that may find something else, or be asked to wait for less
   */
  join(name: string, look: () => Promise<Found>): Promise<Found> {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const made = look().finally(() => this.#open.delete(name));
    this.#open.set(name, made);
    return made;
  }

  /** Resolves for all who wait at once, when it is worth to look again. */
  nextTurn(): Promise<void> {
    this.#turn ??= pause(this.#pauseMs).finally(() => {
      this.#turn = null;
    });
    return this.#turn;
  }
}
