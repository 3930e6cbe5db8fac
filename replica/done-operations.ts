/**
 * Which clients' operations have taken effect here: for each the version that was stored of it, by
 * whichever way that came (minted, replicated, handed off, exchanged, repaired, transferred, kept
 * as a hint), and whether it lives or was covered meanwhile.
 *
 * A frontend that hears nothing asks a second coordinator. That one must not carry the write out
 * again, least of all over what somebody wrote who had seen the first version. So it looks here,
 * and asks the other owners, who look here too (see recall-coordinator.ts).
 *
 * **"Not here" is worth something only if it would be known.** What was stored before this table
 * began, or has been dropped for want of room, is not. So the table says since when it is whole,
 * and of an operation that began before that it says that it cannot tell. Then nobody mints on its
 * word: a repeat that could be a second time ends as "unknown".
 *
 * **Bounds.** A frontend gives up after TIMEOUT_MS_MAX (60 s) at most, and what it sent may be on
 * its way for a while longer: REPEAT_MS_MAX. Two generations, of OPERATIONS_COUNT_MAX each: the
 * older one is dropped when the younger is full, or REPEAT_MS_MAX old. An operation takes some 200
 * bytes, so both take 13 MB at most, and that only under load: 32,768 in the 2 seconds that a
 * request has by default are 16,000 versions a second, more than one process stores. With longer
 * timeouts and that much load the table says that it cannot tell.
 */
import { assert } from "../core/assert.ts";
import type { CausalContext, Dot } from "../core/causal-context.ts";
import type { Retry, Sibling } from "../core/entry.ts";
import type { OpId, ReplicaId } from "../core/ids.ts";
import { OPERATIONS_COUNT_MAX, REPEAT_MS_MAX } from "../core/limits.ts";
import {
  CLOCK_SKEW_MS_MAX,
  type Hlc,
  type Millis,
  millisOfHlc,
  type WallMillis,
} from "../core/time.ts";

/** How long who was told that an operation is not known may take to mint it, in ms. */
export const GRANT_MS = 1000;

export interface Done {
  readonly dot: Dot;
  readonly time: Hlc;
}

interface Known {
  /** Null while nothing was stored of it, and somebody has asked. */
  done: Done | null;
  /** Minted here, and not yet acknowledged by its quorum. */
  isOpen: boolean;
  /** Who was told last that it is not known, and when. */
  grantedTo: ReplicaId | "";
  grantedAt: Millis;
}

export class DoneOperations {
  #young = new Map<OpId, Known>();
  #old = new Map<OpId, Known>();
  #youngSince: Millis = 0;
  #oldSince: Millis = 0;
  #now: Millis = 0;

  /** The process has just begun, and may have stored what it has forgotten. */
  begin(now: Millis): void {
    this.#youngSince = now;
    this.#oldSince = now;
    this.#now = now;
  }

  /** To be called in every step, before anything else. */
  advance(now: Millis): void {
    this.#now = now;
    if (now - this.#youngSince >= REPEAT_MS_MAX) this.#rotate();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Something was stored. A version that is older than any repeat is none that matters here. */
  note({ op, dot, time }: Pick<Sibling, "op" | "dot" | "time">, wall: WallMillis): void {
    if (millisOfHlc(time) < wall - REPEAT_MS_MAX - CLOCK_SKEW_MS_MAX) return;
    const known = this.#get(op);
    if (known === undefined) this.#add(op, { dot, time });
    else known.done ??= { dot, time };
  }

  find(op: OpId): Done | null {
    return this.#get(op)?.done ?? null;
  }

  /** The dots that are known here of operations that were minted more than once. */
  dotsOf(retries: readonly Retry[]): readonly Retry[] {
    const found: Retry[] = [];
    for (const { op } of retries) {
      const done = this.find(op);
      if (done !== null) found.push({ op, dot: done.dot });
    }
    return found;
  }

  /** A version of it that was stored here waits for its quorum, or waits no more. */
  setOpen(op: OpId, isOpen: boolean): void {
    const known = this.#get(op);
    if (known !== undefined) known.isOpen = isOpen;
  }

  /**
   * Of some siblings those that a write covers and of which a second version may be about: their
   * own quorum has not acknowledged them, or a second coordinator has asked for them.
   */
  doubtfulIn(siblings: readonly Sibling[], covers: CausalContext): readonly Retry[] {
    return siblings
      .filter(({ op, dot }) => covers.covers(dot) && this.#isInDoubt(op))
      .map(({ op, dot }) => ({ op, dot }));
  }

  /**
   * Says that nothing was stored here of an operation, to whoever is about to mint it. Of several
   * who ask one is told so, and has GRANT_MS for it.
   *
   * @param begunAt when its client began it, by this replica's own time
   * @returns false when that cannot be said
   */
  grant(op: OpId, to: { readonly by: ReplicaId; readonly begunAt: Millis }): boolean {
    assert(this.find(op) === null, "nothing was stored of it");
    if (to.begunAt < this.#oldSince) return false;
    const known = this.#get(op) ?? this.#add(op, null);
    const isTaken = known.grantedTo !== "" && this.#now - known.grantedAt <= GRANT_MS;
    if (isTaken && known.grantedTo !== to.by) return false;
    known.grantedTo = to.by;
    known.grantedAt = this.#now;
    return true;
  }

  #isInDoubt(op: OpId): boolean {
    const known = this.#get(op);
    return known !== undefined && (known.isOpen || known.grantedTo !== "");
  }

  #get(op: OpId): Known | undefined {
    return this.#young.get(op) ?? this.#old.get(op);
  }

  #add(op: OpId, done: Done | null): Known {
    if (this.#young.size >= OPERATIONS_COUNT_MAX) this.#rotate();
    const known: Known = { done, isOpen: false, grantedTo: "", grantedAt: 0 };
    this.#young.set(op, known);
    return known;
  }

  #rotate(): void {
    this.#old = this.#young;
    this.#oldSince = this.#youngSince;
    this.#young = new Map();
    this.#youngSince = this.#now;
    assert(this.#oldSince <= this.#now, "a generation began before it ended");
  }
}
