/**
 * Conditional appends: clients GET a list and PUT it back one longer with `If-Match`, and no
 * context, as against any compare-and-swap store. A refused client tries again. Two appends that
 * were let through at once stand beside each other, and neither is lost: some readers join the
 * siblings, others go on from the one that they are shown.
 */
import { type Arena, type Check, elementsIn, sleep } from "./arena.ts";
import { Collections, type Notes } from "./collections.ts";

const CLIENT_COUNT = 6;
const LIST_COUNT = 2;
const ELEMENTS_MAX = 200;

export class Appends implements Check {
  readonly name = "appends";
  readonly #arena: Arena;
  readonly #lists: Collections;
  #refusedCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    const shape = { prefix: "list", openCount: LIST_COUNT, elementsMax: ELEMENTS_MAX };
    this.#lists = new Collections(arena, shape);
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: CLIENT_COUNT }, (_, i) => this.#client(i));
  }

  finish(): Promise<readonly string[]> {
    return this.#lists.judge();
  }

  summary(): string {
    const { acknowledgedCount, count } = this.#lists;
    return `${acknowledgedCount} appends acknowledged to ${count} lists, ${this.#refusedCount} refused`;
  }

  async #client(index: number): Promise<void> {
    for (let i = 0; !this.#arena.isOver; i++) {
      await this.#append(this.#lists.pick(), `${index}-${i}`).catch(() => sleep(20));
    }
  }

  async #append(notes: Notes, element: string): Promise<void> {
    const { name, attempted, acknowledged } = notes;
    const { list, headers } = await this.#read(name);
    attempted.add(element);
    const body = JSON.stringify([...list, element]);
    const { fate } = await this.#arena.write("PUT", name, { body, headers });
    if (fate === "done") acknowledged.add(element);
    if (fate !== "refused") return;
    this.#refusedCount++;
    attempted.delete(element);
  }

  /** What is shown, and the headers for a write that replaces just that. @throws */
  async #read(
    name: string,
  ): Promise<{ list: readonly string[]; headers: Readonly<Record<string, string>> }> {
    const answer = await this.#arena.request("GET", name);
    if (answer.status === 404) return { list: [], headers: { "If-None-Match": "*" } };
    if (answer.status !== 200) throw new Error(`a read was answered ${answer.status}`);
    const hasSiblings = Number(answer.headers.get("starling-siblings") ?? 1) > 1;
    // Half of the time like a client that knows nothing of siblings and replaces just the shown
    // one.
    if (hasSiblings && this.#arena.prng.chance(1, 2)) {
      const { values, context } = await this.#arena.readAll(name);
      const list = [...new Set(elementsIn(values))];
      return { list, headers: context === null ? {} : { "Starling-Context": context } };
    }
    const etag = answer.headers.get("etag") ?? "";
    return { list: elementsIn([answer.text]), headers: { "If-Match": etag } };
  }
}
