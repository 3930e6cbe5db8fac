/**
 * Fills trees from the replicas that have what is in them, only by exchanges: some trees of one
 * source at a time, sources in turn. All of it is forgotten in a crash and begun anew, because
 * trees that are filled are found equal at once.
 */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../../antientropy/exchange.ts";
import type { TreeName } from "../../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** Trees of one exchange: when a longer one breaks off, more of what it did is unknown. */
const TREES_PER_EXCHANGE = 16;
const EXCHANGE_MS_MAX = 600_000;

/** A tree that is to be filled. */
export interface Filling {
  readonly tree: TreeName;
  /** The replicas that have what is in it, without this one. */
  readonly from: readonly ReplicaId[];
  /** The sources that it was compared with. */
  readonly synced: Set<ReplicaId>;
  /** Those of them that could not read all they had: only others may have what they lost. */
  readonly partial: Set<ReplicaId>;
}

export const newFilling = (tree: TreeName, from: readonly ReplicaId[]): Filling => ({
  ...{ tree, from, synced: new Set(), partial: new Set() },
});

/**
 * Whether it was compared with enough sources that could read all they had for no write to have
 * passed it by, or else with all sources.
 */
export function isCompared(
  { synced, partial }: Filling,
  needed: number,
  all: readonly ReplicaId[],
): boolean {
  if (synced.size - partial.size >= needed) return true;
  return all.every((id) => synced.has(id));
}

export class Filler {
  readonly #replica: Replica;
  readonly #host: TaskHost;
  /** What came, since the filler was made. */
  keyCount = 0;
  byteCount = 0;
  #isFetching = false;
  #turn = 0;

  constructor(replica: Replica, host: TaskHost) {
    this.#replica = replica;
    this.#host = host;
  }

  /** Begins with the next source in turn that can be asked; `done` when some trees are compared. */
  fetch(unfilled: readonly Filling[], now: Millis, done: (now: Millis) => void): void {
    if (this.#isFetching || this.#replica.migration.isPending) return;
    const { liveness } = this.#host.knowledge;
    const sources = [...new Set(unfilled.flatMap(sourcesLeft))];
    const source = sources
      .map((_, i) => sources[(i + this.#turn) % sources.length])
      .find((id) => id !== undefined && liveness.isWorthTrying(id, now));
    if (source === undefined) return;
    const chunk = unfilled
      .filter((filling) => sourcesLeft(filling).includes(source))
      .slice(0, TREES_PER_EXCHANGE);
    this.#exchange({ peer: source, chunk, done }, now);
  }

  #exchange(
    of: {
      readonly peer: ReplicaId;
      readonly chunk: readonly Filling[];
      readonly done: (now: Millis) => void;
    },
    now: Millis,
  ): void {
    const { side } = this.#replica;
    const { peer } = of;
    const trees = of.chunk.map(({ tree }) => tree);
    const finish = (result: ExchangeResult, at: Millis): void => {
      this.#isFetching = false;
      this.keyCount += result.keysReceived;
      this.byteCount += result.byteCount;
      // After a failure another source is first, at the next run, so as not to ask in a circle.
      if (!result.isComplete) {
        this.#turn++;
        return;
      }
      for (const { synced, partial } of of.chunk) {
        synced.add(peer);
        if (result.keysUnread > 0) partial.add(peer);
      }
      of.done(at);
    };
    this.#isFetching = true;
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer, trees, side, limits: exchangeLimits }, out),
        finish,
      },
      now,
    );
  }
}

const sourcesLeft = ({ from, synced }: Filling): readonly ReplicaId[] =>
  from.filter((id) => !synced.has(id));
