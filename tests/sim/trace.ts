/** What happened in a run, line by line: for people when asked for, and always as one digest. */
import { createHash } from "node:crypto";
import type { Message } from "../../core/messages.ts";
import type { Events } from "./events.ts";

/** Lines that are hashed at once: hashing each by itself would cost more than all the rest. */
const BATCH = 512;
/** A message's line is hashed as its time, its call, and the number of its constant part. */
const NUMBERS_PER_LINE = 3;

export class Trace {
  readonly #events: Events;
  readonly #print: ((line: string) => void) | null;
  readonly #hash = createHash("sha256");
  /** To print that many fractions, or to make text of each message, would cost more than the run. */
  readonly #numbers = new Float64Array(BATCH * NUMBERS_PER_LINE);
  #count = 0;
  #lines: string[] = [];
  /** Lines' constant parts, in the order in which they came up. */
  readonly #known = new Map<string, number>();

  constructor(events: Events, print: ((line: string) => void) | null) {
    this.#events = events;
    this.#print = print;
  }

  readonly add = (line: string): void => {
    this.#tell(line);
    this.#lines.push(line);
    this.#note(-1, 0);
  };

  /** A message on a wire: most of what happens. */
  sent(wire: string, { type, call, body }: Message, isLost: boolean): void {
    if (this.#print !== null) {
      this.#tell(`${wire} ${type} ${body.kind} #${call}${isLost ? " LOST" : ""}`);
    }
    const what = this.#numberOf(wire) * 1024 + this.#numberOf(body.kind);
    this.#note(call, what * 4 + (type === "request" ? 2 : 0) + (isLost ? 1 : 0));
  }

  get digest(): string {
    this.#settle();
    return this.#hash.copy().digest("hex");
  }

  #tell(line: string): void {
    this.#print?.(`${this.#events.now.toFixed(1).padStart(9)}  ${line}`);
  }

  #numberOf(part: string): number {
    const known = this.#known.get(part);
    if (known !== undefined) return known;
    this.#known.set(part, this.#known.size);
    return this.#known.size - 1;
  }

  #note(call: number, what: number): void {
    const at = this.#count++ * NUMBERS_PER_LINE;
    this.#numbers[at] = this.#events.now;
    this.#numbers[at + 1] = call;
    this.#numbers[at + 2] = what;
    if (this.#count === BATCH) this.#settle();
  }

  #settle(): void {
    this.#hash.update(this.#numbers.subarray(0, this.#count * NUMBERS_PER_LINE));
    this.#hash.update(`${this.#lines.join("\n")}\n`);
    this.#count = 0;
    this.#lines = [];
  }
}
