/**
 * A replica that was away for longer than a tombstone's grace period, because it was down, frozen
 * or asleep, holds values whose deletes it has not heard of. Nothing of that can come back for
 * good, since no tombstone is collected before this replica has it too; but until it has compared
 * itself with its peers it is no source: it answers reads with "I don't know", so that the others
 * answer them (Cassandra's operators are told to rebuild such a node by hand).
 *
 * The silence ends after one attempt with every peer. Who cannot be reached is not waited for: the
 * only replica that is left serves what it has.
 *
 * Only for hosts whose node is awake all the time. A Durable Object that slept was reachable.
 */
import { assert } from "../../core/assert.ts";
import { CodecError, decode, encode } from "../../core/codec.ts";
import type { Store } from "../../core/store.ts";
import type { Millis } from "../../core/time.ts";
import type { Exchanges } from "./exchanges.ts";

const ALIVE = "alive";
/** The last sign of life is written down this often at most: it costs a sync of the log. */
const NOTE_MS_MIN = 1000;
const NOTE_MS_MAX = 60_000;
/** Until an attempt is repeated in which an exchange with a peer was already under way. */
const AGAIN_MS = 200;

export class Absence {
  readonly #store: Store;
  readonly #exchanges: Exchanges;
  readonly #graceMs: number;
  #aliveAt: Millis;
  #isBehind = false;
  #attemptAt: Millis = Infinity;

  constructor(store: Store, exchanges: Exchanges, graceMs: number) {
    assert(graceMs > 0, "a grace period is a time");
    this.#store = store;
    this.#exchanges = exchanges;
    this.#graceMs = graceMs;
    this.#aliveAt = storedAlive(store);
  }

  /** Whether what is held here may have been deleted long ago. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** How often `note` is to be called, in ms. */
  get noteMs(): number {
    return Math.min(NOTE_MS_MAX, Math.max(NOTE_MS_MIN, this.#graceMs / 4));
  }

  /** To be called before anything is done in a step. */
  notice(now: Millis): void {
    const wasAway = this.#aliveAt !== 0 && now - this.#aliveAt > this.#graceMs;
    this.#aliveAt = now;
    if (wasAway) {
      this.#isBehind = true;
      this.#attemptAt = now;
    }
    if (now >= this.#attemptAt) this.#catchUp(now);
  }

  /** Writes down that the replica is alive; true when there is something to flush. */
  note(now: Millis): boolean {
    // While it is behind, the old note stays: a crash now must not make it forget.
    if (this.#isBehind || this.#store.health() !== "writable") return false;
    this.#store.writeMeta(ALIVE, encode(now));
    return true;
  }

  #catchUp(now: Millis): void {
    this.#attemptAt = Infinity;
    const expected = this.#exchanges.peerCount;
    this.#exchanges.withAll(now, ([count = 0], at) => {
      if (count < expected) this.#attemptAt = at + AGAIN_MS;
      else this.#isBehind = false;
    });
  }
}

function storedAlive(store: Store): Millis {
  const bytes = store.readMeta(ALIVE);
  if (bytes === undefined) return 0;
  const at = decode(bytes);
  if (typeof at !== "number") throw new CodecError("the note of the last sign of life is a time");
  return at;
}
