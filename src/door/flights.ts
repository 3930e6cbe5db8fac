/** The fetches under way in this process, and the keys whose answers are not for sharing. */
import type { Millis, WallMillis } from "../../core/time.ts";
import type { Landing } from "./fetching.ts";

/** For how long a key's requests are not made to wait for each other, in ms. */
const UNSHARED_MS = 10_000;
/**
 * After a refresh that failed, in ms. Else each stale hit sends an origin that is down another one,
 * as soon as the last has failed.
 */
const FAILED_REFRESH_PAUSE_MS = 1000;
/** Keys that are remembered for that; beyond it the oldest are forgotten. */
const NOTED_COUNT_MAX = 10_000;

/** Notes about keys, each valid until some instant. */
class KeyNotes {
  /** Until when, oldest first. */
  readonly #until = new Map<string, WallMillis>();

  has(id: string, now: WallMillis): boolean {
    return (this.#until.get(id) ?? 0) > now;
  }

  note(id: string, until: WallMillis): void {
    this.#until.delete(id);
    this.#until.set(id, until);
    for (const [oldest] of this.#until) {
      if (this.#until.size <= NOTED_COUNT_MAX) break;
      this.#until.delete(oldest);
    }
  }

  forget(id: string): void {
    this.#until.delete(id);
  }
}

/**
 * What doors of one process may share: only values. On Workers a promise belongs to the request
 * that made it, and no other may wait for it.
 */
export class DoorMemory {
  /** Keys whose answers are not for sharing. */
  readonly unshared = new KeyNotes();
  /** Keys that are made anew behind a stale answer. */
  readonly refreshing = new KeyNotes();
}

export class Flights {
  readonly #underWay = new Map<string, Promise<Landing>>();
  readonly #memory: DoorMemory;

  constructor(memory: DoorMemory = new DoorMemory()) {
    this.#memory = memory;
  }

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
    return this.#memory.unshared.has(id, now);
  }

  /** The key's answer could not be shared: its requests no longer wait (hit-for-miss). */
  noteUnshared(id: string, now: WallMillis): void {
    this.#memory.unshared.note(id, now + UNSHARED_MS);
  }

  /**
   * Whether a refresh may begin; from then on no other one does, until it is over.
   *
   * @param forMs how long a refresh counts whose end nobody reports: its request may have died
   */
  beginsRefresh(id: string, now: WallMillis, forMs: Millis): boolean {
    if (this.has(id) || this.#memory.refreshing.has(id, now)) return false;
    this.#memory.refreshing.note(id, now + forMs);
    return true;
  }

  endRefresh(id: string, { now, isFailed }: { now: WallMillis; isFailed: boolean }): void {
    const { refreshing } = this.#memory;
    if (isFailed) refreshing.note(id, now + FAILED_REFRESH_PAUSE_MS);
    else refreshing.forget(id);
  }
}
