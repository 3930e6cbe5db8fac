/**
 * The end of hints whose owner does not come back. After a window (Cassandra's
 * `max_hint_window`), or when the owner is no member any more, a hint is no longer kept for it:
 * anti-entropy will bring it up to date from the other primaries instead.
 *
 * But the hint may be one of the copies that an acknowledgement was given for. So it is given to
 * every other primary of its key first, and dropped when all of them have it on stable storage, if
 * it is still the one that was sent. Where one of them fails, all stays as it was.
 */
import { assert } from "../core/assert.ts";
import type { Entry } from "../core/entry.ts";
import { decodeEntry } from "../core/entry-codec.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply } from "../core/messages.ts";
import { hintIfReadable, type StoreKey } from "../core/store.ts";
import { type Millis, millisOfHlc, type WallMillis } from "../core/time.ts";
import { type HandoffOutbox, type HandoffPlan, sameBytes } from "./handoff.ts";

export interface RetirementPlan extends HandoffPlan {
  /** Hints whose newest version is older than this instant have outlived the window. */
  readonly olderThan: WallMillis;
  /**
   * The replicas that must have a hint before it is dropped: the key's other primaries. Empty (N is
   * 1): the hint may be the only copy, and stays. This replica may be a primary itself by now,
   * without the hint in its own record. null: not now, because one of them cannot be reached, or
   * they are too few.
   */
  keepersOf(key: StoreKey): readonly ReplicaId[] | null;
}

interface Retiring {
  readonly key: StoreKey;
  readonly bytes: Uint8Array;
  readonly keepers: readonly ReplicaId[];
  readonly missing: Set<ReplicaId>;
}

export class HintRetirement {
  readonly #plan: RetirementPlan;
  readonly #out: HandoffOutbox;
  readonly #retiring: Retiring[] = [];
  readonly #asked = new Set<ReplicaId>();
  #deadline: Millis = Infinity;
  isOver = false;

  constructor(plan: RetirementPlan, out: HandoffOutbox) {
    this.#plan = plan;
    this.#out = out;
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#deadline;
  }

  /** One batch and no more: what is left waits for the next round. */
  start(now: Millis): void {
    this.#deadline = now + this.#plan.limits.batchTimeoutMs;
    this.#take();
    const items = new Map<ReplicaId, (readonly [StoreKey, Uint8Array])[]>();
    for (const { key, bytes, missing } of this.#retiring) {
      for (const id of missing) items.set(id, [...(items.get(id) ?? []), [key, bytes]]);
    }
    for (const [id, list] of items) {
      this.#asked.add(id);
      this.#out.ask(id, { kind: "deliver", items: list });
    }
    this.#finishWhenComplete();
  }

  reply(from: ReplicaId, body: Reply): void {
    if (!this.#asked.delete(from)) return;
    if (body.kind === "stored" && body.durable) {
      for (const { missing } of this.#retiring) missing.delete(from);
    }
    this.#finishWhenComplete();
  }

  failed(from: ReplicaId): void {
    this.#asked.delete(from);
    this.#finishWhenComplete();
  }

  wake(now: Millis): void {
    if (now < this.#deadline) return;
    this.#asked.clear();
    this.#finishWhenComplete();
  }

  #take(): void {
    const { store, target, limits, olderThan, keepersOf } = this.#plan;
    let byteCount = 0;
    for (const key of store.hintedKeys(target, limits.batchCountMax)) {
      const bytes = hintIfReadable(store, target, key);
      if (bytes === undefined || newestAt(decodeEntry(bytes).entry) >= olderThan) continue;
      const keepers = keepersOf(key);
      if (keepers === null || keepers.length === 0) continue;
      byteCount += bytes.length;
      if (this.#retiring.length > 0 && byteCount > limits.batchBytesMax) return;
      assert(!keepers.includes(target), "the owner is who is away");
      this.#retiring.push({ key, bytes, keepers, missing: new Set(keepers) });
    }
  }

  #finishWhenComplete(): void {
    if (this.isOver || this.#asked.size > 0) return;
    this.isOver = true;
    const { store, target, moving } = this.#plan;
    let count = 0;
    for (const { key, bytes, keepers, missing } of this.#retiring) {
      const held = hintIfReadable(store, target, key);
      if (missing.size > 0 || held === undefined || !sameBytes(held, bytes)) continue;
      moving(target, [key], keepers);
      store.dropHint(target, key);
      count++;
    }
    this.#out.finish({ target, deliveredCount: count });
  }
}

/** When the newest version was written; 0 for an entry of which only the context is left. */
const newestAt = ({ siblings }: Entry): WallMillis =>
  siblings.reduce((newest, { time }) => Math.max(newest, millisOfHlc(time)), 0);
