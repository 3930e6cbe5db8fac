/**
 * The ring as requests see it: a document with its look-ups made ready.
 *
 * While members change there are two layouts. Requests read by one of them, and writes go to the
 * owners of the other as well; which is which follows from the phase (see `ring-change`).
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { StoreKey } from "../core/store.ts";
import type { RingMember } from "./members.ts";
import { type HashPlace, type KeyHasher, partitionOf, shiftOf } from "./partition.ts";
import { listsOf, type PreferenceLists } from "./preference-list.ts";
import { type OpenChange, openChange } from "./ring-change.ts";
import type { RingDocument } from "./ring-document.ts";

export type { RingMember } from "./members.ts";
export * from "./ring-document.ts";

export type MemberState = "joining" | "up" | "leaving" | "down-forced";

const nobody: readonly ReplicaId[] = [];

/** What every request asks of a ring: a document with its look-ups made ready. */
export class Ring {
  readonly document: RingDocument;
  /** Everybody who holds data of the ring: also those that are joining it, or leaving. */
  readonly memberIds: readonly ReplicaId[];
  readonly zones: readonly string[];
  readonly partitionCount: number;
  readonly #hasher: KeyHasher;
  readonly #at: HashPlace;
  readonly #members: ReadonlyMap<ReplicaId, RingMember>;
  readonly #change: OpenChange | null;
  /** Of the layout that requests read by. */
  readonly #lists: PreferenceLists;
  /** Of the other layout, while there are two. */
  readonly #otherLists: PreferenceLists | null;
  /** By N: how many partitions each member is a primary of. */
  readonly #owned = new Map<number, ReadonlyMap<ReplicaId, number>>();
  #lastKey: StoreKey | null = null;
  #lastPartition = 0;

  /** @param document checked before; nobody changes it from now on */
  constructor(document: RingDocument, hasher: KeyHasher) {
    assert(document.assignment.length === document.partitions, "every partition has its row");
    this.document = document;
    this.#change = openChange(document);
    const next = this.#change?.to ?? null;
    const isSettling = this.#change?.phase === "settling";
    // Of a member that stays, the zone and the address are those to come.
    const members = [...document.members, ...(next?.members ?? [])];
    this.#members = new Map(members.map((member) => [member.id, member]));
    this.memberIds = [...this.#members.keys()].sort();
    this.zones = [...new Set([...this.#members.values()].map(({ zone }) => zone))];
    this.partitionCount = document.partitions;
    this.#hasher = hasher;
    this.#at = { seed: BigInt(document.seed), shift: shiftOf(document.partitions) };
    const lists = listsOf(document);
    const nextLists = next === null ? null : listsOf(next);
    this.#lists = isSettling && nextLists !== null ? nextLists : lists;
    this.#otherLists = isSettling ? lists : nextLists;
  }

  partitionOf(key: StoreKey): number {
    // A request asks for that of its key several times.
    if (key !== this.#lastKey) {
      this.#lastPartition = partitionOf(this.#hasher, key, this.#at);
      this.#lastKey = key;
    }
    return this.#lastPartition;
  }

  /** All members that requests read from, primaries first: frozen, the same array each time. */
  preferenceList(partition: number): readonly ReplicaId[] {
    return this.#lists.of(partition);
  }

  /** The first `n` of the preference list: all members where there are fewer. */
  primariesOf(partition: number, n: number): readonly ReplicaId[] {
    assert(Number.isInteger(n) && n >= 1, "a key has at least one primary");
    return this.#lists.of(partition).slice(0, n);
  }

  /**
   * While members change: owners by the other layout. A write goes to them too, and waits for one
   * more acknowledgement for each of them.
   */
  pendingOf(partition: number, n: number): readonly ReplicaId[] {
    if (this.#otherLists === null) return nobody;
    const primaries = this.primariesOf(partition, n);
    const isPending = (id: ReplicaId): boolean =>
      !primaries.includes(id) && this.#change?.forced.includes(id) !== true;
    return this.#otherLists.of(partition).slice(0, n).filter(isPending);
  }

  /** Whether the replica is one of the `n` primaries, by either layout. */
  isOwner(id: ReplicaId, partition: number, n: number): boolean {
    const place = this.#lists.of(partition).indexOf(id);
    if (place >= 0 && place < n) return true;
    const other = this.#otherLists?.of(partition).indexOf(id) ?? -1;
    return other >= 0 && other < n;
  }

  /** Of how many partitions a replica is one of the `n` primaries; 0 for a stranger. */
  partitionsOwnedCount(id: ReplicaId, n: number): number {
    let owned = this.#owned.get(n);
    if (owned === undefined) {
      const counts = new Map<ReplicaId, number>();
      for (let partition = 0; partition < this.partitionCount; partition++) {
        for (const owner of this.primariesOf(partition, n)) {
          counts.set(owner, (counts.get(owner) ?? 0) + 1);
        }
      }
      owned = counts;
      this.#owned.set(n, owned);
    }
    return owned.get(id) ?? 0;
  }

  /** `up` for a stranger too: ask only of members. */
  stateOf(id: ReplicaId): MemberState {
    const change = this.#change;
    if (change === null) return "up";
    if (!this.document.members.some((member) => member.id === id)) return "joining";
    if (change.to.members.some((member) => member.id === id)) return "up";
    return change.forced.includes(id) ? "down-forced" : "leaving";
  }

  /** Everybody but this one: whom a member asks and tells. */
  membersBut(id: ReplicaId): ReplicaId[] {
    return this.memberIds.filter((member) => member !== id);
  }

  member(id: ReplicaId): RingMember | undefined {
    return this.#members.get(id);
  }

  /** Empty for a stranger: no zone has that name. */
  zoneOf(id: ReplicaId): string {
    return this.#members.get(id)?.zone ?? "";
  }
}
