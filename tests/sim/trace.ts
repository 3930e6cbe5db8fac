/** What happened in a run, line by line: for people when asked for, and always as one digest. */
import { createHash } from "node:crypto";
import type { Events } from "./events.ts";

/** Lines that are hashed at once: hashing each by itself would cost more than all the rest. */
const BATCH = 512;

export class Trace {
  readonly #events: Events;
  readonly #print: ((line: string) => void) | null;
  readonly #hash = createHash("sha256");
  #lines: string[] = [];
  /** When each of them happened: to print that many fractions would cost more than the lines. */
  readonly #times = new Float64Array(BATCH);

  constructor(events: Events, print: ((line: string) => void) | null) {
    this.#events = events;
    this.#print = print;
  }

  readonly add = (line: string): void => {
    const { now } = this.#events;
    if (this.#print !== null) this.#print(`${now.toFixed(1).padStart(9)}  ${line}`);
    this.#times[this.#lines.length] = now;
    this.#lines.push(line);
    if (this.#lines.length >= BATCH) this.#settle();
  };

  get digest(): string {
    this.#settle();
    return this.#hash.copy().digest("hex");
  }

  #settle(): void {
    this.#hash.update(this.#times.subarray(0, this.#lines.length));
    this.#hash.update(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
  }
}
