/**
 * A replica's own part in a change of members (see `ring/ring-change`). It fetches what it is to
 * own from the present owners, some trees of one owner at a time, and only by exchanges. Then it
 * says so, in the cluster document, and everybody hears of it.
 *
 * A tree is filled when the exchange has gone through with a majority of its owners, so that
 * every write which a majority acknowledged is there, and with every owner that leaves, so that
 * nothing is lost which only one of those acknowledged. Both sides of an exchange have the document
 * with the change, and since then writes come here too: nothing slips in between.
 *
 * All of it is forgotten in a crash and begun anew: trees that are filled are found equal at once.
 */

import { majority } from "../../../core/quorum-options.ts";
import type { TransferStatus } from "../../../core/results.ts";
import type { Millis } from "../../../core/time.ts";
import { acknowledge, gainsOf, type OpenChange, openChange } from "../../../ring/ring-change.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";
import type { Replica } from "../replica/replica.ts";
import { Acknowledger, type AcknowledgerHost } from "./acknowledger.ts";
import { Filler, type Filling, isCompared, newFilling } from "./filler.ts";

export interface TransferHost extends AcknowledgerHost {
  /** Tries to bring all hints home, now. */
  handOff(now: Millis): void;
}

export class Transfer {
  readonly #replica: Replica;
  readonly #host: TransferHost;
  readonly #filler: Filler;
  readonly #acknowledger: Acknowledger;
  /** Of the change that `#fillings` are about; 0 for none. */
  #ballot = 0;
  /** The N that requests counted by then, and the trees that the keys were in. */
  #trees: Trees = new Map();
  #fillings: readonly Filling[] = [];
  /** What the filler had fetched when the change began. */
  #fetchedBefore = { keyCount: 0, byteCount: 0 };

  constructor(replica: Replica, host: TransferHost) {
    this.#replica = replica;
    this.#host = host;
    this.#filler = new Filler(replica, host);
    this.#acknowledger = new Acknowledger(replica.id, host);
  }

  /** How far this replica is with what it is to get; null when no members change. */
  get progress(): TransferStatus | null {
    const change = openChange(this.#host.knowledge.document.ring);
    if (change === null || change.ballot !== this.#ballot) return null;
    const isSettling = change.phase === "settling";
    const done = this.#fillings.filter((filling) => isSettling || isFilled(filling, change));
    return {
      partitionsTotal: this.#fillings.length,
      partitionsDone: done.length,
      keyCount: this.#filler.keyCount - this.#fetchedBefore.keyCount,
      byteCount: this.#filler.byteCount - this.#fetchedBefore.byteCount,
    };
  }

  /** Whether there is a change that this replica has to go on with. */
  get isPending(): boolean {
    return openChange(this.#host.knowledge.document.ring) !== null;
  }

  /** To be called now and then, and whenever the document has changed. */
  run(now: Millis): void {
    const { knowledge } = this.#host;
    const change = openChange(knowledge.document.ring);
    if (change === null || knowledge.ring.member(this.#replica.id) === undefined) return;
    const isSame = change.ballot === this.#ballot && areEqual(knowledge.treesByCount, this.#trees);
    if (!isSame) this.#begin(change);
    if (change.acks.includes(this.#replica.id)) return this.#acknowledger.tell(now);
    if (change.phase === "settling") return this.#settle(change, now);
    if (this.#fillings.length === 0) return;
    const unfilled = this.#fillings.filter((filling) => !isFilled(filling, change));
    if (unfilled.length === 0) this.#say(change);
    else this.#filler.fetch(unfilled, now, (at) => this.run(at));
  }

  /** A leaving replica first hands over its hints: it may be stopped when this is over. */
  #settle(change: OpenChange, now: Millis): void {
    const { keeper, id } = this.#replica;
    const isLeaving = this.#host.knowledge.ring.stateOf(id) === "leaving";
    if (isLeaving && keeper.store.hintCounts().size > 0) this.#host.handOff(now);
    else this.#say(change);
  }

  #begin({ ballot }: OpenChange): void {
    const { document, treesByCount } = this.#host.knowledge;
    this.#ballot = ballot;
    this.#trees = treesByCount;
    const gains = gainsOf(document.ring, this.#replica.id, [...treesByCount.keys()]);
    this.#fillings = gains.flatMap(({ partition, n: counted, from }) =>
      (treesByCount.get(counted) ?? []).map((n) => newFilling({ partition, n }, from)),
    );
    const { keyCount, byteCount } = this.#filler;
    this.#fetchedBefore = { keyCount, byteCount };
  }

  #say({ ballot, phase }: OpenChange): void {
    this.#acknowledger.say((document) => {
      const change = openChange(document.ring);
      if (change?.ballot !== ballot || change.phase !== phase) return null;
      const sizes = [...this.#host.knowledge.treesByCount.keys()];
      return { ...document, ring: acknowledge(document.ring, this.#replica.id, sizes) };
    });
  }
}

type Trees = Knowledge["treesByCount"];

const areEqual = (a: Trees, b: Trees): boolean => JSON.stringify([...a]) === JSON.stringify([...b]);

function isFilled(filling: Filling, { to, forced }: OpenChange): boolean {
  const { from, synced } = filling;
  const alive = from.filter((id) => !forced.includes(id));
  const leaving = alive.filter((id) => !to.members.some((member) => member.id === id));
  const needed = Math.min(majority(from.length), alive.length);
  return isCompared(filling, needed, alive) && leaving.every((id) => synced.has(id));
}
