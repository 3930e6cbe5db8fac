/**
 * Bounded reads: every key has one writer, which counts it up without a context; readers ask through
 * any frontend for the key with `max_stale`. A reader that is answered sees what had been
 * acknowledged that long before it asked, or something newer, whatever was killed, frozen, wiped or
 * cut off meanwhile, and whosever clock was set. `staleness-unproven` is an honest answer, and so
 * is any other refusal.
 */
import { type Arena, type Check, sleep, valuesIn } from "./arena.ts";
import { type BoundedWrite, judgeBounded } from "./judges.ts";

const KEY_COUNT = 6;
const READER_COUNT = 6;
/** In seconds: one that claims mostly meet, and one that they often miss. */
const BOUNDS = [1, 0.3] as const;
/** A write with fewer may be lost with one disk, where the drill takes disks away. */
const DURABLE_MIN = 2;

const numbersOf = (header: string | null): ReadonlyMap<string, number> =>
  new Map(
    (header ?? "").split(", ").map((member) => {
      const [name = "", value = ""] = member.split("=");
      return [name, Number(value)];
    }),
  );

export class Bounded implements Check {
  readonly name = "bounded";
  readonly #arena: Arena;
  readonly #failures: string[] = [];
  /** By key: what was acknowledged, in order. */
  readonly #log = new Map<string, BoundedWrite[]>();
  #readCount = 0;
  #byOneCount = 0;
  #unprovenCount = 0;
  #refusedCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    for (let i = 0; i < KEY_COUNT; i++) this.#log.set(`bounded-${i}`, []);
  }

  start(): readonly Promise<void>[] {
    const writers = [...this.#log.keys()].map((key) => this.#writer(key));
    return [...writers, ...Array.from({ length: READER_COUNT }, () => this.#reader())];
  }

  finish(): Promise<readonly string[]> {
    return Promise.resolve(this.#failures);
  }

  summary(): string {
    const writes = [...this.#log.values()].reduce((sum, { length }) => sum + length, 0);
    const answered = `${this.#readCount} bounded reads, ${this.#byOneCount} by one replica`;
    const refused = `${this.#unprovenCount} unproven, ${this.#refusedCount} refused`;
    return `${writes} writes acknowledged, ${answered}, ${refused}`;
  }

  async #writer(key: string): Promise<void> {
    for (let value = 1; !this.#arena.isOver; value++) {
      const query = this.#arena.pick(["", "w=1&dw=1"]);
      const { fate, answer } = await this.#arena.write("PUT", key, { query, body: `${value}` });
      // What was acknowledged from memory may go with the process.
      const acked = numbersOf(answer?.headers.get("starling-quorum") ?? null).get("durable") ?? 0;
      if (fate === "done") this.#log.get(key)?.push({ value, at: this.#arena.now, acked });
      await sleep(20);
    }
  }

  async #reader(): Promise<void> {
    const keys = [...this.#log.keys()];
    while (!this.#arena.isOver) {
      const bound = { maxStaleS: this.#arena.pick(BOUNDS), staleW: this.#arena.pick([1, 2]) };
      await this.#read(this.#arena.pick(keys), bound).catch(() => {
        this.#refusedCount++;
      });
      await sleep(10);
    }
  }

  async #read(
    key: string,
    { maxStaleS, staleW }: { readonly maxStaleS: number; readonly staleW: number },
  ): Promise<void> {
    const at = this.#arena.now;
    const { status, headers, text, via } = await this.#arena.request("GET", key, {
      query: `r=1&max_stale=${maxStaleS}&stale_w=${staleW}&siblings=all`,
      headers: { Accept: "application/json" },
    });
    if (![200, 300, 404].includes(status)) {
      if (text.includes("staleness-unproven")) this.#unprovenCount++;
      else this.#refusedCount++;
      return;
    }
    const numbers = numbersOf(headers.get("starling-quorum"));
    this.#readCount++;
    if (numbers.get("answered") === 1) this.#byOneCount++;
    const read = { key, at, values: valuesIn({ status, text }).map(Number), via };
    const ackedMin = this.#arena.losesDisks ? Math.max(staleW, DURABLE_MIN) : staleW;
    const bound = { maxStaleMs: 1000 * maxStaleS, ackedMin };
    const breach = judgeBounded(read, this.#log.get(key) ?? [], bound);
    const said = numbers.get("stale-bound") ?? Number.POSITIVE_INFINITY;
    if (said > maxStaleS) this.#accuse(`${key} was read with stale-bound=${said} via ${via}`);
    if (breach !== null) this.#accuse(breach);
  }

  #accuse(breach: string): void {
    this.#failures.push(breach);
    this.#arena.say(breach);
  }
}
