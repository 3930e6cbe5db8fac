/**
 * Counts distinct replicas towards what a request asked for. A replica counts once however often it
 * answers, and a fallback never as a primary.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Tally } from "../core/tally.ts";
import type { Candidate } from "./candidate.ts";

export interface QuorumNeed {
  readonly n: number;
  readonly count: number;
  readonly primaries: number;
  readonly durable: number;
  readonly zones: number;
  /** When set, only replicas of this zone count (`local_quorum`). */
  readonly onlyZone: string | null;
}

export class Quorum {
  readonly need: QuorumNeed;
  readonly #counted = new Map<ReplicaId, Candidate>();
  readonly #durable = new Set<ReplicaId>();

  constructor(need: QuorumNeed) {
    assert(need.count >= 0 && need.primaries <= need.n, "a quorum within its preference list");
    this.need = need;
  }

  add(candidate: Candidate, isDurable: boolean): void {
    if (this.need.onlyZone !== null && candidate.zone !== this.need.onlyZone) return;
    this.#counted.set(candidate.id, candidate);
    if (isDurable) this.#durable.add(candidate.id);
    assert(this.#durable.size <= this.#counted.size, "the durable are among the counted");
  }

  has(id: ReplicaId): boolean {
    return this.#counted.has(id);
  }

  get isMet(): boolean {
    return this.couldBeMetWith([]);
  }

  /** Whether the need would be met if all of these answered too, durably. */
  couldBeMetWith(others: readonly Candidate[]): boolean {
    const { need } = this;
    const zones = new Set<string>();
    let count = 0;
    let primaries = 0;
    let durable = this.#durable.size;
    const add = (candidate: Candidate): void => {
      count++;
      if (candidate.isPrimary) primaries++;
      zones.add(candidate.zone);
    };
    for (const candidate of this.#counted.values()) add(candidate);
    for (const candidate of others) {
      if (need.onlyZone !== null && candidate.zone !== need.onlyZone) continue;
      if (!this.#durable.has(candidate.id)) durable++;
      if (!this.#counted.has(candidate.id)) add(candidate);
    }
    return (
      count >= need.count &&
      primaries >= need.primaries &&
      durable >= need.durable &&
      zones.size >= need.zones
    );
  }

  tally(): Tally {
    const counted = [...this.#counted.values()];
    const primaries = counted.filter((candidate) => candidate.isPrimary).length;
    return {
      n: this.need.n,
      required: this.need.count,
      answered: counted.length,
      primaries,
      fallbacks: counted.length - primaries,
      durable: this.#durable.size,
    };
  }

  /** The first number that is not reached: what a problem document says in figures. */
  missing(): { readonly required: number; readonly achieved: number } {
    const { need } = this;
    const { answered, primaries, durable } = this.tally();
    const numbers = [
      { required: need.count, achieved: answered },
      { required: need.primaries, achieved: primaries },
      { required: need.durable, achieved: durable },
      { required: need.zones, achieved: this.#zoneCount() },
    ] as const;
    return numbers.find(({ required, achieved }) => achieved < required) ?? numbers[0];
  }

  /** What is missing, in one sentence with its numbers. */
  shortfall(verb: string): string {
    const { need } = this;
    const tally = this.tally();
    const parts = [`${tally.answered} of ${need.count} required replicas ${verb}`];
    if (need.primaries > 0) parts.push(`${tally.primaries} of ${need.primaries} primaries`);
    if (need.durable > 0) parts.push(`${tally.durable} of ${need.durable} durably`);
    if (need.zones > 0) parts.push(`in ${this.#zoneCount()} of ${need.zones} zones`);
    if (need.onlyZone !== null) parts.push("counting the frontend's own zone alone");
    return parts.join(", ");
  }

  #zoneCount(): number {
    return new Set([...this.#counted.values()].map((candidate) => candidate.zone)).size;
  }
}
