/**
 * The turns of large values. A value of a mebibyte is gone over a dozen times: joined, encoded,
 * logged, sent to two peers, which do the same. Thirty at once take a single long turn of the event
 * loop, or thirty turns in a row, at three nodes, and a small read waits for all of them at two of
 * these. So a few are carried out at a time, in the order in which they came, and no two of them
 * begin in one turn of the event loop: small requests pass in between.
 *
 * Nor do they take all of the time that there is. Where nodes share cores, the peers that a small
 * read needs would get none. So the loop rests before the next one, a quarter of the time for which
 * it was busy; where others leave it no rest, the next one begins after a while all the same.
 *
 * A slow client has no part in it: a body is read before its turn is asked for, within what room
 * there is (body-room.ts), and an answer is sent after the turn is over.
 */
import type { Millis } from "../../../core/time.ts";
import { WaitingLine } from "../../frontend/http/waiting-line.ts";

const MIB = 1024 * 1024;
/** Bytes of values that are carried out at the same time; one alone may be longer. */
const BYTES_MAX = 4 * MIB;
/**
 * Work that has not ended by then waits for something else, a peer or a disk, and costs nothing
 * here.
 */
const TURN_MS_MAX = 250;
/** How long the event loop rests, by how long it was busy. */
const REST_SHARE = 0.25;
/** How long a large value is held back for that at most, in ms a MiB: 20 MiB a second go on. */
const HELD_BACK_MS_PER_MIB = 50;
/** A shorter rest is put off: a timer is no more exact. */
const REST_MS_MIN = 1;

/** For how long the event loop was busy, and for how long it waited for something to do, in ms. */
export interface LoopTime {
  readonly active: Millis;
  readonly idle: Millis;
}

export interface LargeTurnsLimits {
  /** Of values that are carried out at the same time. */
  readonly byteCountMax?: number;
  /** How long one waits for its turn, in ms. */
  readonly waitMsMax: number;
  /** How long a turn takes at most, whether its work has ended or not, in ms. */
  readonly turnMsMax?: number;
  /** The event loop's time since the process began. */
  readonly loopTime?: () => LoopTime;
}

export class LargeTurns {
  readonly #byteCountMax: number;
  readonly #waitMsMax: number;
  readonly #turnMsMax: number;
  readonly #loopTime: () => LoopTime;
  readonly #line = new WaitingLine();
  #byteCount = 0;
  /** Whether one has begun, and the next one may not yet. */
  #hasBegun = false;
  /** Since when the loop owes a rest; null: it owes none. */
  #owesSince: LoopTime | null = null;

  constructor(limits: LargeTurnsLimits) {
    this.#byteCountMax = limits.byteCountMax ?? BYTES_MAX;
    this.#waitMsMax = limits.waitMsMax;
    this.#turnMsMax = limits.turnMsMax ?? TURN_MS_MAX;
    this.#loopTime = limits.loopTime ?? (() => performance.eventLoopUtilization());
  }

  get waitingCount(): number {
    return this.#line.length;
  }

  /**
   * Does the work when its turn has come. The turn is over when the work is, or when it has taken
   * long.
   *
   * @param waitMs how long it may wait, where that is less than others may
   * @throws Problem `overloaded` when it has waited too long, and nothing was done
   */
  async take<Result>(
    work: () => Promise<Result>,
    byteCount: number,
    waitMs = this.#waitMsMax,
  ): Promise<Result> {
    if (this.#line.length > 0 || !this.#mayBegin(byteCount)) {
      const waiter = {
        mayBegin: () => this.#mayBegin(byteCount),
        begin: () => this.#begin(byteCount),
      };
      await this.#line.wait(waiter, Math.min(waitMs, this.#waitMsMax));
    } else {
      this.#begin(byteCount);
    }
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      this.#byteCount -= byteCount;
      this.#line.admit();
    };
    const timer = setTimeout(end, this.#turnMsMax);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      end();
    }
  }

  #mayBegin(byteCount: number): boolean {
    if (this.#hasBegun) return false;
    return this.#byteCount === 0 || this.#byteCount + byteCount <= this.#byteCountMax;
  }

  #begin(byteCount: number): void {
    this.#byteCount += byteCount;
    this.#hasBegun = true;
    this.#owesSince ??= this.#loopTime();
    const heldBackMsMax = HELD_BACK_MS_PER_MIB * (byteCount / MIB);
    setImmediate(() => this.#rest(performance.now() + heldBackMsMax));
  }

  /** @param until when the next one begins, whether the loop has rested or not */
  #rest(until: Millis): void {
    const leftMs = until - performance.now();
    const owedMs = this.#owedMs;
    if (owedMs <= 0 || leftMs <= 0) this.#owesSince = null;
    if (owedMs >= REST_MS_MIN && leftMs > 0) {
      setTimeout(() => this.#rest(until), Math.min(owedMs, leftMs));
      return;
    }
    this.#hasBegun = false;
    this.#line.admit();
  }

  get #owedMs(): Millis {
    if (this.#owesSince === null) return 0;
    const { active, idle } = this.#loopTime();
    return REST_SHARE * (active - this.#owesSince.active) - (idle - this.#owesSince.idle);
  }
}
