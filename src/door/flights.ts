/** The fetches under way in this process, and the keys whose answers are not for sharing. */
import type { Millis, WallMillis } from "../../core/time.ts";
import type { Landing } from "./fetching.ts";

/** For how long a key's requests are not made to wait for each other, in ms. */
const UNSHARED_MS = 10_000;
/** Keys that are remembered for that; beyond it the oldest are forgotten. */
const UNSHARED_COUNT_MAX = 10_000;

export class Flights {
  readonly #underWay = new Map<string, Promise<Landing>>();
  /** Until when, oldest first. */
  readonly #unshared = new Map<string, Millis>();

  has(id: string): boolean {
    return this.#underWay.has(id);
  }

  /** What is under way; it rejects as the fetch does. */
  get(id: string): Promise<Landing> | undefined {
    return this.#underWay.get(id);
  }

  /** @param fetch calls `over` when all is done: from then on what it brought is looked up */
  launch(id: string, fetch: (over: () => void) => Promise<Landing>): Promise<Landing> {
    const over = (): void => {
      if (this.#underWay.get(id) === flight) this.#underWay.delete(id);
    };
    const flight = fetch(over).catch((error: unknown) => {
      over();
      throw error;
    });
    this.#underWay.set(id, flight);
    return flight;
  }

  isUnshared(id: string, now: WallMillis): boolean {
    return (this.#unshared.get(id) ?? 0) > now;
  }

  /** The key's answer could not be shared: its requests no longer wait (hit-for-miss). */
  noteUnshared(id: string, now: WallMillis): void {
    this.#unshared.delete(id);
    this.#unshared.set(id, now + UNSHARED_MS);
    for (const [oldest] of this.#unshared) {
      if (this.#unshared.size <= UNSHARED_COUNT_MAX) break;
      this.#unshared.delete(oldest);
    }
  }
}
