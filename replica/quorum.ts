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

/**
 * The need with these further owners, and one more acknowledgement for each: so whichever replicas
 * meet it, enough old owners and enough new ones are among them.
 */
export function raised(need: QuorumNeed, more: readonly Candidate[]): QuorumNeed {
  const counted = more.filter(({ zone }) => need.onlyZone === null || zone === need.onlyZone);
  const by = counted.length;
  if (by === 0) return need;
  const { n, count, primaries, durable } = need;
  const grown = (number: number): number => (number === 0 ? 0 : number + by);
  return {
    ...need,
    n: n + by,
    count: count + by,
    primaries: grown(primaries),
    durable: grown(durable),
  };
}

/** The need with `by` more acknowledgements of the same replicas; one of a single zone stays. */
export function lifted(need: QuorumNeed, by: number): QuorumNeed {
  const { n, count, primaries, durable, onlyZone } = need;
  if (by === 0 || onlyZone !== null) return need;
  const more = (number: number): number => (number === 0 ? 0 : Math.min(n, number + by));
  return { ...need, count: more(count), primaries: more(primaries), durable: more(durable) };
}

const nobody: readonly Candidate[] = [];

/** Lists and not sets: they hold a handful, and are made and searched several times a request. */
export class Quorum {
  #need: QuorumNeed;
  readonly #counted: Candidate[] = [];
  readonly #durable: ReplicaId[] = [];

  constructor(need: QuorumNeed) {
    assert(need.count >= 0 && need.primaries <= need.n, "a quorum within its preference list");
    this.#need = need;
  }

  get need(): QuorumNeed {
    return this.#need;
  }

  /** Asks for these too: the ring changed while the write was on its way. */
  raise(more: readonly Candidate[]): void {
    this.#need = raised(this.#need, more);
  }

  add(candidate: Candidate, isDurable: boolean): void {
    const { id, zone } = candidate;
    if (this.need.onlyZone !== null && zone !== this.need.onlyZone) return;
    if (!this.has(id)) this.#counted.push(candidate);
    if (isDurable && !this.#durable.includes(id)) this.#durable.push(id);
    assert(this.#durable.length <= this.#counted.length, "the durable are among the counted");
  }

  has(id: ReplicaId): boolean {
    for (const candidate of this.#counted) if (candidate.id === id) return true;
    return false;
  }

  get isMet(): boolean {
    return this.couldBeMetWith(nobody);
  }

  /** Whether the need would be met if all of these answered too, durably. */
  couldBeMetWith(others: readonly Candidate[]): boolean {
    const { need } = this;
    let count = this.#counted.length;
    let primaries = 0;
    let durable = this.#durable.length;
    for (const { isPrimary } of this.#counted) if (isPrimary) primaries++;
    for (const { id, zone, isPrimary } of others) {
      if (need.onlyZone !== null && zone !== need.onlyZone) continue;
      if (!this.#durable.includes(id)) durable++;
      if (this.has(id)) continue;
      count++;
      if (isPrimary) primaries++;
    }
    return (
      count >= need.count &&
      primaries >= need.primaries &&
      durable >= need.durable &&
      (need.zones === 0 || this.#zoneCountWith(others) >= need.zones)
    );
  }

  tally(): Tally {
    const counted = this.#counted;
    const primaries = counted.filter((candidate) => candidate.isPrimary).length;
    return {
      n: this.need.n,
      required: this.need.count,
      answered: counted.length,
      primaries,
      fallbacks: counted.length - primaries,
      durable: this.#durable.length,
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
      { required: need.zones, achieved: this.#zoneCountWith(nobody) },
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
    if (need.zones > 0) parts.push(`in ${this.#zoneCountWith(nobody)} of ${need.zones} zones`);
    if (need.onlyZone !== null) parts.push("counting the frontend's own zone alone");
    return parts.join(", ");
  }

  #zoneCountWith(others: readonly Candidate[]): number {
    const { onlyZone } = this.need;
    const more = others.filter(({ zone }) => onlyZone === null || zone === onlyZone);
    return new Set([...this.#counted, ...more].map(({ zone }) => zone)).size;
  }
}
