/**
 * What the streams of one frontend have in common. Streams that stand at the same place of the same
 * feed are told the same, so they share one look and what it found, down to the bytes that are
 * sent: what a change costs does not grow with the number of its readers.
 *
 * Streams come to stand at the same place because they pause together: those of a namespace that
 * have just been told something look again in the same turn, and the sources answer them all in
 * one.
 *
 * A look has its cost however little it finds, and so does each stream that is sent a batch. So the
 * more a look found, the longer the pause after it: where much is written, one batch carries much,
 * and where little is, it is told soon.
 */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Pauses between looks, after one that found something: another one at once would find little. */
export interface Pauses {
  /** In ms, after a look that found little, or was not told all that there is. */
  readonly leastMs: number;
  /** How much longer for each change that was found, in ms. */
  readonly msPerChange: number;
  readonly mostMs: number;
}

/** @typeParam Found what a look finds */
export class FeedLooks<Found> {
  readonly #pauses: Pauses;
  readonly #open = new Map<string, Promise<Found>>();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(pauses: Pauses) {
    this.#pauses = pauses;
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

  /**
   * Resolves at once for all that wait for this namespace, when it is worth looking again.
   *
   * @param changesCount what the first of them was just told, where that was all there is; else 0
   */
  nextTurn(namespace: string, changesCount: number): Promise<void> {
    const known = this.#turns.get(namespace);
    if (known !== undefined) return known;
    const { leastMs, msPerChange, mostMs } = this.#pauses;
    const turn = pause(Math.min(leastMs + changesCount * msPerChange, mostMs));
    const made = turn.finally(() => this.#turns.delete(namespace));
    this.#turns.set(namespace, made);
    return made;
  }
}
