/**
 * Sessions: each counts a key of its own up and carries the context along, through another frontend
 * each time. What it reads with its context is never older than what it wrote or read before; a
 * read that nobody can serve is refused, which is fine.
 */
import { type Arena, type Check, sleep, valuesIn } from "./arena.ts";
import { judgeSession, type SessionEvent } from "./judges.ts";

const SESSION_COUNT = 3;
/** Events of one session; then another one begins, with a key of its own. */
const EVENTS_MAX = 200;
const CONTEXT = "starling-context";

export class Sessions implements Check {
  readonly name = "sessions";
  readonly #arena: Arena;
  readonly #failures: string[] = [];
  #sessionCount = 0;
  #readCount = 0;
  #refusedCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  start(): readonly Promise<void>[] {
    return Array.from({ length: SESSION_COUNT }, () => this.#client());
  }

  finish(): Promise<readonly string[]> {
    return Promise.resolve(this.#failures);
  }

  summary(): string {
    const { length } = this.#failures;
    const broken = length === 0 ? "" : `, ${length} broken`;
    return `${this.#sessionCount} sessions read ${this.#readCount} times, ${this.#refusedCount} refused${broken}`;
  }

  async #client(): Promise<void> {
    while (!this.#arena.isOver) {
      const name = `session-${this.#sessionCount++}`;
      const breach = judgeSession(name, await this.#session(name));
      if (breach === null) continue;
      this.#failures.push(breach);
      this.#arena.say(breach);
    }
  }

  async #session(name: string): Promise<readonly SessionEvent[]> {
    const events: SessionEvent[] = [];
    let context: string | null = null;
    let last = 0;
    while (!this.#arena.isOver && events.length < EVENTS_MAX) {
      const headers: Record<string, string> = context === null ? {} : { [CONTEXT]: context };
      if (this.#arena.prng.chance(1, 2)) {
        const value = ++last;
        const { fate, answer } = await this.#arena.write("PUT", name, {
          body: `${value}`,
          headers,
        });
        if (fate === "refused") return events;
        const isKnown = fate === "done";
        events.push({ kind: "wrote", value, isKnown, via: answer?.via ?? "?" });
        if (isKnown) context = answer?.headers.get(CONTEXT) ?? context;
      } else {
        context = await this.#read(name, { context, headers, events });
      }
    }
    return events;
  }

  /** The context after it. */
  async #read(
    name: string,
    of: {
      readonly context: string | null;
      readonly headers: Readonly<Record<string, string>>;
      readonly events: SessionEvent[];
    },
  ): Promise<string | null> {
    try {
      const { status, text, headers, via } = await this.#arena.request("GET", name, {
        query: "siblings=all",
        headers: { ...of.headers, Accept: "application/json" },
      });
      if (![200, 300, 404].includes(status)) {
        this.#refusedCount++;
        await sleep(10);
        return of.context;
      }
      this.#readCount++;
      // A write of unknown fate may stand beside the next one; clocks decide which of them is shown
      // when only one is.
      const value = Math.max(0, ...valuesIn({ status, text }).map(Number));
      of.events.push({ kind: "read", value, isKnown: true, via });
      return headers.get(CONTEXT) ?? of.context;
    } catch {
      this.#refusedCount++;
      return of.context;
    }
  }
}
