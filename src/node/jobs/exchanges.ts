/** Starts exchanges: with one peer after the other, in turn, and with all of them when asked. */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../../antientropy/exchange.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { ExchangeTotals } from "../../../core/message-values.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** All messages of one exchange together; each has a shorter time of its own. */
const EXCHANGE_MS_MAX = 600_000;

export class Exchanges {
  readonly #replica: Replica;
  readonly #host: TaskHost;
  readonly #busy = new Set<ReplicaId>();
  /** When an exchange with a peer last went through to its end. */
  readonly lastAt = new Map<ReplicaId, WallMillis>();
  /** Exchanges that went through to their end. */
  completeCount = 0;
  keysSent = 0;
  keysReceived = 0;
  byteCount = 0;
  #turn = 0;

  constructor(replica: Replica, host: TaskHost) {
    this.#replica = replica;
    this.#host = host;
  }

  /** How many peers have something in common with this replica. */
  get peerCount(): number {
    const { knowledge } = this.#host;
    const self = this.#replica.id;
    const peers = knowledge.ring.membersBut(self);
    return peers.filter((id) => knowledge.sharedTrees(self, id).length > 0).length;
  }

  /** Compares with the peer whose turn it is, unless that one seems to be away. */
  next(now: Millis): void {
    const { knowledge } = this.#host;
    const peers = knowledge.ring.membersBut(this.#replica.id);
    const peer = peers[this.#turn++ % Math.max(1, peers.length)];
    if (peer === undefined || !knowledge.liveness.isWorthTrying(peer, now)) return;
    this.withOne(peer, now, () => {});
  }

  /** Compares with every peer, one after the other. */
  withAll(now: Millis, done: (totals: ExchangeTotals, now: Millis) => void): void {
    const peers = this.#host.knowledge.ring.membersBut(this.#replica.id);
    let totals = NOTHING_COMPARED;
    const goOn = (at: Millis): void => {
      const peer = peers.shift();
      if (peer === undefined) return done(totals, at);
      this.withOne(peer, at, (result, later) => {
        if (result !== null) totals = withResult(totals, result);
        goOn(later);
      });
    };
    goOn(now);
  }

  /** Compares with one peer; `over` gets null where that cannot be done just now. */
  withOne(
    peer: ReplicaId,
    now: Millis,
    over: (result: ExchangeResult | null, now: Millis) => void,
  ): void {
    const trees = this.#host.knowledge.sharedTrees(this.#replica.id, peer);
    const cannot = this.#busy.has(peer) || this.#replica.migration.isPending;
    if (trees.length === 0 || cannot) return over(null, now);
    this.#busy.add(peer);
    const { side } = this.#replica;
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer, trees, side, limits: exchangeLimits }, out),
        finish: (result, at) => {
          this.#busy.delete(peer);
          if (result.isComplete) {
            this.lastAt.set(peer, this.#host.wall());
            this.completeCount++;
          }
          this.keysSent += result.keysSent;
          this.keysReceived += result.keysReceived;
          this.byteCount += result.byteCount;
          over(result, at);
        },
      },
      now,
    );
  }
}

const NOTHING_COMPARED: ExchangeTotals = {
  ...{ exchanges: 0, treesCompared: 0, treesDiffering: 0 },
  ...{ keysSent: 0, keysReceived: 0, byteCount: 0 },
};

const withResult = (totals: ExchangeTotals, result: ExchangeResult): ExchangeTotals => ({
  exchanges: totals.exchanges + (result.isComplete ? 1 : 0),
  treesCompared: totals.treesCompared + result.treesCompared,
  treesDiffering: totals.treesDiffering + result.treesDiffering,
  keysSent: totals.keysSent + result.keysSent,
  keysReceived: totals.keysReceived + result.keysReceived,
  byteCount: totals.byteCount + result.byteCount,
});
