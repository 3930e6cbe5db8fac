/**
 * Work that waits for the end of the turn of the event loop, when all that had come in by then was
 * read, and is then done together. Answers are written so: one that is written by itself wakes its
 * reader, a thread that had gone to sleep, and under load that costs more than all the rest of a
 * read (see bench/README.md). It waits for the requests that are read in the same turn and for
 * nothing else.
 */
export class EndOfTurn<Work> {
  readonly #carryOut: (work: Work) => void;
  #waiting: Work[] = [];

  /** @param carryOut does one piece of work; throws nothing */
  constructor(carryOut: (work: Work) => void) {
    this.#carryOut = carryOut;
  }

  add(work: Work): void {
    if (this.#waiting.push(work) === 1) setImmediate(this.#carryAllOut);
  }

  readonly #carryAllOut = (): void => {
    const all = this.#waiting;
    this.#waiting = [];
    for (const work of all) this.#carryOut(work);
  };
}
