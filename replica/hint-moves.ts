/**
 * Which replicas got the hints that are no longer here. A follower of this replica that had not
 * come as far as such a hint cannot find it here any more: it has to look where the hint went
 * (antientropy/claims.ts). One number a replica is enough: the highest position of the hints that
 * it was given.
 *
 * It is written down before the first of the hints is dropped: after a crash either the hint is
 * still here or it is known where it went.
 */
import { decode, encode } from "../core/codec.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Store, StoreKey } from "../core/store.ts";

const NAME = "hint-moves";

function keptIn(store: Store): Map<ReplicaId, number> {
  const bytes = store.readMeta(NAME);
  const list = bytes === undefined ? null : decode(bytes);
  const kept = new Map<ReplicaId, number>();
  if (!Array.isArray(list)) return kept;
  for (const row of list) {
    const [id, position] = Array.isArray(row) ? (row as unknown[]) : [];
    if (typeof id === "string" && Number.isSafeInteger(position)) kept.set(id, Number(position));
  }
  return kept;
}

export class HintMoves {
  readonly #store: Store;
  readonly #through: Map<ReplicaId, number>;
  /** How often hints were given away since the start. */
  movedCount = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#through = keptIn(store);
  }

  /**
   * Hints for `target` are about to be dropped.
   *
   * @param to the replicas that have them all on stable storage instead
   */
  moving(target: ReplicaId, keys: readonly StoreKey[], to: readonly ReplicaId[]): void {
    this.movedCount++;
    const { hintOrder } = this.#store;
    if (hintOrder === undefined) return;
    const last = keys.reduce((max, key) => Math.max(max, hintOrder.positionOf(target, key)), 0);
    const news = to.filter((id) => (this.#through.get(id) ?? 0) < last);
    if (news.length === 0) return;
    for (const id of news) this.#through.set(id, last);
    this.#store.writeMeta(NAME, encode([...this.#through]));
  }

  /** Whether no hint was ever given away, in former lives neither. */
  get hasNone(): boolean {
    return this.movedCount === 0 && this.#through.size === 0;
  }

  /** The replicas that may have got a hint that stood here after a position. */
  since(position: number): readonly ReplicaId[] {
    return [...this.#through].filter(([, last]) => last > position).map(([id]) => id);
  }
}
