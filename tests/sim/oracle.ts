/**
 * The judge: it knows only what clients did and were told, none of the system's clocks, contexts or
 * dots. Every write carries its own id in its value, and for every context that was handed out it
 * remembers which ids were visible with it, closed under what those had covered.
 *
 * For a key, `covered(X)` are the ids observed by the contexts that the writes X carried. **Must**:
 * acknowledged ids that no acknowledged or indeterminate write covers. **May**: acknowledged or
 * indeterminate ids that no acknowledged write covers. After healing, what is live must include Must
 * and lie within Must and May; a missing Must is a lost write, anything else a false sibling or a
 * resurrection. (Riak's QuickCheck oracle, made independent of its dots.)
 */

export type Fate = "pending" | "acknowledged" | "indeterminate" | "refused";

interface Write {
  readonly id: string;
  readonly isDelete: boolean;
  readonly covers: ReadonlySet<string>;
  fate: Fate;
}

export class Oracle {
  readonly #writes = new Map<string, Map<string, Write>>();

  begin(key: string, id: string, write: { isDelete: boolean; observed: Iterable<string> }): void {
    const writes = this.#of(key);
    const covers = this.closure(key, write.observed);
    writes.set(id, { id, isDelete: write.isDelete, covers, fate: "pending" });
  }

  end(key: string, id: string, fate: Fate): void {
    const write = this.#of(key).get(id);
    if (write === undefined) throw new Error(`no write ${id}`);
    write.fate = fate;
  }

  /** The ids, and all that they had covered. */
  closure(key: string, ids: Iterable<string>): ReadonlySet<string> {
    const out = new Set<string>();
    for (const id of ids) {
      out.add(id);
      for (const covered of this.#of(key).get(id)?.covers ?? []) out.add(covered);
    }
    return out;
  }

  keys(): readonly string[] {
    return [...this.#writes.keys()];
  }

  /** What is wrong with these being the live values of the key; empty when nothing is. */
  judge(key: string, live: readonly string[]): readonly string[] {
    const writes = [...this.#of(key).values()].filter(({ fate }) => fate !== "refused");
    const acknowledged = writes.filter(({ fate }) => fate === "acknowledged");
    const coveredBySome = new Set(writes.flatMap(({ covers }) => [...covers]));
    const coveredForSure = new Set(acknowledged.flatMap(({ covers }) => [...covers]));
    const faults: string[] = [];
    for (const { id, isDelete } of acknowledged) {
      const isMust = !isDelete && !coveredBySome.has(id);
      if (isMust && !live.includes(id)) faults.push(`lost write ${id} of ${key}`);
    }
    const may = new Set(writes.filter((w) => !w.isDelete).map(({ id }) => id));
    for (const id of live) {
      if (!may.has(id)) faults.push(`${id} of ${key} was refused, deleted or never written`);
      else if (coveredForSure.has(id)) faults.push(`${id} of ${key} came back, or a false sibling`);
    }
    return faults;
  }

  #of(key: string): Map<string, Write> {
    const writes = this.#writes.get(key) ?? new Map<string, Write>();
    this.#writes.set(key, writes);
    return writes;
  }
}
