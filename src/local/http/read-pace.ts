/**
 * How much of large bodies is read in one turn of the event loop. Of a connection that has more,
 * Node reads up to two mebibytes before it looks at the next one: thirty clients that send one each
 * are a single turn, as long as thirty mebibytes take. So after half a mebibyte whoever has more to
 * give waits for the next turn, and small requests pass in between.
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
