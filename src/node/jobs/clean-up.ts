/**
 * Gives space back after a change: forgets what this replica holds and does not own any more. It
 * first compares such a tree with all of its owners, so that they have at least what it has, and
 * forgets the tree if nothing was learnt of it since. A late hint may bring some of it back; then
 * it is cleaned up again.
 *
 * Only members do this. A replica that has left the ring keeps what it has and gives it to nobody:
 * collection does not wait for it any more, so it may hold what was deleted since.
 */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../../antientropy/exchange.ts";
import type { TreeName } from "../../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { N_MAX } from "../../../core/limits.ts";
import type { Millis } from "../../../core/time.ts";
import { changingIn } from "../../../ring/cluster-document.ts";
import { openChange } from "../../../ring/ring-change.ts";
import type { RingDocument } from "../../../ring/ring-document.ts";
import { keepNumber, keptNumber } from "../knowledge/kept-number.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** The name in the store of the layout for which nothing was left over. */
const CLEAN = "clean";
const EXCHANGE_MS_MAX = 600_000;
/** Records that are forgotten in one run. */
const KEYS_PER_RUN = 4000;
/** After a round in which an owner could not be asked. */
const RETRY_MS = 10_000;

/**
 * The ring's version; where a change was called off, that change's ballot, which never equals a
 * version: the version stays, but some of what was to move has moved.
 */
const layoutNumber = ({ version, change }: RingDocument): number =>
  change === undefined || change.to !== null ? version : change.ballot;

interface Stray {
  readonly tree: TreeName;
  readonly owners: readonly ReplicaId[];
  /** The tree's sum when the round began. */
  readonly root: number;
}

export interface CleanUpHost extends TaskHost {
  /** Whether the replica may lack what others have of its keys. */
  isBehind(): boolean;
}

export class CleanUp {
  readonly #replica: Replica;
  readonly #host: CleanUpHost;
  /** The layout for which nothing was left over; it outlives a restart. */
  #cleanLayout: number;
  #notBefore: Millis = 0;
  #isBusy = false;
  /** Trees that all of their owners have, as they were when that was found. */
  #agreed: Stray[] = [];

  constructor(replica: Replica, host: CleanUpHost) {
    this.#replica = replica;
    this.#host = host;
    const { store } = replica.keeper;
    this.#cleanLayout = keptNumber(store, CLEAN) ?? 0;
    // Whatever cut the last run off may have kept what was stored but not the note of it, or an
    // older note: so it is looked for again. An earlier clean stop does not change that.
    if (!store.recovery.clean) this.notice();
  }

  /** Something was stored that may not belong here. */
  notice(): void {
    this.#keep(0);
  }

  get isPending(): boolean {
    const { knowledge } = this.#host;
    return this.#cleanLayout !== layoutNumber(knowledge.document.ring) && this.#mayRun();
  }

  /** One bounded unit; returns whether there is something to flush. */
  run(now: Millis): boolean {
    if (!this.isPending || this.#isBusy || now < this.#notBefore) return false;
    if (this.#agreed.length > 0) return this.#forgetSome();
    const hasDropped = this.#settleLost();
    const strays = this.#strays();
    if (strays.length === 0) {
      this.#keep(layoutNumber(this.#host.knowledge.document.ring));
      return true;
    }
    this.#isBusy = true;
    this.#notBefore = now + RETRY_MS;
    this.#compare(strays, [...new Set(strays.flatMap(({ owners }) => owners))], now);
    return hasDropped;
  }

  #settleLost(): boolean {
    const { ring } = this.#host.knowledge;
    const { id, keeper } = this.#replica;
    return keeper.losses.settleLost(({ partition, n }) => ring.isOwner(id, partition, n));
  }

  #keep(layout: number): void {
    if (layout === this.#cleanLayout) return;
    this.#cleanLayout = layout;
    keepNumber(this.#replica.keeper.store, CLEAN, layout);
  }

  #mayRun(): boolean {
    const { ring, document } = this.#host.knowledge;
    const { keeper, migration } = this.#replica;
    if (keeper.store.health() !== "writable" || migration.isPending) return false;
    if (document.ring.isProvisional === true) return false;
    if (openChange(document.ring) !== null || this.#host.isBehind()) {
      return false;
    }
    // Until the new N counts, reads may ask only owners that are about to be none.
    if (changingIn(document).length > 0) return false;
    return ring.member(this.#replica.id) !== undefined;
  }

  #strays(): readonly Stray[] {
    const { ring } = this.#host.knowledge;
    const { forest } = this.#replica.side;
    const strays: Stray[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      for (let n = 1; n <= N_MAX; n++) {
        if (ring.isOwner(this.#replica.id, partition, n)) continue;
        const root = forest.root({ partition, n });
        if (root === 0) continue;
        strays.push({ tree: { partition, n }, owners: ring.primariesOf(partition, n), root });
      }
    }
    return strays;
  }

  /**
   * Compares with one owner after the other; trees that one of them could not be asked about stay.
   */
  #compare(strays: readonly Stray[], peers: readonly ReplicaId[], now: Millis): void {
    const [peer, ...others] = peers;
    if (peer === undefined) {
      this.#isBusy = false;
      this.#notBefore = now;
      this.#agreed = [...strays];
      return;
    }
    // It gives and does not take: otherwise what clients write meanwhile would come here as strays
    // as well, and there would be no end to it while they go on writing.
    const side = { ...this.#replica.side, absorb: () => true };
    const trees = strays.filter(({ owners }) => owners.includes(peer)).map(({ tree }) => tree);
    if (trees.length === 0) return this.#compare(strays, others, now);
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer, trees, side, limits: exchangeLimits }, out),
        finish: ({ isComplete }, at) => {
          const left = isComplete ? strays : strays.filter(({ owners }) => !owners.includes(peer));
          if (left.length > 0) return this.#compare(left, others, at);
          this.#isBusy = false;
        },
      },
      now,
    );
  }

  #forgetSome(): boolean {
    const { keeper } = this.#replica;
    let left = KEYS_PER_RUN;
    while (left > 0) {
      const stray = this.#agreed.pop();
      if (stray === undefined) break;
      if (this.#isAsBefore(stray)) left -= keeper.forget(stray.tree, left);
      if (left === 0)
        this.#agreed.push({ ...stray, root: this.#replica.side.forest.root(stray.tree) });
    }
    return left < KEYS_PER_RUN;
  }

  /** The members may have changed since, or an owner knew more: then it is looked at again. */
  #isAsBefore({ tree, root }: Stray): boolean {
    const { ring } = this.#host.knowledge;
    if (ring.isOwner(this.#replica.id, tree.partition, tree.n)) return false;
    return this.#replica.side.forest.root(tree) === root;
  }
}
