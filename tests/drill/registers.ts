/**
 * Strict registers: some write and delete, some read, all with `consistency=strict`, through
 * whatever frontend they please. What they saw of each key has to be linearizable: a read shows
 * every write that finished before it began, and no two reads go back.
 */
import { type Arena, type Check, sleep } from "./arena.ts";
import {
  describeHistory,
  isLinearizable,
  minimalViolation,
  type RegisterOp,
} from "./linearizability.ts";

const REGISTER_COUNT = 3;
const WRITER_COUNT = 2;
const READER_COUNT = 2;
/** Operations on one key; then another one is taken, so that a search stays small. */
const OPERATIONS_MAX = 80;
const STRICT = "consistency=strict";

interface Register {
  readonly key: string;
  readonly history: RegisterOp[];
  begunCount: number;
  openCount: number;
  valueCount: number;
}

export class Registers implements Check {
  readonly name = "register";
  readonly #arena: Arena;
  readonly #open: Register[] = [];
  readonly #failures: string[] = [];
  #keyCount = 0;
  #judgedCount = 0;
  #operationCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    for (let i = 0; i < REGISTER_COUNT; i++) this.#open.push(this.#next());
  }

  start(): readonly Promise<void>[] {
    return this.#open.flatMap((_, at) => [
      ...Array.from({ length: WRITER_COUNT }, (__, i) => this.#client(at, `w${i}`)),
      ...Array.from({ length: READER_COUNT }, (__, i) => this.#client(at, `r${i}`)),
    ]);
  }

  finish(): Promise<readonly string[]> {
    for (const register of this.#open) this.#judge(register);
    return Promise.resolve(this.#failures);
  }

  summary(): string {
    const { length } = this.#failures;
    const good = this.#judgedCount - length;
    return `${good} of ${this.#judgedCount} keys linearizable, ${this.#operationCount} operations`;
  }

  #next(): Register {
    const key = `register-${this.#keyCount++}`;
    return { key, history: [], begunCount: 0, openCount: 0, valueCount: 0 };
  }

  async #client(at: number, client: string): Promise<void> {
    while (!this.#arena.isOver) {
      const register = this.#open[at] as Register;
      if (register.begunCount++ >= OPERATIONS_MAX) {
        // Whoever is still at work on it ends first.
        if (register.openCount > 0) await sleep(5);
        else if (this.#open[at] === register) this.#replace(at, register);
        continue;
      }
      register.openCount++;
      if (client.startsWith("r")) await this.#read(register, client);
      else await this.#write(register, client);
      register.openCount--;
    }
  }

  #replace(at: number, register: Register): void {
    this.#open[at] = this.#next();
    this.#judge(register);
  }

  async #write(register: Register, client: string): Promise<void> {
    const isDelete = this.#arena.prng.chance(1, 8);
    const value = isDelete ? null : `${client}.${++register.valueCount}`;
    const begin = this.#arena.now;
    const { fate } = await this.#arena.write(isDelete ? "DELETE" : "PUT", register.key, {
      query: STRICT,
      ...(value === null ? {} : { body: value }),
    });
    if (fate === "refused") return;
    const end = fate === "done" ? this.#arena.now : Infinity;
    register.history.push({ client, kind: "write", value, begin, end });
  }

  async #read(register: Register, client: string): Promise<void> {
    const begin = this.#arena.now;
    try {
      const { status, text } = await this.#arena.request("GET", register.key, { query: STRICT });
      if (status !== 200 && status !== 404) return await sleep(5);
      const value = status === 404 ? null : text;
      register.history.push({ client, kind: "read", value, begin, end: this.#arena.now });
    } catch {
      // A read that nobody answered says nothing.
    }
  }

  #judge({ key, history }: Register): void {
    this.#judgedCount++;
    this.#operationCount += history.length;
    if (isLinearizable(history)) return;
    const lines = describeHistory(minimalViolation(history));
    // A delete that nobody needs for that may be the half of what happened.
    const told = [`${key} is not linearizable, by these operations:`, ...lines, "of all these:"];
    told.push(...describeHistory(history));
    const text = told.join("\n    ");
    this.#failures.push(text);
    this.#arena.say(text);
  }
}
