/**
 * Every replica of the ring in the order in which it stands in for a partition: the primaries that
 * the assignment names, then all others as fallbacks.
 *
 * Fallbacks come in the partition's own pseudo-random order, weighted, so that the load of a failed
 * member falls on all others alike and no change of members reorders the rest. Before them come
 * those whose zone is not in the list yet, one a zone: a namespace with a larger N than the ring's
 * takes its further primaries from here, and its copies too must lie in as many zones as can be.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { majority } from "../core/quorum-options.ts";
import type { Assignment, AssignmentMember } from "./assignment.ts";
import { Rendezvous } from "./rendezvous.ts";

interface Layout {
  readonly members: readonly AssignmentMember[];
  readonly assignment: Assignment;
}

const known = new WeakMap<Assignment, PreferenceLists>();

/** The lists of a layout: documents are merged often, and their layouts stay what they are. */
export function listsOf({ members, assignment }: Layout): PreferenceLists {
  const lists = known.get(assignment) ?? new PreferenceLists(members, assignment);
  known.set(assignment, lists);
  return lists;
}

/** The lists of one ring, each made when it is first asked for. */
export class PreferenceLists {
  readonly #members: readonly AssignmentMember[];
  readonly #zones: ReadonlyMap<ReplicaId, string>;
  readonly #assignment: Assignment;
  readonly #rendezvous: Rendezvous;
  readonly #lists: (readonly ReplicaId[] | undefined)[];

  /** @param members in any order: it changes nothing */
  constructor(members: readonly AssignmentMember[], assignment: Assignment) {
    this.#members = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#zones = new Map(members.map(({ id, zone }) => [id, zone]));
    this.#assignment = assignment;
    this.#rendezvous = new Rendezvous(this.#members);
    this.#lists = new Array<undefined>(assignment.length).fill(undefined);
  }

  /** Frozen; the same array each time. */
  of(partition: number): readonly ReplicaId[] {
    return this.#lists[partition] ?? this.#make(partition);
  }

  #make(partition: number): readonly ReplicaId[] {
    const primaries = this.#assignment[partition];
    assert(primaries !== undefined, "a partition of this ring");
    const zones = new Set(primaries.map((id) => this.#zones.get(id)));
    const firstOfZone: ReplicaId[] = [];
    const others: ReplicaId[] = [];
    for (const index of this.#rendezvous.order(partition)) {
      const member = this.#members[index];
      assert(member !== undefined, "an order names members");
      if (primaries.includes(member.id)) continue;
      (zones.has(member.zone) ? others : firstOfZone).push(member.id);
      zones.add(member.zone);
    }
    const list = Object.freeze([...primaries, ...firstOfZone, ...others]);
    assert(list.length === this.#members.length, "a list names every member once");
    this.#lists[partition] = list;
    return list;
  }
}

/**
 * Whether in some partition so few of the first n owners have gone past a change that the others
 * may be a quorum, which answers reads as before it.
 */
export function mayBeReadBefore(
  layout: Layout,
  n: number,
  isPast: (id: ReplicaId) => boolean,
): boolean {
  const lists = listsOf(layout);
  return layout.assignment.some((_, partition) => {
    const owners = lists.of(partition).slice(0, n);
    const needed = owners.length - majority(owners.length) + 1;
    return owners.filter(isPast).length < needed;
  });
}
