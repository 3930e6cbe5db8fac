/**
 * Collections that clients add to, as notes say: some are open at a time, and one that is full is
 * left alone and makes room for another. In the end nothing that was acknowledged is missing from
 * any of them, and nothing is there that nobody added.
 */
import { type Arena, elementsIn } from "./arena.ts";
import { judgeCollected } from "./judges.ts";

/** What clients did to one collection. */
export interface Notes {
  readonly name: string;
  readonly attempted: Set<string>;
  readonly acknowledged: Set<string>;
}

interface Shape {
  /** Names begin with it. */
  readonly prefix: string;
  /** How many are open at a time. */
  readonly openCount: number;
  /** Attempts to add to one; then it is full. */
  readonly elementsMax: number;
}

export class Collections {
  readonly #arena: Arena;
  readonly #shape: Shape;
  readonly #all: Notes[] = [];
  readonly #open: Notes[] = [];

  constructor(arena: Arena, shape: Shape) {
    this.#arena = arena;
    this.#shape = shape;
    for (let i = 0; i < shape.openCount; i++) this.#open.push(this.#next());
  }

  get count(): number {
    return this.#all.length;
  }

  get attemptedCount(): number {
    return this.#all.reduce((sum, { attempted }) => sum + attempted.size, 0);
  }

  get acknowledgedCount(): number {
    return this.#all.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  }

  /** One of the open ones. */
  pick(): Notes {
    const at = this.#arena.prng.below(this.#shape.openCount);
    const notes = this.#open[at] as Notes;
    if (notes.attempted.size >= this.#shape.elementsMax) this.#open[at] = this.#next();
    return notes;
  }

  /** @returns what is wrong with any of them */
  async judge(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const { name, attempted, acknowledged } of this.#all) {
      const found = new Set(elementsIn(await this.#arena.readInTheEnd(name)));
      failures.push(...judgeCollected(name, { attempted, acknowledged, found }));
    }
    return failures;
  }

  #next(): Notes {
    const name = `${this.#shape.prefix}-${this.#all.length}`;
    const notes = { name, attempted: new Set<string>(), acknowledged: new Set<string>() };
    this.#all.push(notes);
    return notes;
  }
}
