/**
 * Hinted handoff: copies that were kept for a replica go home (DeCandia et al., "Dynamo", 2007,
 * 4.6).
 *
 * One round serves one target: batch after batch, the next only when the target has the last one on
 * stable storage. A hint is dropped only then, and only if it is still the one that was sent: a
 * write may have joined it meanwhile. A target that fails ends the round; its hints stay for the
 * next. Everything may be repeated: delivering is a merge.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, RequestOf } from "../core/messages.ts";
import { hintIfReadable, type Store, type StoreKey } from "../core/store.ts";
import type { Millis } from "../core/time.ts";

export interface HandoffLimits {
  /** Hints in one batch. */
  readonly batchCountMax: number;
  /** Bytes of entries in one batch; a single larger hint goes alone. */
  readonly batchBytesMax: number;
  /** How long one batch may take, in ms. */
  readonly batchTimeoutMs: number;
  /** To one target, so that what clients wait for goes first. */
  readonly bytesPerSecondMax: number;
}

/** 256 KiB in flight a target: small beside a second's traffic, large beside a round trip. */
export const handoffLimits: HandoffLimits = {
  batchCountMax: 256,
  batchBytesMax: 262_144,
  batchTimeoutMs: 5000,
  bytesPerSecondMax: 16_777_216,
};

export interface HandoffResult {
  readonly target: ReplicaId;
  readonly deliveredCount: number;
}

/**
 * Told before hints for a target are dropped, with the replicas that have them all on stable
 * storage instead.
 */
export type HintsMoving = (
  target: ReplicaId,
  keys: readonly StoreKey[],
  to: readonly ReplicaId[],
) => void;

export interface HandoffPlan {
  readonly target: ReplicaId;
  readonly store: Store;
  readonly limits: HandoffLimits;
  readonly moving: HintsMoving;
}

export interface HandoffOutbox {
  ask(to: ReplicaId, body: RequestOf<"deliver">): void;
  finish(result: HandoffResult): void;
}

interface Sent {
  readonly key: StoreKey;
  readonly bytes: Uint8Array;
  /** Where it stood in the order of the store's writes; null where that has none. */
  readonly position: number | null;
}

export class HandoffRound {
  readonly #target: ReplicaId;
  readonly #store: Store;
  readonly #limits: HandoffLimits;
  readonly #out: HandoffOutbox;
  readonly #moving: HintsMoving;
  #sent: readonly Sent[] = [];
  #deliveredCount = 0;
  #deadline: Millis = Infinity;
  /** When the rate allows the next batch. */
  #nextAt: Millis = 0;
  #isPausing = false;
  isOver = false;

  constructor(plan: HandoffPlan, out: HandoffOutbox) {
    assert(plan.limits.batchCountMax > 0, "a batch has room");
    this.#target = plan.target;
    this.#store = plan.store;
    this.#limits = plan.limits;
    this.#out = out;
    this.#moving = plan.moving;
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    return this.#isPausing ? this.#nextAt : this.#deadline;
  }

  start(now: Millis): void {
    this.#sendBatch(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    assert(from === this.#target, "only the target was asked");
    if (this.isOver) return;
    if (body.kind !== "stored" || !body.durable) return this.#finish();
    // A disk that failed drops nothing: the same batch would go out for ever.
    if (this.#store.health() === "failed") return this.#finish();
    const keys = this.#sent.map(({ key }) => key);
    this.#moving(this.#target, keys, [this.#target]);
    for (const hint of this.#sent) this.#dropIfSame(hint);
    this.#sendBatch(now);
  }

  failed(): void {
    if (!this.isOver) this.#finish();
  }

  wake(now: Millis): void {
    if (this.isOver) return;
    if (this.#isPausing) this.#sendBatch(now);
    else if (now >= this.#deadline) this.#finish();
  }

  #sendBatch(now: Millis): void {
    this.#isPausing = now < this.#nextAt;
    if (this.#isPausing) return;
    this.#sent = this.#takeBatch();
    if (this.#sent.length === 0) return this.#finish();
    this.#deadline = now + this.#limits.batchTimeoutMs;
    const byteCount = this.#sent.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#nextAt = now + (byteCount * 1000) / this.#limits.bytesPerSecondMax;
    const items = this.#sent.map(({ key, bytes }) => [key, bytes] as const);
    this.#out.ask(this.#target, { kind: "deliver", items });
  }

  #takeBatch(): readonly Sent[] {
    const batch: Sent[] = [];
    let byteCount = 0;
    for (const key of this.#store.hintedKeys(this.#target, this.#limits.batchCountMax)) {
      const bytes = hintIfReadable(this.#store, this.#target, key);
      if (bytes === undefined) continue;
      byteCount += bytes.length;
      if (batch.length > 0 && byteCount > this.#limits.batchBytesMax) break;
      batch.push({ key, bytes, position: this.#positionOf(key) });
    }
    return batch;
  }

  #positionOf(key: StoreKey): number | null {
    return this.#store.hintOrder?.positionOf(this.#target, key) ?? null;
  }

  #dropIfSame(sent: Sent): void {
    if (!this.#isSame(sent)) return;
    this.#store.dropHint(this.#target, sent.key);
    this.#deliveredCount++;
  }

  /** By its position where there is one: a long hint is not read once more to be let go. */
  #isSame({ key, bytes, position }: Sent): boolean {
    if (position !== null) return this.#positionOf(key) === position;
    const now = hintIfReadable(this.#store, this.#target, key);
    return now !== undefined && sameBytes(now, bytes);
  }

  #finish(): void {
    this.isOver = true;
    this.#out.finish({ target: this.#target, deliveredCount: this.#deliveredCount });
  }
}

/**
 * A loop: a function that is called for each byte takes ten times as long, and there may be many.
 */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
