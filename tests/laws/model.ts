/**
 * The naive model: it keeps the whole history. A write is an id and the ids that it covered; what
 * somebody knows of a key is a set of ids. Joining is union, and what is alive are the known ids
 * that no known write covers. No dots, no contexts, no clocks: nothing of the system's own.
 */
import fc from "fast-check";

/** Random histories, as many as `PROPERTY_RUNS` says where CI's number is not enough. */
export const runsOf = (usual: number): { numRuns: number } => ({
  numRuns: Number(process.env["PROPERTY_RUNS"] ?? usual),
});

export type Known = ReadonlySet<string>;

export interface WriteFacts {
  readonly covers: Known;
  readonly isDelete: boolean;
  /** 0 for never. */
  readonly expiresAt: number;
  /** Durable where it cannot be lost: whoever wrote it was told so. */
  isAcknowledged: boolean;
}

export class History {
  readonly writes = new Map<string, WriteFacts>();

  add(id: string, facts: WriteFacts): void {
    this.writes.set(id, facts);
  }

  covers(id: string): Known {
    return this.writes.get(id)?.covers ?? new Set();
  }

  /** The versions that anybody who knows these must have kept: tombstones and expired ones too. */
  alive(known: Known): Known {
    const covered = new Set<string>();
    for (const id of known) for (const below of this.covers(id)) covered.add(below);
    return known.difference(covered);
  }

  /** Those that a read may show. */
  live(known: Known, now: number): Known {
    return new Set(
      [...this.alive(known)].filter((id) => {
        const { isDelete, expiresAt } = this.writes.get(id) as WriteFacts;
        return !isDelete && (expiresAt === 0 || now < expiresAt);
      }),
    );
  }

  /**
   * Whether a replica that knows just this may forget it: only one value, whose time has passed.
   */
  isSpent(known: Known, now: number): boolean {
    return known.size === 1 && [...known].every((id) => this.#isLoose(id, now));
  }

  #isLoose(id: string, now: number): boolean {
    const { expiresAt = 0, covers = new Set() } = this.writes.get(id) ?? {};
    return expiresAt > 0 && expiresAt <= now && covers.size === 0;
  }

  /** What the siblings of the healed key must include. */
  must(now: number): Known {
    const acknowledged = [...this.writes].filter(
      ([id, facts]) => facts.isAcknowledged && !this.#isLoose(id, now),
    );
    return new Set(acknowledged.map(([id]) => id)).difference(this.#coveredBy(() => true));
  }

  /** What they may include beside that: nothing that an acknowledged write covered. */
  may(): Known {
    const all = new Set(this.writes.keys());
    return all.difference(this.#coveredBy((facts) => facts.isAcknowledged));
  }

  #coveredBy(which: (facts: WriteFacts) => boolean): Known {
    const covered = new Set<string>();
    for (const facts of this.writes.values()) {
      if (which(facts)) for (const id of facts.covers) covered.add(id);
    }
    return covered;
  }
}

/** One thing that happens in a history; numbers are taken modulo what there is to choose from. */
export interface Happening {
  readonly kind: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Histories of these kinds of happenings; a kind that is named more often is likelier. */
export const histories = (
  kinds: readonly string[],
  lengthMax: number,
): fc.Arbitrary<Happening[]> => {
  const choice = fc.nat({ max: 11 });
  const kind = fc.constantFrom(...kinds);
  const happening = fc.record({ kind, a: choice, b: choice, c: choice });
  return fc.array(happening, { minLength: 5, maxLength: lengthMax, size: "max" });
};
