/**
 * Writes without a context whose coordinator has asked whether anybody still waits for them: it
 * told the frontend `overdue`, with a context of what the write is to cover. Only a frontend that
 * has not answered its client asks again. So whatever that context names was written by nobody who
 * knew of an answer, however far clocks are apart.
 */
import type { OpId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";
import type { BlindWrite } from "./blind-write.ts";

interface Asked {
  /** The write as it is held here; null when nothing was minted yet. */
  readonly blind: BlindWrite | null;
  readonly until: Millis;
  readonly isStrict: boolean;
}

export class OverdueWrites {
  readonly #asked = new Map<OpId, Asked>();

  /** @param until the time from which nobody waits for the write any more */
  ask(op: OpId, asked: Asked, now: Millis): void {
    for (const [other, { until }] of this.#asked) if (until <= now) this.#asked.delete(other);
    this.#asked.set(op, asked);
  }

  /** Whether this replica, and no other, is going to mint a strict write when that is confirmed. */
  isStrictAsked(op: OpId, now: Millis): boolean {
    const asked = this.#asked.get(op);
    return asked?.isStrict === true && asked.until > now;
  }

  /** Somebody still waits: returns, once, what was asked about; undefined when nothing was. */
  confirmed(op: OpId): Pick<Asked, "blind"> | undefined {
    const asked = this.#asked.get(op);
    this.#asked.delete(op);
    return asked;
  }
}
