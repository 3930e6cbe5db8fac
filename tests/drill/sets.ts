/**
 * Sets: clients add elements by reading all siblings and writing their union back with the context.
 * A set is the strictest cache there is: one lost write, one sibling dropped, one deleted value
 * that came back, and an element is missing or too many (Jepsen's set workload).
 */
import { type Arena, type Check, elementsIn, sleep } from "./arena.ts";
import { Collections, type Notes } from "./collections.ts";

const CLIENT_COUNT = 3;
/** Elements of one set; then it is left alone, and checked in the end. */
const ELEMENTS_MAX = 400;
const SET_COUNT = 2;

export class Sets implements Check {
  readonly name = "sets";
  readonly #arena: Arena;
  readonly #sets: Collections;

  constructor(arena: Arena) {
    this.#arena = arena;
    const shape = { prefix: "set", openCount: SET_COUNT, elementsMax: ELEMENTS_MAX };
    this.#sets = new Collections(arena, shape);
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: CLIENT_COUNT }, (_, i) => this.#client(i));
  }

  finish(): Promise<readonly string[]> {
    return this.#sets.judge();
  }

  summary(): string {
    const { acknowledgedCount, attemptedCount, count } = this.#sets;
    const unknownCount = attemptedCount - acknowledgedCount;
    return `${acknowledgedCount} elements acknowledged in ${count} sets, ${unknownCount} unknown`;
  }

  async #client(index: number): Promise<void> {
    for (let i = 0; !this.#arena.isOver; i++) {
      await this.#add(this.#sets.pick(), `${index}-${i}`).catch(() => sleep(20));
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
