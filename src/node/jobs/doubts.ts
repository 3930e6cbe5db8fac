/**
 * The replicas that may have lost what they had acknowledged, with a disk or a record: this one
 * itself, and peers whose order of arrival has another name than it had. What such a replica sent
 * before may still be under way, or may have reached one member alone. Claims say what follows from
 * that (antientropy/claims.ts).
 *
 * A crash alone loses no more than what was acknowledged from memory (`dw=0`), and such an
 * acknowledgement counts for as long as the memory does.
 */
import type { Claims, Instant } from "../../../antientropy/claims.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Keeper } from "../../../replica/keeper.ts";

const NAME = "doubts";
/** How long what a process sent before it ended may be under way, in ms. */
export const UNDER_WAY_MS = 5000;

export interface DoubtsParts {
  readonly keeper: Keeper;
  readonly claims: Claims;
  readonly self: ReplicaId;
  elapsed(): Instant;
  /** Whether it may lack what it had, and whether it began with a cluster that had no past. */
  readonly past: { readonly isPending: boolean; readonly wasFounded: boolean } | null;
}

export class Doubts {
  readonly #parts: DoubtsParts;
  /** By peer, the name of its order under which it is not doubted. */
  readonly #known = new Map<ReplicaId, number>();
  readonly #met = new Map<ReplicaId, number>();
  #ownRun: number;
  #doubtsItself: boolean;
  /** Nothing has been lost since it began: where the cluster began with it, nothing at all. */
  #isAsBegun = true;

  constructor(parts: DoubtsParts) {
    this.#parts = parts;
    const { keeper, past } = parts;
    const bytes = keeper.store.readMeta(NAME);
    const [wasInDoubt, rows] = bytes === undefined ? [0, []] : (decode(bytes) as unknown[]);
    for (const [id, run] of rows as [string, number][]) this.#known.set(id, run);
    this.#ownRun = keeper.arrivals.run;
    this.#doubtsItself = wasInDoubt === 1 || keeper.arrivals.isFresh || past?.isPending === true;
    if (this.#doubtsItself) this.#begin();
  }

  /** To be called before anything is claimed of the replica itself. */
  review(): void {
    const { keeper, claims, self, past } = this.#parts;
    const { run } = keeper.arrivals;
    if (run !== this.#ownRun) {
      this.#ownRun = run;
      this.#doubtsItself = true;
      this.#isAsBegun = false;
      this.#begin();
    }
    if (!this.#doubtsItself || past?.isPending === true) return;
    if (this.#isAsBegun && past?.wasFounded === true) claims.found();
    if (!claims.isWhole(self)) return;
    this.#doubtsItself = false;
    this.#keep();
  }

  /** A peer has said what its order is called. */
  met(peer: ReplicaId, run: number): void {
    const { claims, elapsed } = this.#parts;
    const before = this.#met.get(peer) ?? this.#known.get(peer);
    this.#met.set(peer, run);
    if (before !== undefined && before !== run) claims.lost(peer, elapsed() + UNDER_WAY_MS);
    if (this.#known.get(peer) === run || !claims.isWhole(peer)) return;
    this.#known.set(peer, run);
    this.#keep();
  }

  #begin(): void {
    const { claims, self, elapsed } = this.#parts;
    claims.lost(self, elapsed() + UNDER_WAY_MS);
    this.#keep();
  }

  #keep(): void {
    const { store } = this.#parts.keeper;
    store.writeMeta(NAME, encode([this.#doubtsItself ? 1 : 0, [...this.#known]]));
  }
}
