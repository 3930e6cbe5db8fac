/**
 * Which trees a replica's keys are in. A tree is named by a partition and an N (merkle-tree.ts), so
 * when a namespace gets another N its keys go from one tree of their partition to another. That is
 * a walk over all that the replica holds, and no step may take that long: it goes partition by
 * partition, some a run, lower ones first. Until a partition is reached its keys stay, and are
 * written, in the former trees, so the sums are right at every moment.
 *
 * But trees between two states are not to be compared: one in which keys are still missing looks
 * like one that is to be filled, or worse, like one that has nothing to give. While this goes on a
 * replica neither begins exchanges nor answers them.
 *
 * Where sums outlive a restart, so does how far this is. Where they do not, they are counted anew.
 */

import { addSums, type MerkleForest } from "../../../antientropy/merkle-tree.ts";
import { present } from "../../../core/assert.ts";
import { check } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import { namespaceOf } from "../../../core/keys.ts";
import { N_MAX } from "../../../core/limits.ts";
import type { Store, StoreKey } from "../../../core/store.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { Place } from "../../../replica/keeper-parts.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";

/** Records that are looked at in one run; a partition, however large, is looked at as a whole. */
const RECORDS_PER_RUN = 20_000;
/** The name in the store, as existing folders have it, of how far the walk is. */
const MIGRATION = "planting";

type Shown = Pick<Keeper, "shownIn">;

/** By partition the N of the trees that a namespace's keys are in; ascending runs of equal ones. */
type NByPartition = Uint8Array;

export interface TreeMigrationParts {
  readonly knowledge: Knowledge;
  readonly store: Store;
  readonly forest: MerkleForest;
  /** Whether the sums of trees outlive a restart. */
  readonly isKept: boolean;
  readonly recordsPerRun?: number;
}

export class TreeMigration {
  readonly #parts: TreeMigrationParts;
  readonly #recordsPerRun: number;
  /** The N that each namespace has, as far as this was told. */
  #sizes: ReadonlyMap<string, number>;
  /** Namespaces whose keys are in trees of two or more sizes. */
  readonly #moving = new Map<string, NByPartition>();
  /** The partitions below this one are done. */
  #next = 0;

  constructor(parts: TreeMigrationParts) {
    this.#parts = parts;
    this.#recordsPerRun = parts.recordsPerRun ?? RECORDS_PER_RUN;
    this.#sizes = this.#sizesOfNow();
    if (!parts.isKept) return;
    for (const [name, current] of keptIn(parts.store, this.#partitionCount)) {
      this.#moving.set(name, current);
    }
  }

  /** Where a key is: its N is that of the tree that it is in now, which may be a former one. */
  readonly placeOf = (key: StoreKey): Place => {
    const place = this.#parts.knowledge.placeOf(key);
    const n = this.#moving.get(namespaceOf(key))?.[place.partition];
    return n === undefined || n === place.n ? place : { ...place, n };
  };

  get isPending(): boolean {
    return this.#moving.size > 0;
  }

  /** How many partitions are still to be looked at. */
  get leftCount(): number {
    return this.isPending ? this.#partitionCount - this.#next : 0;
  }

  /**
   * To be called when the document has changed, before anything is written by the new one.
   *
   * @returns whether a namespace has another N now
   */
  noticeSizes(): boolean {
    const before = this.#sizes;
    this.#sizes = this.#sizesOfNow();
    let hasChanged = false;
    for (const name of new Set([...before.keys(), ...this.#sizes.keys()])) {
      const from = this.#sizeIn(before, name);
      if (from === this.#sizeIn(this.#sizes, name) || this.#hasNone(name)) continue;
      hasChanged = true;
      const current = this.#moving.get(name) ?? new Uint8Array(this.#partitionCount).fill(from);
      this.#moving.set(name, current);
      this.#next = 0;
    }
    if (hasChanged) this.#keep();
    return hasChanged;
  }

  /** One bounded unit of the walk, if there is one to do. */
  run(keeper: Shown): void {
    if (!this.isPending) return;
    let left = this.#recordsPerRun;
    while (left > 0 && this.#next < this.#partitionCount)
      left -= this.#migrate(this.#next++, keeper);
    if (this.#next === this.#partitionCount) this.#moving.clear();
    this.#keep();
  }

  /** Known at once where the store keeps keys in order: a new namespace costs no walk there. */
  #hasNone(name: string): boolean {
    const prefix = `${name}\0`;
    return this.#parts.store.keysAfter?.(prefix, prefix, 1).length === 0;
  }

  get #partitionCount(): number {
    return this.#parts.knowledge.ring.partitionCount;
  }

  #sizesOfNow(): ReadonlyMap<string, number> {
    return new Map([...this.#parts.knowledge.namespaces].map(([name, { n }]) => [name, n]));
  }

  #sizeIn(sizes: ReadonlyMap<string, number>, name: string): number {
    return sizes.get(name) ?? this.#parts.knowledge.defaults.n;
  }

  /** Puts the keys of a partition where they belong; returns how much was looked at. */
  #migrate(partition: number, keeper: Shown): number {
    const moves = [...this.#moving].map(([name, current]) => ({
      ...{ name, current, from: present(current[partition]), to: this.#sizeIn(this.#sizes, name) },
      sums: new Map<number, number>(),
    }));
    const open = new Map(moves.filter(({ from, to }) => from !== to).map((m) => [m.name, m]));
    let count = 1;
    if (open.size > 0) {
      for (const [key, digest] of keeper.shownIn(partition)) {
        count++;
        const sums = open.get(namespaceOf(key))?.sums;
        if (sums === undefined) continue;
        const { leaf } = this.#parts.knowledge.placeOf(key, partition);
        sums.set(leaf, addSums(sums.get(leaf) ?? 0, digest));
      }
    }
    for (const { from, to, sums, current } of open.values()) {
      for (const [leaf, sum] of sums) {
        this.#parts.forest.update({ partition, n: from }, leaf, { from: sum, to: 0 });
        this.#parts.forest.update({ partition, n: to }, leaf, { from: 0, to: sum });
      }
      current[partition] = to;
    }
    return count;
  }

  #keep(): void {
    if (!this.#parts.isKept) return;
    const list = [...this.#moving].map(([name, current]) => [name, runsOf(current)]);
    this.#parts.store.writeMeta(MIGRATION, encode(list));
  }
}

/** `[count, n, count, n, …]`: few, because partitions are migrated in order. */
function runsOf(current: NByPartition): readonly number[] {
  const runs: number[] = [];
  for (const n of current) {
    if (runs.at(-1) === n) runs[runs.length - 2] = present(runs.at(-2)) + 1;
    else runs.push(1, n);
  }
  return runs;
}

/** @throws CodecError when something else is kept under that name */
function keptIn(
  store: Store,
  partitionCount: number,
): readonly (readonly [string, NByPartition])[] {
  const bytes = store.readMeta(MIGRATION);
  if (bytes === undefined) return [];
  const list = decode(bytes);
  check(Array.isArray(list), "a migration is a list");
  return list.map((item: unknown) => {
    check(
      Array.isArray(item) && typeof item[0] === "string",
      "a namespace that migrates has its runs",
    );
    return [item[0], nByPartition(item[1], partitionCount)] as const;
  });
}

function nByPartition(runs: unknown, partitionCount: number): NByPartition {
  check(Array.isArray(runs), "runs are a list");
  const current = new Uint8Array(partitionCount);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const [count, n] = [Number(runs[i]), Number(runs[i + 1])];
    check(count > 0 && n >= 1 && n <= N_MAX, "a run has a length and an N");
    current.fill(n, at, at + count);
    at += count;
  }
  check(at === partitionCount, "runs cover all partitions");
  return current;
}
