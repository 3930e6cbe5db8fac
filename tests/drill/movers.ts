/**
 * Members that join and leave while everything else strikes: a newcomer is added, gets what it is to
 * own, serves, and is removed again. One change at a time, and none beside a wipe: a disk that is lost
 * in the midst of a change may be one of the two that a write was acknowledged by.
 *
 * A process is stopped only when the ring has no place for it any more, as a majority of the
 * members says: to stop one that still owns something is to lose a disk, and no promise covers more
 * than one at once. So a change that does not end is called off, and where the ring cannot be put
 * back as it was, no member is moved or wiped any more.
 */
import { type Arena, sleep } from "./arena.ts";

const CHANGE_MS_MAX = 90_000;
const REQUEST_MS_MAX = 5000;
/** The time that the node is given for a commit: its answer is on its way by then. */
const COMMIT_MS_MAX = 4500;
const POLL_MS = 100;
const REST_MS_MIN = 2000;
const REST_MS_MAX = 8000;
const FIRST_NUMBER = 6;

interface Transfers {
  readonly ringVersion: number;
  readonly phase: string | null;
}

interface Ring {
  readonly version: number;
  readonly members: readonly { readonly id: string }[];
}

interface Wanted {
  readonly change: object;
  readonly id: string;
  /** Whether it is one when the change is over. */
  readonly isMember: boolean;
}

export class Movers {
  joinedCount = 0;
  leftCount = 0;
  /** The failures of changes of members, in words. */
  readonly failures: string[] = [];
  readonly #arena: Arena;
  readonly #changeMsMax: number;
  /** What was answered last. */
  #said = "";

  /** @param changeMsMax how long a change may take before it is called off */
  constructor(arena: Arena, changeMsMax = CHANGE_MS_MAX) {
    this.#arena = arena;
    this.#changeMsMax = changeMsMax;
  }

  async run(): Promise<void> {
    for (let number = FIRST_NUMBER; !this.#arena.isOver; ) {
      await sleep(REST_MS_MIN + this.#arena.prng.below(REST_MS_MAX - REST_MS_MIN));
      if (this.#arena.isOver || this.#arena.isRefilling) continue;
      this.#arena.isMoving = true;
      if (!(await this.comeAndGo(`r${number++}`))) return;
      this.#arena.isMoving = false;
    }
  }

  /** @returns whether the ring is as it was, and the process gone */
  async comeAndGo(id: string): Promise<boolean> {
    const { cluster, say } = this.#arena;
    try {
      const member = await cluster.startNewcomer(id, "b");
      await this.#carryOut({ change: { add: [member] }, id, isMember: true });
      this.joinedCount++;
      say(`${id} has joined`);
      await this.#carryOut({ change: { remove: [id] }, id, isMember: false });
      this.leftCount++;
      say(`${id} has left`);
    } catch (error) {
      this.#note(id, error);
    }
    try {
      await this.#putBack(id);
      await cluster.stop(id);
      return true;
    } catch (error) {
      this.#note(id, error);
      return false;
    }
  }

  /**
   * Sees to it that the change happens, and waits until it is over. After a lost answer, or a 503,
   * only the ring shows whether the change goes on after all. So the ring is looked at before the
   * change is asked for once more, for the same version of the ring.
   */
  async #carryOut(wanted: Wanted): Promise<void> {
    let from = Infinity;
    for await (const { ringVersion, phase } of this.#looks(JSON.stringify(wanted))) {
      if (phase !== null) continue;
      if (ringVersion > from) return this.#check(wanted, ringVersion);
      from = ringVersion;
      await this.#commit({ ...wanted.change, from });
    }
  }

  /** @throws when it was another change that was made */
  async #check({ id, isMember }: Wanted, version: number): Promise<void> {
    const ring = await this.#ringSince(version);
    if (ring.members.some((member) => member.id === id) === isMember) return;
    throw new Error(`another change came to be: ${JSON.stringify(ring)}`);
  }

  /** Calls off what goes on, and removes the member if it is one: nothing to do if all went well. */
  async #putBack(id: string): Promise<void> {
    let isLeaving = false;
    for await (const { ringVersion, phase } of this.#looks(`the ring to be without ${id}`)) {
      if (phase === "filling" && !isLeaving) {
        this.#arena.say(`the change of ${id} is called off`);
        await this.#commit({ abort: true, from: ringVersion });
      }
      if (phase !== null) continue;
      const { members } = await this.#ringSince(ringVersion);
      if (!members.some((member) => member.id === id)) return;
      isLeaving = true;
      await this.#commit({ remove: [id], from: ringVersion });
    }
  }

  /** How far a change is, again and again. @throws when that has gone on for too long */
  async *#looks(what: string): AsyncGenerator<Transfers> {
    const giveUpAt = this.#arena.now + this.#changeMsMax;
    for (; this.#arena.now < giveUpAt; await sleep(POLL_MS)) {
      const look = await this.#ask<Transfers>("transfers", {});
      if (look !== null) yield look;
    }
    throw new Error(`waited ${this.#changeMsMax} ms for ${what}; ${this.#said}`);
  }

  /** A node may hear a moment later of the version that another one has told of. */
  async #ringSince(version: number): Promise<Ring> {
    const giveUpAt = this.#arena.now + this.#changeMsMax;
    for (; this.#arena.now < giveUpAt; await sleep(POLL_MS)) {
      const ring = await this.#ask<Ring>("ring", {});
      if (ring !== null && ring.version >= version) return ring;
    }
    throw new Error(`nobody tells of version ${version} of the ring; ${this.#said}`);
  }

  async #commit(change: object): Promise<void> {
    const body = JSON.stringify({ ...change, timeout: COMMIT_MS_MAX });
    await this.#ask("commit", { method: "POST", body });
  }

  /** null for what is no answer, and for a refusal. */
  async #ask<Body>(path: string, init: RequestInit): Promise<Body | null> {
    const { cluster } = this.#arena;
    const url = `${cluster.urlOf(this.#arena.pick(cluster.ids))}/v1/cluster/${path}`;
    const headers = { "Content-Type": "application/json" };
    try {
      const signal = AbortSignal.timeout(REQUEST_MS_MAX);
      const answer = await fetch(url, { ...init, headers, signal });
      const text = await answer.text();
      this.#said = `${path}: ${answer.status} ${text}`;
      return answer.ok ? (JSON.parse(text) as Body) : null;
    } catch (error) {
      this.#said = `${path}: ${error}`;
      return null;
    }
  }

  #note(id: string, error: unknown): void {
    this.failures.push(`${id}: ${error instanceof Error ? error.message : error}`);
  }
}
