/**
 * Conditional appends: clients GET a list and PUT it back one longer with `If-Match`, and no
 * context, as against any compare-and-swap store. Who is refused tries again. Two that were let
 * through at once stand beside each other, and none is lost: some readers join the siblings, others
 * go on from the one that they are shown.
 */
import { type Arena, type Check, elementsIn, sleep } from "./arena.ts";
import { judgeCollected } from "./judges.ts";

const CLIENT_COUNT = 6;
const LIST_COUNT = 2;
const ELEMENTS_MAX = 200;

interface Notes {
  readonly name: string;
  readonly attempted: Set<string>;
  readonly acknowledged: Set<string>;
}

export class Appends implements Check {
  readonly name = "appends";
  readonly #arena: Arena;
  readonly #all: Notes[] = [];
  readonly #open: Notes[] = [];
  #refusedCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    for (let i = 0; i < LIST_COUNT; i++) this.#open.push(this.#next());
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
    const acknowledged = this.#all.reduce((sum, notes) => sum + notes.acknowledged.size, 0);
    return `${acknowledged} appends acknowledged to ${this.#all.length} lists, ${this.#refusedCount} refused`;
  }

  #next(): Notes {
    const name = `list-${this.#all.length}`;
    const notes = { name, attempted: new Set<string>(), acknowledged: new Set<string>() };
    this.#all.push(notes);
    return notes;
  }

  async #client(index: number): Promise<void> {
    for (let i = 0; !this.#arena.isOver; i++) {
      const at = this.#arena.prng.below(LIST_COUNT);
      const notes = this.#open[at] as Notes;
      if (notes.attempted.size >= ELEMENTS_MAX) this.#open[at] = this.#next();
      await this.#append(notes, `${index}-${i}`).catch(() => sleep(20));
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

  /** What is shown, and the headers of a write that is to replace just that. @throws */
  async #read(
    name: string,
  ): Promise<{ list: readonly string[]; headers: Readonly<Record<string, string>> }> {
    const answer = await this.#arena.request("GET", name);
    if (answer.status === 404) return { list: [], headers: { "If-None-Match": "*" } };
    if (answer.status !== 200) throw new Error(`a read was answered ${answer.status}`);
    const hasSiblings = Number(answer.headers.get("starling-siblings") ?? 1) > 1;
    // Half of the time as one who knows nothing of siblings: then just the shown one is replaced.
    if (hasSiblings && this.#arena.prng.chance(1, 2)) {
      const { values, context } = await this.#arena.readAll(name);
      const list = [...new Set(elementsIn(values))];
      return { list, headers: context === null ? {} : { "Starling-Context": context } };
    }
    const etag = answer.headers.get("etag") ?? "";
    return { list: elementsIn([answer.text]), headers: { "If-Match": etag } };
  }
}
