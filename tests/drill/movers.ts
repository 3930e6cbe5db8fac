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

interface Ring {
  readonly members: readonly { readonly id: string }[];
}

interface Wanted {
  readonly change: object;
  readonly id: string;
  /** Whether it is one when the change is over. */
  readonly isMember: boolean;
}

/** No change goes on, and the members are not as wanted. */
const AT_REST = "at rest:";

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
    await this.#commit({ change: { add: [member] }, id, isMember: true });
    this.joinedCount++;
    say(`${id} has joined`);
    await this.#commit({ change: { remove: [id] }, id, isMember: false });
    this.leftCount++;
    say(`${id} has left`);
    await cluster.stop(id);
  }

  /**
   * Sees to it that the change comes to be, and waits until it is over. Whether an answer that was
   * lost, or a 503, was of a change that goes on after all shows in the ring alone: so that is looked
   * at before the change is asked for once more.
   */
  async #commit(wanted: Wanted): Promise<void> {
    const giveUpAt = this.#arena.now + CHANGE_MS_MAX;
    const body = JSON.stringify(wanted.change);
    let said = "";
    while (!(await this.#isOver(wanted, (text) => (said = text)).catch(() => false))) {
      if (this.#arena.now > giveUpAt) {
        throw new Error(`waited ${CHANGE_MS_MAX} ms for ${JSON.stringify(wanted)}; ${said}`);
      }
      await sleep(100);
      if (!said.startsWith(AT_REST)) continue;
      await this.#ask("commit", { method: "POST", body }).then(
        async (answer) => (said = `commit: ${answer.status} ${await answer.text()}`),
        (error: Error) => (said = `commit: ${error.message}`),
      );
    }
  }

  async #isOver({ id, isMember }: Wanted, note: (said: string) => void): Promise<boolean> {
    const answer = await this.#ask("transfers", {});
    const text = await answer.text();
    note(`transfers: ${answer.status} ${text}`);
    if (!answer.ok || (JSON.parse(text) as Transfers).phase !== null) return false;
    const ring = (await (await this.#ask("ring", {})).json()) as Ring;
    if (ring.members.some((member) => member.id === id) === isMember) return true;
    note(`${AT_REST} ${JSON.stringify(ring.members)}`);
    return false;
  }

  #ask(path: string, init: RequestInit): Promise<Response> {
    const { cluster } = this.#arena;
    const url = `${cluster.urlOf(this.#arena.pick(cluster.ids))}/v1/cluster/${path}`;
    const headers = { "Content-Type": "application/json" };
    return fetch(url, { ...init, headers, signal: AbortSignal.timeout(REQUEST_MS_MAX) });
  }
}
