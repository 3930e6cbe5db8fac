/**
 * A replica in its role of being followed: it says with each heartbeat how far its order of arrival
 * has come, and gives pages of it (see antientropy/tail-replies.ts).
 *
 * A follower takes its word for all that this replica has ever acknowledged. So it does not give
 * its word while it may have lost something. When a hint turns out to be unreadable, its order gets
 * another name: then everybody begins anew with it.
 */
import { pageLimits, pageOf, type TailedSide } from "../../../antientropy/tail-replies.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { Ages, Arrived } from "../../../core/message-values.ts";
import type { Reply, RequestOf } from "../../../core/messages.ts";
import type { HintOrder, StoreKey } from "../../../core/store.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";
import { refused } from "../peers/replies.ts";
import type { Jobs } from "./job-ports.ts";

interface Self {
  readonly id: ReplicaId;
  readonly keeper: Keeper;
  readonly jobs: Jobs;
}

interface FollowedHost {
  readonly knowledge: Knowledge;
  whenDurable(callback: (ok: boolean) => void): void;
}

export class Followed {
  readonly #self: Self;
  readonly #host: FollowedHost;
  #lostHintCount = 0;

  constructor(self: Self, host: FollowedHost) {
    this.#self = self;
    this.#host = host;
  }

  /** What a heartbeat says of it: nothing while nobody may rely on it. */
  get arrived(): Arrived | null {
    const { store } = this.#self.keeper;
    const { hintOrder } = store;
    if (hintOrder === undefined || this.#mayLack) return null;
    return { run: this.run, last: Math.max(store.lastArrival, hintOrder.last) };
  }

  /** The name of its order, once all that is known by now of losses is taken into account. */
  get run(): number {
    const { store, arrivals } = this.#self.keeper;
    if (store.hintOrder !== undefined) this.#noteLostHints(store.hintOrder);
    return arrivals.run;
  }

  /** As `ages` in core/messages.ts; a replica that follows nobody knows only of itself. */
  agesFor(key: StoreKey): Ages {
    const { tails } = this.#self.jobs;
    return tails === null ? this.#ofItself() : tails.agesFor(key);
  }

  #ofItself(): Ages {
    const { ring, routeStamp } = this.#host.knowledge;
    const ms = ring.memberIds.map((id) => (id === this.#self.id ? 0 : null));
    return { stamp: routeStamp, ms };
  }

  /** Whether it may have lost something, and has not found out from the others what that was. */
  get #mayLack(): boolean {
    return this.#self.jobs.absence?.past.isPending === true;
  }

  /** @param respond gets the page when all that it tells of is on stable storage */
  answer(body: RequestOf<"arrivals">, respond: (reply: Reply) => void): void {
    const { keeper } = this.#self;
    const { hintOrder } = keeper.store;
    const cannot = hintOrder === undefined || this.#mayLack;
    if (cannot || body.run !== keeper.arrivals.run) return respond(refused("overloaded"));
    const page = pageOf(this.#sideFor(body.from, hintOrder), body, pageLimits);
    // To list a hint it is read.
    if (this.#noteLostHints(hintOrder) || page === null) return respond(refused("overloaded"));
    this.#host.whenDurable((ok) => respond(ok ? page : refused("insufficient-storage")));
  }

  /** What was acknowledged in another's place may be nowhere else: as bad as a lost record. */
  #noteLostHints({ lostCount }: HintOrder): boolean {
    if (lostCount === this.#lostHintCount) return false;
    this.#lostHintCount = lostCount;
    this.#self.keeper.arrivals.renew();
    return true;
  }

  #sideFor(from: ReplicaId, hintOrder: HintOrder): TailedSide {
    const { id, keeper } = this.#self;
    const { knowledge } = this.#host;
    const { store, arrivals } = keeper;
    const { ring } = knowledge;
    const concerns = (key: StoreKey, partition = ring.partitionOf(key)): boolean =>
      ring.isOwner(from, partition, knowledge.widestOf(namespaceOf(key)));
    // While N becomes smaller both may own a key of which they share no tree.
    const isShared = (key: StoreKey, partition: number): boolean => {
      const { n } = knowledge.settingsOf(namespaceOf(key));
      return ring.isOwner(id, partition, n) && ring.isOwner(from, partition, n);
    };
    return {
      run: arrivals.run,
      head: store.arrivedThrough,
      arrivals: (after, countMax) => store.arrivals(after, countMax),
      hints: (after, countMax) => hintOrder.after(after, countMax),
      digest: (key) => keeper.digest(key),
      concerns,
      isShared,
      hasLost: () => keeper.losses.hasLost(concerns),
      movedSince: (position) => keeper.hintMoves.since(position),
    };
  }
}
