/**
 * Sets: clients add elements by reading all siblings and writing their union back with the context.
 * A set is the strictest cache there is: one lost write, one sibling dropped, one deleted value
 * that came back, and an element is missing or too many (Jepsen's set workload).
 */
import { type Arena, type Check, elementsIn, sleep } from "./arena.ts";
import { judgeCollected } from "./judges.ts";

const CLIENT_COUNT = 3;
/** Elements of one set; then it is left alone, and checked in the end. */
const ELEMENTS_MAX = 400;
const SET_COUNT = 2;

interface Notes {
  readonly name: string;
  readonly attempted: Set<string>;
  readonly acknowledged: Set<string>;
}

export class Sets implements Check {
  readonly name = "sets";
  readonly #arena: Arena;
  readonly #all: Notes[] = [];
  readonly #open: Notes[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
    for (let i = 0; i < SET_COUNT; i++) this.#open.push(this.#next());
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: CLIENT_COUNT }, (_, i) => this.#client(i));
  }

  async finish(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const { name, attempted, acknowledged } of this.#all) {
      const found = new Set(elementsIn(await this.#arena.readInTheEnd(name)));
      failures.push(...judgeCollected(name, { attempted, acknowledged, found }));
    }
    return failures;
  }

  summary(): string {
    const count = (of: (notes: Notes) => number): number =>
      this.#all.reduce((sum, notes) => sum + of(notes), 0);
    const acknowledged = count((notes) => notes.acknowledged.size);
    const unknown = count((notes) => notes.attempted.size) - acknowledged;
    return `${acknowledged} elements acknowledged in ${this.#all.length} sets, ${unknown} unknown`;
  }

  #next(): Notes {
    const name = `set-${this.#all.length}`;
    const notes = { name, attempted: new Set<string>(), acknowledged: new Set<string>() };
    this.#all.push(notes);
    return notes;
  }

  async #client(index: number): Promise<void> {
    for (let i = 0; !this.#arena.isOver; i++) {
      const at = this.#arena.prng.below(SET_COUNT);
      const notes = this.#open[at] as Notes;
      if (notes.attempted.size >= ELEMENTS_MAX) this.#open[at] = this.#next();
      await this.#add(notes, `${index}-${i}`).catch(() => sleep(20));
    }
  }

  async #add({ name, attempted, acknowledged }: Notes, element: string): Promise<void> {
    const { values, context } = await this.#arena.readAll(name);
    attempted.add(element);
    const union = [...new Set([...elementsIn(values), element])];
    const { fate } = await this.#arena.write("PUT", name, {
      body: JSON.stringify(union),
      headers: context === null ? {} : { "Starling-Context": context },
    });
    if (fate === "done") acknowledged.add(element);
    if (fate === "refused") attempted.delete(element);
  }
}
