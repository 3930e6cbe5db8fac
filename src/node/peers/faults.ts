/**
 * Faults on demand, for tests and drills: a replica that is told to be down, silent, slow or lossy
 * behaves so towards everybody who asks it, its own frontend included. On Workers this is the only
 * way to see a replica fail, because nobody can kill a Durable Object by hand.
 *
 * Off unless the deployment turns it on, and every fault ends by itself: a drill that is forgotten
 * must not become an outage. A fault is kept with the replica, so that an object which sleeps or a
 * process which restarts goes on where it was.
 */
import { assert } from "../../../core/assert.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { Fault } from "../../../core/fault.ts";
import { fault as faultCodec } from "../../../core/message-values.ts";
import type { Prng } from "../../../core/prng.ts";
import type { Store } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";

/** What becomes of one request: served (later), refused at once, or never heard of. */
export type Fate =
  | { readonly kind: "serve"; readonly delayMs: number }
  | { readonly kind: "refuse" }
  | { readonly kind: "drop" };

const FAULT = "fault";
const PER_MILLE = 1000;
const serve: Fate = { kind: "serve", delayMs: 0 };

export class Faults {
  readonly #prng: Prng;
  readonly #store: Store;
  #fault: Fault | null = null;

  constructor(prng: Prng, store: Store) {
    this.#prng = prng;
    this.#store = store;
    const kept = store.readMeta(FAULT);
    if (kept !== undefined) this.#fault = faultCodec.decode(decode(kept));
  }

  /** The fault in force; null: none. */
  current(now: WallMillis): Fault | null {
    if (this.#fault !== null && this.#fault.until <= now) this.#fault = null;
    return this.#fault;
  }

  set(fault: Fault | null): void {
    this.#fault = fault;
    if (this.#store.health() !== "writable") return;
    this.#store.writeMeta(FAULT, encode(faultCodec.encode(fault)));
  }

  /** A replica that is away does nothing by itself either. */
  isAway(now: WallMillis): boolean {
    const kind = this.current(now)?.kind;
    return kind === "down" || kind === "silent";
  }

  fateOfRequest(now: WallMillis): Fate {
    const fault = this.current(now);
    switch (fault?.kind) {
      case undefined:
        return serve;
      case "down":
        return { kind: "refuse" };
      case "silent":
        return { kind: "drop" };
      case "slow":
        return { kind: "serve", delayMs: fault.delayMs };
      case "lossy":
        return this.#strikes(fault) ? { kind: "drop" } : serve;
    }
  }

  /** Whether a reply is lost: a lossy replica loses the same share of replies as of requests. */
  losesReply(now: WallMillis): boolean {
    const fault = this.current(now);
    return fault?.kind === "lossy" && this.#strikes(fault);
  }

  #strikes({ sharePerMille }: Fault): boolean {
    assert(sharePerMille >= 0 && sharePerMille <= PER_MILLE, "a share is within the whole");
    return this.#prng.chance(sharePerMille, PER_MILLE);
  }
}
