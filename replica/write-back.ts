/**
 * The second half of a strict read that found replicas apart: it sees to it that a write quorum of
 * the primaries holds what was found, durably, before anybody is shown it. Otherwise the next
 * strict read may ask two others and go back in time (the trap that quorum reads with repair in the
 * background fall into). While owners change, these are not enough: the next read may go by the
 * other layout.
 *
 * What is written back is fixed at the beginning, and it is the answer: a reply that comes in
 * meanwhile may bring a newer version that sits on one replica alone.
 */
import { assert } from "../core/assert.ts";
import type { Entry } from "../core/entry.ts";
import type { ReplicaId } from "../core/ids.ts";

export interface WriteBackPlan {
  readonly entry: Entry;
  /** How many primaries must hold it. */
  readonly required: number;
  /** Primaries that were read to hold it. */
  readonly current: readonly ReplicaId[];
  /** Primaries that were read to hold less, and owners by the other layout, who were not read. */
  readonly behind: readonly ReplicaId[];
  /** Primaries of which nothing is known: turned to when one of the others does not answer. */
  readonly spare: readonly ReplicaId[];
  readonly send: (to: ReplicaId, entry: Entry) => void;
}

export class WriteBack {
  readonly entry: Entry;
  readonly required: number;
  readonly #send: WriteBackPlan["send"];
  readonly #holding: Set<ReplicaId>;
  readonly #sent = new Set<ReplicaId>();
  readonly #waiting = new Set<ReplicaId>();
  readonly #spare: ReplicaId[];

  constructor(plan: WriteBackPlan) {
    this.entry = plan.entry;
    this.required = plan.required;
    this.#send = plan.send;
    this.#holding = new Set(plan.current);
    this.#spare = [...plan.spare];
    for (const id of plan.behind) this.#sendTo(id);
    this.#askAsManyAsNeeded();
  }

  get holdingCount(): number {
    return this.#holding.size;
  }

  get isMet(): boolean {
    return this.#holding.size >= this.required;
  }

  get isImpossible(): boolean {
    return this.#holding.size + this.#waiting.size < this.required && this.#spare.length === 0;
  }

  wasSent(id: ReplicaId): boolean {
    return this.#sent.has(id);
  }

  stored(from: ReplicaId): void {
    if (this.#waiting.delete(from)) this.#holding.add(from);
  }

  failed(from: ReplicaId): void {
    this.#waiting.delete(from);
    this.#askAsManyAsNeeded();
  }

  /** One more is asked, because somebody takes long. */
  hedge(): void {
    const next = this.isMet ? undefined : this.#spare.shift();
    if (next !== undefined) this.#sendTo(next);
  }

  #askAsManyAsNeeded(): void {
    while (this.#holding.size + this.#waiting.size < this.required) {
      const next = this.#spare.shift();
      if (next === undefined) return;
      this.#sendTo(next);
    }
  }

  #sendTo(id: ReplicaId): void {
    assert(!this.#holding.has(id) && !this.#sent.has(id), "each gets it once");
    this.#sent.add(id);
    this.#waiting.add(id);
    this.#send(id, this.entry);
  }
}
