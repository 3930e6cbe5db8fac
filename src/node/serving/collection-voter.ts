/**
 * A replica's side of a collection round: what it agrees on, and what it is told to drop.
 *
 * An agreement is a promise that outlives a crash: the others drop their tombstones for it. What is
 * in memory alone, because its disk is slow or has failed, promises nothing; an older record, or a
 * hint, would be there again after a crash, and nobody would have a tombstone for it any more.
 *
 * A key is not agreed on while this replica, by its own clock, still has a value of it to serve: a
 * clock that is ahead ends nothing but what is its own. Nor is it while a write of it is
 * coordinated here: as long as a replica has not answered, the write may still become a hint, of
 * something that the tombstone covers.
 */
import type { Digest, StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { Respond } from "../peers/replies.ts";

type Digests = readonly (readonly [StoreKey, Digest])[];

interface Replica {
  readonly keeper: Keeper;
  readonly keysOnTheirWay: ReadonlySet<StoreKey>;
}

interface Host {
  wall(): WallMillis;
  whenDurable(callback: (ok: boolean) => void): void;
}

export class CollectionVoter {
  readonly #replica: Replica;
  readonly #host: Host;

  constructor(replica: Replica, host: Host) {
    this.#replica = replica;
    this.#host = host;
  }

  /** Answers with the places of those keys on which this replica does not agree. */
  confirm(keys: Digests, respond: Respond): void {
    const { keeper, keysOnTheirWay } = this.#replica;
    const now = this.#host.wall();
    const agrees = ([key, digest]: readonly [StoreKey, Digest]): boolean =>
      !keysOnTheirWay.has(key) && keeper.agreesOn(key, digest, now);
    const places = [...keys.keys()];
    const objections = places.filter((i) => !agrees(keys[i] as readonly [StoreKey, Digest]));
    this.#host.whenDurable((ok) => {
      respond({ kind: "confirmed", objections: ok ? objections : places });
    });
  }

  /** A drop that is lost in a crash only brings a tombstone back: nobody waits for the flush. */
  collect(keys: Digests, respond: Respond): void {
    const { keeper } = this.#replica;
    const now = this.#host.wall();
    if (keeper.store.health() === "writable") {
      for (const [key, digest] of keys) keeper.collect(key, digest, now);
      this.#host.whenDurable(() => {});
    }
    respond({ kind: "collected" });
  }
}
