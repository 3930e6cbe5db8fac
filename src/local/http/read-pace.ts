/**
 * How much of large bodies is read in one turn of the event loop. Node reads of every connection
 * that has something, some 200 KB of a quick one, before anything else has its turn: ninety clients
 * that send a mebibyte each at once were a stop of 0.1 s. So after half a mebibyte whoever has more
 * to give waits for the next turn, and small requests pass in between.
 */

/** What can be told to give nothing for a while: a stream that flows. */
export interface Flowing {
  pause(): unknown;
  resume(): unknown;
}

const TURN_BYTES_MAX = 512 * 1024;
/** A body that is no longer is not worth holding up: it mostly comes in one piece, or two. */
const BODY_BYTES_MIN = 64 * 1024;

export class ReadPace {
  readonly #byteCountMax: number;
  #byteCount = 0;
  #paused: Flowing[] = [];

  /** @param byteCountMax in one turn, before the piece that passes it */
  constructor(byteCountMax = TURN_BYTES_MAX) {
    this.#byteCountMax = byteCountMax;
  }

  /**
   * A body has given a piece: it may have to wait before it gives the next one.
   *
   * @param ofBody how much it has given by now
   */
  took(body: Flowing, byteCount: number, ofBody: number): void {
    if (ofBody <= BODY_BYTES_MIN) return;
    if (this.#byteCount === 0) setImmediate(this.#nextTurn);
    this.#byteCount += byteCount;
    if (this.#byteCount < this.#byteCountMax) return;
    body.pause();
    this.#paused.push(body);
  }

  readonly #nextTurn = (): void => {
    this.#byteCount = 0;
    const paused = this.#paused;
    this.#paused = [];
    for (const body of paused) body.resume();
  };
}

/** This process's own. */
export const readPace = new ReadPace();
