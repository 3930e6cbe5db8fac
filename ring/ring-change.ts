/**
 * How a ring goes from one layout to the next while reads and writes go on.
 *
 * A quorum of the old owners and a quorum of the new ones need not meet, so no instant can be the
 * one at which everybody changes over. Instead there are two phases, and in both of them a write
 * goes to the old owners **and** to the new ones, and waits for one more acknowledgement for each
 * additional owner (Raft's joint consensus, Ongaro and Ousterhout, 2014, 6, as a count):
 *
 * - **filling**: reads come from the old owners. Every new owner fetches by anti-entropy what it is
 *   to own. When all of them have, the phase is
 * - **settling**: reads come from the new owners. When so many replicas know it that no quorum of
 *   old owners is left that would answer a read of the first phase, and those that leave hold
 *   nothing for others any more, the change is over.
 *
 * How far each member is stands in the document, as a set that only grows; the phases follow from
 * it, the same on every node, so nobody leads and anybody may crash. A node that is on the other
 * side of a step refuses the requests of its callers (their stamps differ), and they learn.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { listsOf, mayBeReadBefore } from "./preference-list.ts";
import {
  agreedRing,
  compareRings,
  type RingChange,
  type RingDocument,
  type RingLayout,
} from "./ring-document.ts";

/** The change that the ring is in, if it is in one that was not called off. */
export type OpenChange = RingChange & { readonly to: RingLayout };

export function openChange({ change }: RingDocument): OpenChange | null {
  if (change === undefined || change.to === null) return null;
  return { ...change, to: change.to };
}

/** A copy that a member is to get: a partition, for namespaces that count by this N. */
export interface Gain {
  readonly partition: number;
  readonly n: number;
  /** Its present owners. */
  readonly from: readonly ReplicaId[];
}

const idsOf = ({ members }: RingLayout): readonly ReplicaId[] => members.map(({ id }) => id);

function withChange(ring: RingDocument, change: RingChange): RingDocument {
  return { ...agreedRing(ring), change };
}

/**
 * The document in which a change begins.
 *
 * @param to members that were not there before carry `joined`, the ballot
 */
export function beginChange(
  ring: RingDocument,
  to: RingLayout,
  by: { readonly ballot: number; readonly forced: readonly ReplicaId[] },
): RingDocument {
  assert(openChange(ring) === null, "one change at a time");
  const forced = [...by.forced].sort();
  return withChange(ring, { ballot: by.ballot, to, phase: "filling", acks: [], forced });
}

/** The same change, with members that leave declared dead. */
export function forceOut(
  ring: RingDocument,
  ids: readonly ReplicaId[],
  ballot: number,
): RingDocument {
  const change = openChange(ring);
  assert(change !== null, "a change is going on");
  const forced = [...new Set([...change.forced, ...ids])].sort();
  return withChange(ring, { ...change, ballot, forced });
}

/** The document in which a change is called off: what was filled is cleaned up again. */
export function callOff(ring: RingDocument, ballot: number): RingDocument {
  return withChange(ring, { ballot, to: null, phase: "filling", acks: [], forced: [] });
}

/**
 * What a member is to get by the change.
 *
 * @param sizes every N that requests count by
 */
export function gainsOf(
  ring: RingDocument,
  id: ReplicaId,
  sizes: readonly number[],
): readonly Gain[] {
  const change = openChange(ring);
  if (change === null) return [];
  const [before, after] = [listsOf(ring), listsOf(change.to)];
  const gains: Gain[] = [];
  for (let partition = 0; partition < ring.partitions; partition++) {
    for (const n of sizes) {
      const from = before.of(partition).slice(0, n);
      if (from.includes(id) || !after.of(partition).slice(0, n).includes(id)) continue;
      gains.push({ partition, n, from });
    }
  }
  return gains;
}

/** Every member that is to get something by the change. */
export function takersOf(ring: RingDocument, sizes: readonly number[]): readonly ReplicaId[] {
  const change = openChange(ring);
  if (change === null) return [];
  return idsOf(change.to).filter((id) => gainsOf(ring, id, sizes).length > 0);
}

/** Whether a quorum of old owners may be left that answers reads of the first phase. */
function mayReadBefore(ring: RingDocument, change: OpenChange, sizes: readonly number[]): boolean {
  const isPast = (id: ReplicaId): boolean => change.acks.includes(id) || change.forced.includes(id);
  return sizes.some((n) => mayBeReadBefore(ring, n, isPast));
}

/** Members that the change removes and that are not given up for dead. */
export function leaversOf(ring: RingLayout, { to, forced }: OpenChange): readonly ReplicaId[] {
  const staying = new Set([...idsOf(to), ...forced]);
  return idsOf(ring).filter((id) => !staying.has(id));
}

/**
 * Takes the steps that the acknowledgements allow.
 *
 * @param sizes every N that requests count by; nobody reads yet from members that are to get
 *   something by an N that is still being filled
 */
export function advanced(ring: RingDocument, sizes: readonly number[]): RingDocument {
  const change = openChange(ring);
  if (change === null) return ring;
  const { acks, to } = change;
  if (change.phase === "filling") {
    // Evaluated with every document that comes in: so only up to the first that is missing.
    const isFilled = (id: ReplicaId): boolean =>
      acks.includes(id) || gainsOf(ring, id, sizes).length === 0;
    if (!idsOf(to).every(isFilled)) return ring;
    return withChange(ring, { ...change, phase: "settling", acks: [] });
  }
  const haveLeft = leaversOf(ring, change).every((id) => acks.includes(id));
  if (!haveLeft || mayReadBefore(ring, change, sizes)) return ring;
  const { change: _, ...rest } = agreedRing(ring);
  return { ...rest, ...to, version: ring.version + 1 };
}

/** The document in which a replica has said that it is as far as the phase asks. */
export function acknowledge(
  ring: RingDocument,
  id: ReplicaId,
  sizes: readonly number[],
): RingDocument {
  const change = openChange(ring);
  assert(change !== null, "a change is going on");
  const acks = [...new Set([...change.acks, id])].sort();
  return advanced(withChange(ring, { ...change, acks }), sizes);
}

function mergeChanges(a: RingChange, b: RingChange): RingChange {
  if (a.ballot !== b.ballot) return a.ballot > b.ballot ? a : b;
  if (a.phase !== b.phase) return a.phase === "settling" ? a : b;
  const acks = [...new Set([...a.acks, ...b.acks])].sort();
  if (acks.length === a.acks.length) return a;
  return { ...a, acks };
}

/** The join of two rings of one cluster: `advanced` takes the steps that follow. */
export function joinedRings(a: RingDocument, b: RingDocument): RingDocument {
  const order = compareRings(a, b);
  if (order !== 0) return order > 0 ? a : b;
  const base = a.isProvisional === true ? b : a;
  if (a.change === undefined && b.change === undefined) return base;
  const change =
    a.change !== undefined && b.change !== undefined
      ? mergeChanges(a.change, b.change)
      : (a.change ?? b.change);
  if (change === undefined || change === base.change) return base;
  return withChange(base, change);
}
