/**
 * Members that join and leave while everything else strikes: a newcomer is added, gets what it is to
 * own, serves, and is removed again. One change at a time, and none beside a wipe: a disk that is lost
 * in the midst of a change may be one of the two that a write was acknowledged by.
 */
import { type Arena, sleep } from "./arena.ts";

const CHANGE_MS_MAX = 90_000;
const REQUEST_MS_MAX = 5000;
const REST_MS_MIN = 2000;
const REST_MS_MAX = 8000;
const FIRST_NUMBER = 6;

interface Transfers {
  readonly phase: string | null;
}

export class Movers {
  joinedCount = 0;
  leftCount = 0;
  /** What a change of members did not come to, in words. */
  readonly failures: string[] = [];
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  async run(): Promise<void> {
    for (let number = FIRST_NUMBER; !this.#arena.isOver; ) {
      await sleep(REST_MS_MIN + this.#arena.prng.below(REST_MS_MAX - REST_MS_MIN));
      if (this.#arena.isOver || this.#arena.isRefilling) continue;
      this.#arena.isMoving = true;
      const id = `r${number++}`;
      try {
        await this.#comeAndGo(id);
      } catch (error) {
        this.failures.push(`${id}: ${error instanceof Error ? error.message : error}`);
      }
      this.#arena.isMoving = false;
    }
  }

  async #comeAndGo(id: string): Promise<void> {
    const { cluster, say } = this.#arena;
    const member = await cluster.startNewcomer(id, "b");
    await this.#commit(`${id} to join`, { add: [member] });
    this.joinedCount++;
    say(`${id} has joined`);
    await this.#commit(`${id} to leave`, { remove: [id] });
    this.leftCount++;
    say(`${id} has left`);
    await cluster.stop(id);
  }

  /** Asks until somebody takes it, and waits until it is over. */
  async #commit(what: string, change: object): Promise<void> {
    const giveUpAt = this.#arena.now + CHANGE_MS_MAX;
    const until = async (isDone: () => Promise<boolean>): Promise<void> => {
      while (!(await isDone().catch(() => false))) {
        if (this.#arena.now > giveUpAt) throw new Error(`waited ${CHANGE_MS_MAX} ms for ${what}`);
        await sleep(100);
      }
    };
    const body = JSON.stringify(change);
    await until(async () => (await this.#ask("commit", { method: "POST", body })).ok);
    await until(async () => {
      const answer = await this.#ask("transfers", {});
      return answer.ok && ((await answer.json()) as Transfers).phase === null;
    });
  }

  #ask(path: string, init: RequestInit): Promise<Response> {
    const { cluster } = this.#arena;
    const url = `${cluster.urlOf(this.#arena.pick(cluster.ids))}/v1/cluster/${path}`;
    const headers = { "Content-Type": "application/json" };
    return fetch(url, { ...init, headers, signal: AbortSignal.timeout(REQUEST_MS_MAX) });
  }
}
