// Skeleton until the ring's own author replaces it: the names that the rest of the tree relies on.
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { StoreKey } from "../core/store.ts";
import { type KeyHasher, partitionOf, shiftOf } from "./partition.ts";

export interface RingMember {
  readonly id: ReplicaId;
  readonly zone: string;
  readonly url: string;
  readonly weight: number;
}

export interface RingDocument {
  readonly version: number;
  readonly name: string;
  /** Unsigned 64 bits in decimal. */
  readonly seed: string;
  readonly partitions: number;
  readonly n: number;
  readonly members: readonly RingMember[];
  readonly assignment: readonly (readonly ReplicaId[])[];
}

export function parseRingDocument(value: unknown): RingDocument {
  assert(typeof value === "object" && value !== null, "a ring document is an object");
  return value as RingDocument;
}

export function compareRings(a: RingDocument, b: RingDocument): number {
  return a.version - b.version;
}

export class Ring {
  readonly document: RingDocument;
  readonly memberIds: readonly ReplicaId[];
  readonly zones: readonly string[];
  readonly partitionCount: number;
  readonly #hasher: KeyHasher;
  readonly #members: ReadonlyMap<ReplicaId, RingMember>;
  readonly #at: { seed: bigint; shift: bigint };
  readonly #lists: (readonly ReplicaId[])[] = [];

  constructor(document: RingDocument, hasher: KeyHasher) {
    this.document = document;
    this.#hasher = hasher;
    this.memberIds = document.members.map(({ id }) => id);
    this.zones = [...new Set(document.members.map(({ zone }) => zone))];
    this.partitionCount = document.partitions;
    this.#members = new Map(document.members.map((member) => [member.id, member]));
    this.#at = { seed: BigInt(document.seed), shift: shiftOf(document.partitions) };
  }

  partitionOf(key: StoreKey): number {
    return partitionOf(this.#hasher, key, this.#at);
  }

  preferenceList(partition: number): readonly ReplicaId[] {
    const known = this.#lists[partition];
    if (known !== undefined) return known;
    const primaries = this.document.assignment[partition] ?? [];
    const list = [...primaries, ...this.memberIds.filter((id) => !primaries.includes(id))];
    this.#lists[partition] = list;
    return list;
  }

  member(id: ReplicaId): RingMember | undefined {
    return this.#members.get(id);
  }

  zoneOf(id: ReplicaId): string {
    return this.#members.get(id)?.zone ?? "";
  }
}
