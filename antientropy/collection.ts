/**
 * Collection: tombstones and expired values go, once nothing that they cover can come back.
 *
 * Time alone decides nothing (a replica may have been away for longer than any grace period). A
 * round asks **every** member: each must hold either exactly the same knowledge of the key or none
 * at all, and no hint of it. Then no disk has anything that the tombstone still has to cover.
 *
 * But a read in progress may: it found the old value before its replica learnt better, and repairs
 * others with it. So all are asked a second time, and only members that agree again are told to
 * drop it. Nobody sends on what it has read longer ago than `SPREAD_MS_MAX`. So after `SETTLE_MS`
 * what was sent has arrived: where the tombstone is, it is covered; elsewhere it is an objection.
 *
 * Each drops the key only if it has learnt nothing new meanwhile. A member that cannot be reached
 * stops this, not service: it may hold what was covered. (What covers nothing goes all the same,
 * see core/expiry.ts.) A member that missed the last message collects by itself later, or gets the
 * key back by an exchange and all begin again: dropping is safe, not final.
 *
 * The grace period only keeps young tombstones from being asked about again and again. A question
 * is about many keys, and many are asked at a time; the answer names only those that are objected
 * to, of which there are few.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { SPREAD_MS_MAX } from "../core/limits.ts";
import type { Reply, Request } from "../core/messages.ts";
import type { Digest, StoreKey } from "../core/store.ts";
import type { Millis } from "../core/time.ts";

/** Keys asked about in one round. */
export const COLLECTION_COUNT_MAX = 1024;
const STEP_MS_MAX = 2000;
/** Between the two times that all are asked: what was sent before has arrived meanwhile, in ms. */
export const SETTLE_MS = SPREAD_MS_MAX + 2000;

export interface CollectionPlan {
  /** All members but this replica. */
  readonly others: readonly ReplicaId[];
  readonly keys: readonly (readonly [StoreKey, Digest])[];
  /** All have agreed before: those who agree again are to drop them. */
  readonly isSecond: boolean;
}

export interface CollectionOutbox {
  ask(to: ReplicaId, body: Request): void;
  /** The keys on which all agree; after a second round this replica is to drop them too. */
  finish(agreed: readonly (readonly [StoreKey, Digest])[]): void;
}

export class CollectionRound {
  readonly #plan: CollectionPlan;
  readonly #out: CollectionOutbox;
  readonly #waiting: Set<ReplicaId>;
  /** The places of the keys that somebody does not agree on. */
  readonly #objections = new Set<number>();
  #deadline: Millis = Infinity;
  isOver = false;

  constructor(plan: CollectionPlan, out: CollectionOutbox) {
    assert(plan.keys.length > 0, "a round has keys to collect");
    this.#plan = plan;
    this.#out = out;
    this.#waiting = new Set(plan.others);
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#deadline;
  }

  start(now: Millis): void {
    this.#deadline = now + STEP_MS_MAX;
    const { keys } = this.#plan;
    for (const id of this.#plan.others) this.#out.ask(id, { kind: "confirm", keys });
    this.#finishWhenAllAgree();
  }

  reply(from: ReplicaId, body: Reply): void {
    if (this.isOver || !this.#waiting.has(from)) return;
    if (body.kind !== "confirmed") return this.failed();
    for (const place of body.objections) this.#objections.add(place);
    this.#waiting.delete(from);
    this.#finishWhenAllAgree();
  }

  /** Somebody cannot be asked: nothing is collected this time. */
  failed(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#out.finish([]);
  }

  wake(now: Millis): void {
    if (now >= this.#deadline) this.failed();
  }

  #finishWhenAllAgree(): void {
    if (this.#waiting.size > 0) return;
    this.isOver = true;
    const agreed = this.#plan.keys.filter((_, place) => !this.#objections.has(place));
    if (agreed.length > 0 && this.#plan.isSecond) {
      for (const id of this.#plan.others) this.#out.ask(id, { kind: "collect", keys: agreed });
    }
    this.#out.finish(agreed);
  }
}
