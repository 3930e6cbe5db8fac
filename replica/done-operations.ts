/**
 * Which clients' operations have taken effect here: for each the version that was stored of it, by
 * whichever way that came (minted, replicated, handed off, exchanged, repaired, transferred, kept
 * as a hint), and whether it lives or was covered meanwhile.
 *
 * A frontend that hears nothing asks a second coordinator. That one must not carry the write out
 * again, least of all over a write of somebody who had seen the first version. So it looks here,
 * and asks the other owners, who look here too (see recall-coordinator.ts).
 *
 * **"Not here" is worth something only if it would be known.** What was stored before this table
 * began, or was dropped for want of room, is not known. So the table says since when it is whole,
 * and of an operation that began earlier it says that it cannot tell. Then nobody mints on its
 * word: a repeat that could be a second minting ends as "unknown".
 *
 * **Nor of a key whose versions are known by hearsay.** A context names versions by their dots, and
 * whoever missed one of those learns nothing of its operation from what covers it, be that an entry
 * that came, or a client's write that had seen more. (The same goes for what a write without a
 * context covers because others hold it; see src/node/serving/blind-write.ts.) Of operations of
 * that key that began before then, the table cannot tell either. Otherwise one that is done would
 * be minted beside, or over, its successor.
 *
 * **Bounds.** A frontend gives up after TIMEOUT_MS_MAX (60 s) at most, and what it sent may be on
 * its way for a while longer: REPEAT_MS_MAX. Two generations, of OPERATIONS_COUNT_MAX each: the
 * older one is dropped when the younger is full, or REPEAT_MS_MAX old. An operation takes some 100
 * bytes, so both take 7 MB at most, and that only under load: 32,768 in the 2 seconds that a
 * request has by default are 16,000 versions a second, more than one process stores. With longer
 * timeouts and that much load the table says that it cannot tell.
 */
import { assert } from "../core/assert.ts";
import type { CausalContext, Dot } from "../core/causal-context.ts";
import { type Entry, type Retry, type Sibling, UNKNOWN_OP } from "../core/entry.ts";
import type { OpId, ReplicaId } from "../core/ids.ts";
import { OPERATIONS_COUNT_MAX, REPEAT_MS_MAX } from "../core/limits.ts";
import { majority } from "../core/quorum-options.ts";
import type { StoreKey } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import {
  CLOCK_SKEW_MS_MAX,
  type Hlc,
  type Millis,
  millisOfHlc,
  type WallMillis,
} from "../core/time.ts";
import { namesUnseen } from "./beside.ts";
import { NO_ROW, OperationTable } from "./operation-table.ts";

/** How long a coordinator that was told "not known" may take to mint the operation, in ms. */
export const GRANT_MS = 1000;

export interface Done {
  readonly dot: Dot;
  readonly time: Hlc;
}

/** The replica that was told last that nothing is known of an operation, and when. */
interface Grant {
  readonly by: ReplicaId;
  readonly at: Millis;
  /** A version of the operation came since, and nothing that was here could have seen another. */
  isBorneOut: boolean;
}

/** What was learnt from one moment on, until there was too much of it or it was too long ago. */
class Generation {
  since: Millis = 0;
  /** What was stored; flagged while it is minted here and its quorum has not acknowledged it. */
  readonly stored = new OperationTable();
  readonly grants = new Map<OpId, Grant>();
  /** By key, when versions of it were covered here that were never held here. */
  readonly heard = new Map<StoreKey, Millis>();

  get size(): number {
    return this.stored.size + this.grants.size + this.heard.size;
  }

  find(op: OpId): Done | null {
    const row = this.stored.rowOf(op);
    return row === NO_ROW ? null : { dot: this.stored.dotAt(row), time: this.stored.timeAt(row) };
  }

  /** @returns false when nothing was stored of it */
  setOpen(op: OpId, isOpen: boolean): boolean {
    const row = this.stored.rowOf(op);
    if (row !== NO_ROW) this.stored.setFlag(row, isOpen);
    return row !== NO_ROW;
  }

  isInDoubt(op: OpId): boolean {
    const row = this.stored.rowOf(op);
    return (row !== NO_ROW && this.stored.isFlagged(row)) || this.isGranted(op);
  }

  /** A new text is hashed for each `Map` that it is looked up in, and mostly this one is empty. */
  isGranted(op: OpId): boolean {
    return this.grants.size > 0 && this.grants.has(op);
  }

  clear(since: Millis): void {
    this.since = since;
    this.stored.clear();
    this.grants.clear();
    this.heard.clear();
  }
}

const isPastRepeats = (time: Hlc, wall: WallMillis): boolean =>
  millisOfHlc(time) < wall - REPEAT_MS_MAX - CLOCK_SKEW_MS_MAX;

export class DoneOperations {
  #young = new Generation();
  #old = new Generation();
  #now: Millis = 0;

  /** The process has just begun, and may have stored what it has forgotten. */
  begin(now: Millis): void {
    this.#young.since = now;
    this.#old.since = now;
    this.#now = now;
  }

  /** To be called in every step, before anything else. */
  advance(now: Millis): void {
    this.#now = now;
    if (now - this.#young.since >= REPEAT_MS_MAX) this.#rotate();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Something was stored. A version that is older than any repeat does not matter here. */
  note({ op, dot, time }: Pick<Sibling, "op" | "dot" | "time">, wall: WallMillis): void {
    if (op === UNKNOWN_OP || isPastRepeats(time, wall)) return;
    if (this.#isKnown(op)) return;
    this.#makeRoom();
    this.#young.stored.add(op, dot, time);
  }

  find(op: OpId): Done | null {
    return this.#young.find(op) ?? this.#old.find(op);
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

  /**
   * An entry is about to be joined into one of a key's places, which held `before`; `held` is what
   * all of the places hold. Whatever in the entry covers other versions came with its siblings, if
   * it has any: where these are all older than any repeat, so is what they cover.
   */
  follow(
    key: StoreKey,
    of: {
      readonly before: Entry;
      readonly incoming: Entry;
      readonly joined: Entry;
      held(): Entry;
    },
    wall: WallMillis,
  ): void {
    const { context } = of.incoming;
    const siblings = of.incoming.siblings.filter(({ op }) => op !== UNKNOWN_OP);
    if (!namesUnseen(of.before.context, siblings, of.joined.context)) return;
    if (siblings.length > 0 && siblings.every(({ time }) => isPastRepeats(time, wall))) return;
    const held = of.held().context;
    if (namesUnseen(held, siblings, held.join(context))) this.hear(key);
  }

  /** A write is stored that was minted here; its client may have seen what never came here. */
  followMint(
    key: StoreKey,
    of: { readonly before: Entry; readonly sibling: Sibling; readonly entry: Entry },
  ): void {
    if (namesUnseen(of.before.context, [of.sibling], of.entry.context)) this.hear(key);
  }

  /** From now on versions of the key are covered of which only the dots are known. */
  hear(key: StoreKey): void {
    if (!this.#young.heard.has(key)) this.#makeRoom();
    this.#young.heard.set(key, this.#now);
  }

  /** Whether versions of the key are known by hearsay that came after this time. */
  isHearsay(key: StoreKey, begunAt: Millis): boolean {
    const heardAt = this.#young.heard.get(key) ?? this.#old.heard.get(key);
    return heardAt !== undefined && heardAt >= begunAt;
  }

  /** A version of it that was stored here waits for its quorum, or waits no more. */
  setOpen(op: OpId, isOpen: boolean): void {
    if (!this.#young.setOpen(op, isOpen)) this.#old.setOpen(op, isOpen);
  }

  /**
   * Its quorum has acknowledged it. It stays in doubt where a hint was needed for that: before a
   * repeat, a majority of the owners is asked, and none of them has the hint.
   */
  acknowledged(op: OpId, { primaries, fallbacks, n }: Tally): void {
    this.setOpen(op, fallbacks > 0 && primaries < majority(n));
  }

  /**
   * Those of some siblings that a write covers and that may have a second version: their own quorum
   * has not acknowledged them, or a second coordinator has asked for them.
   */
  doubtfulIn(siblings: readonly Sibling[], covers: CausalContext): readonly Sibling[] {
    return siblings.filter(({ op, dot }) => covers.covers(dot) && this.#isInDoubt(op));
  }

  /**
   * Tells a coordinator that is about to mint an operation that nothing of it was stored here. Of
   * several that ask, one is told so, and has GRANT_MS for it.
   *
   * @param begunAt when its client began it, by this replica's own time
   * @returns false when that cannot be said
   */
  grant(op: OpId, to: { readonly by: ReplicaId; readonly begunAt: Millis }): boolean {
    assert(this.find(op) === null, "nothing was stored of it");
    if (!this.remembers(to.begunAt)) return false;
    const given = this.#grantOf(op);
    const isTaken = given !== undefined && this.#now - given.at <= GRANT_MS;
    if (isTaken && given.by !== to.by) return false;
    if (!this.#young.grants.has(op)) this.#makeRoom();
    this.#young.grants.set(op, { by: to.by, at: this.#now, isBorneOut: false });
    return true;
  }

  /**
   * An entry is about to come. Whether it brings a second version of a write, and what is held of
   * the key may have seen the first. It has not where this replica has said that nothing of the
   * write was stored here, and has covered nothing by hearsay since. Once that is so, it is so
   * whenever the version comes again.
   */
  mayHaveSeen(key: StoreKey, { retries, siblings }: Entry): boolean {
    if (retries.length === 0) return false;
    const isSecond = ({ op }: Sibling): boolean => retries.some((retry) => retry.op === op);
    return siblings.some((one) => isSecond(one) && !this.#bearsOut(one.op, key));
  }

  #bearsOut(op: OpId, key: StoreKey): boolean {
    const given = this.#grantOf(op);
    if (given === undefined) return false;
    given.isBorneOut ||= !this.isHearsay(key, given.at);
    return given.isBorneOut;
  }

  /** To whom it was last said of an operation, however long ago, that nothing was stored of it. */
  grantedTo(op: OpId): ReplicaId | null {
    return this.#grantOf(op)?.by ?? null;
  }

  #grantOf(op: OpId): Grant | undefined {
    return this.#young.grants.get(op) ?? this.#old.grants.get(op);
  }

  /** Whether nothing has been forgotten of operations that began at this time, or later. */
  remembers(begunAt: Millis): boolean {
    return begunAt >= this.#old.since;
  }

  #isKnown(op: OpId): boolean {
    return this.#young.stored.rowOf(op) !== NO_ROW || this.#old.stored.rowOf(op) !== NO_ROW;
  }

  #isInDoubt(op: OpId): boolean {
    return this.#young.isInDoubt(op) || this.#old.isInDoubt(op);
  }

  #makeRoom(): void {
    if (this.#young.size >= OPERATIONS_COUNT_MAX) this.#rotate();
  }

  #rotate(): void {
    [this.#old, this.#young] = [this.#young, this.#old];
    this.#young.clear(this.#now);
    assert(this.#old.since <= this.#now, "a generation began before it ended");
  }
}
