/**
 * One step of following a peer: a page of what arrived there after a position is asked for, and
 * what is lacked of it is fetched and joined. When all of that is on stable storage here, the mark
 * may rise to the end of the page (see marks.ts).
 *
 * Where all is here already, which is the rule, that is one message with some bytes a key and no
 * value. What the peer calls gone when it is asked for was forgotten because its time was over, or
 * because all agreed on it: there is nothing to hold then. An entry that the peer neither sends nor
 * calls gone cannot be read there: then the mark stays where it was, and the page is asked for
 * again later.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Reply, ReplyOf, Request } from "../core/messages.ts";
import type { Digest, StoreKey } from "../core/store.ts";
import type { Millis } from "../core/time.ts";

export interface TailLimits {
  /** Keys whose entries are fetched in one message. */
  readonly batchCountMax: number;
  /** How long one message may take to be answered, in ms. */
  readonly stepTimeoutMs: number;
}

export const tailLimits: TailLimits = { batchCountMax: 128, stepTimeoutMs: 5000 };

/** What it asks of the replica that follows. */
export interface TailSide {
  /** Of its own record: a hint for another is no copy. null: it cannot be read. */
  digest(key: StoreKey): Digest | null;
  /** False when the replica takes nothing in: its disk is full or failed. */
  absorb(key: StoreKey, entry: Uint8Array): boolean;
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean) => void): void;
}

export interface TailPlan {
  readonly self: ReplicaId;
  readonly peer: ReplicaId;
  readonly run: number;
  readonly after: number;
  /** Only what an exchange does not bring. */
  readonly isAnchor: boolean;
  readonly side: TailSide;
  readonly limits: TailLimits;
}

export interface TailResult {
  /** All that arrived up to here is held, durably; null when that cannot be said. */
  readonly through: number | null;
  /** There was no more when the peer answered. */
  readonly isAtEnd: boolean;
  /** The members that were given hints which stood there after the position, and no longer do. */
  readonly moved: readonly ReplicaId[];
  readonly keysReceived: number;
  readonly byteCount: number;
}

export interface TailOutbox {
  ask(to: ReplicaId, body: Request): void;
  finish(result: TailResult): void;
}

export class Tail {
  readonly #plan: TailPlan;
  readonly #out: TailOutbox;
  /** Keys to fetch, and those that were asked for in the last message. */
  #lacking: StoreKey[] = [];
  #asked = new Set<StoreKey>();
  #through = 0;
  #isAtEnd = false;
  readonly #moved = new Set<ReplicaId>();
  #isWhole = true;
  #keysReceived = 0;
  #byteCount = 0;
  #deadline: Millis = Infinity;
  isOver = false;

  constructor(plan: TailPlan, out: TailOutbox) {
    assert(plan.peer !== plan.self, "a replica follows others");
    this.#plan = plan;
    this.#out = out;
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#deadline;
  }

  start(now: Millis): void {
    const { self, run, after, isAnchor } = this.#plan;
    this.#ask({ kind: "arrivals", from: self, run, after, isAnchor }, now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    assert(from === this.#plan.peer, "only the peer was asked");
    if (this.isOver) return;
    if (body.kind === "fetched") return this.#takeFetched(body, now);
    if (body.kind !== "arrived" || body.run !== this.#plan.run) return this.#finish(false);
    this.#through = body.through;
    this.#isAtEnd = body.isAtEnd;
    this.#noteMoved(body.moved);
    for (const [key, digest] of body.keys) {
      if (this.#plan.side.digest(key) !== digest) this.#lacking.push(key);
    }
    this.#goOn(now);
  }

  failed(): void {
    this.#finish(false);
  }

  wake(now: Millis): void {
    if (now >= this.#deadline) this.#finish(false);
  }

  #ask(body: Request, now: Millis): void {
    this.#deadline = now + this.#plan.limits.stepTimeoutMs;
    this.#out.ask(this.#plan.peer, body);
  }

  #goOn(now: Millis): void {
    const batch = this.#lacking.splice(0, this.#plan.limits.batchCountMax);
    if (batch.length === 0) return this.#settle(now);
    this.#asked = new Set(batch);
    const { after } = this.#plan;
    this.#ask({ kind: "fetch", keys: batch, isJoined: true, after }, now);
  }

  /** The peer may send fewer than were asked for; the rest is asked for again. */
  #takeFetched({ items, moved = [], gone = [], run }: ReplyOf<"fetched">, now: Millis): void {
    this.#noteMoved(moved);
    const askedCount = this.#asked.size;
    // Under another name of the peer's order it may be gone because it was lost.
    if (run === this.#plan.run) for (const key of gone) this.#asked.delete(key);
    for (const [key, bytes] of items) {
      if (!this.#asked.delete(key)) continue;
      if (!this.#plan.side.absorb(key, bytes)) return this.#finish(false);
      this.#keysReceived++;
      this.#byteCount += bytes.length;
    }
    if (this.#asked.size < askedCount) this.#lacking.unshift(...this.#asked);
    else this.#isWhole = false;
    this.#asked.clear();
    this.#goOn(now);
  }

  /** A hint may have gone while its key was on the way to being asked for. */
  #noteMoved(moved: readonly ReplicaId[]): void {
    for (const id of moved) this.#moved.add(id);
  }

  /** What is here may be in memory alone, whoever brought it. */
  #settle(now: Millis): void {
    this.#deadline = now + this.#plan.limits.stepTimeoutMs;
    this.#plan.side.whenDurable((ok) => this.#finish(ok && this.#isWhole));
  }

  #finish(isDone: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#out.finish({
      through: isDone ? this.#through : null,
      isAtEnd: this.#isAtEnd,
      moved: [...this.#moved],
      keysReceived: this.#keysReceived,
      byteCount: this.#byteCount,
    });
  }
}
