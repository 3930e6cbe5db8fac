/**
 * What the cluster document says of one namespace, and how its N goes from one number to another
 * while reads and writes go on.
 *
 * The owners of a key are the first N of its preference list, so the old owners and the new ones
 * are two beginnings of one list. As with a change of members (`ring-change.ts`) there are two
 * phases, and in both of them a write goes to the longer one and waits for as many more as that is
 * longer than the shorter one:
 *
 * - **filling**: requests count by the old N. Each new owner compares itself with so many old ones
 *   that no acknowledged write can have passed them by.
 * - **settling**: requests count by the new N, until no quorum of old owners is left that would
 *   answer a read of the first phase.
 *
 * The keys' trees are those of the new N from the start: so an exchange between owners moves the
 * keys of this namespace and no others.
 */

import { assert } from "../core/assert.ts";
import { check } from "../core/check.ts";
import { isReplicaId, type ReplicaId } from "../core/ids.ts";
import { MEMBERS_COUNT_MAX, N_MAX } from "../core/limits.ts";
import type { NamespaceSettings } from "../core/namespace-settings.ts";
import { listsOf, mayBeReadBefore } from "./preference-list.ts";
import { openChange } from "./ring-change.ts";
import type { RingDocument } from "./ring-document.ts";

export interface NamespaceChange {
  /** The N from which it comes. */
  readonly from: number;
  readonly phase: "filling" | "settling";
  /** The members that are as far as the phase asks, in order. */
  readonly acks: readonly ReplicaId[];
}

export interface NamespaceRecord {
  readonly revision: number;
  /** null: it was deleted, and has the deployment's settings again. */
  readonly settings: NamespaceSettings | null;
  /** Absent while its N does not change. */
  readonly change?: NamespaceChange;
}

/** The N that it has, or is to have. */
export const targetOf = ({ settings }: NamespaceRecord, ring: RingDocument): number =>
  settings?.n ?? ring.n;

/** The N by which requests count. */
export function countedOf(record: NamespaceRecord | undefined, ring: RingDocument): number {
  if (record?.change?.phase === "filling") return record.change.from;
  return record === undefined ? ring.n : targetOf(record, ring);
}

/**
 * The record after a change of settings. When a change is called back while it is being filled, the
 * old N just goes on: the old owners have had every write.
 *
 * @param isEmpty whether there is no value in it: then another N needs no change-over
 */
export function changedRecord(
  record: NamespaceRecord | undefined,
  to: { readonly settings: NamespaceSettings | null; readonly isEmpty: boolean },
  ring: RingDocument,
): NamespaceRecord {
  const next = { revision: (record?.revision ?? 0) + 1, settings: to.settings };
  const from = countedOf(record, ring);
  if (to.isEmpty || from === targetOf(next, ring)) return next;
  return { ...next, change: { from, phase: "filling", acks: [] } };
}

const isOfFirst = (id: ReplicaId, n: number, ring: RingDocument): boolean => {
  for (let partition = 0; partition < ring.partitions; partition++) {
    if (listsOf(ring).of(partition).slice(0, n).includes(id)) return true;
  }
  return false;
};

/** Whether a member is to own something of it, and so has to say that it is filled. */
export const isTaker = (id: ReplicaId, record: NamespaceRecord, ring: RingDocument): boolean =>
  isOfFirst(id, targetOf(record, ring), ring);

/** Whether a quorum of old owners may be left that answers reads of the first phase. */
const mayCountByOld = ({ from, acks }: NamespaceChange, ring: RingDocument): boolean =>
  mayBeReadBefore(ring, from, (id) => acks.includes(id));

/** Takes the steps that the acknowledgements allow. */
export function advancedRecord(record: NamespaceRecord, ring: RingDocument): NamespaceRecord {
  const { change, ...rest } = record;
  if (change === undefined) return record;
  if (change.phase === "filling") {
    // The members are changing, and new owners are filled by the N of before.
    if (openChange(ring) !== null) return record;
    const isFilled = (id: ReplicaId): boolean =>
      change.acks.includes(id) || !isTaker(id, record, ring);
    if (!ring.members.every(({ id }) => isFilled(id))) return record;
    return { ...rest, change: { ...change, phase: "settling", acks: [] } };
  }
  return mayCountByOld(change, ring) ? record : rest;
}

/** The record without any member's word that it is filled. */
export function emptied(record: NamespaceRecord): NamespaceRecord {
  const { change } = record;
  return change?.phase === "filling" ? { ...record, change: { ...change, acks: [] } } : record;
}

/** The record in which a replica has said that it is as far as the phase asks. */
export function acknowledgedRecord(
  record: NamespaceRecord,
  id: ReplicaId,
  ring: RingDocument,
): NamespaceRecord {
  const { change } = record;
  assert(change !== undefined, "a change is going on");
  const acks = [...new Set([...change.acks, id])].sort();
  return advancedRecord({ ...record, change: { ...change, acks } }, ring);
}

/** The join of two records of one revision with equal settings: the further one, or all acks. */
export function joinedRecords(
  a: NamespaceRecord,
  b: NamespaceRecord,
  ring: RingDocument,
): NamespaceRecord {
  if (a.change === undefined) return a;
  if (b.change === undefined) return b;
  if (a.change.phase !== b.change.phase) return a.change.phase === "settling" ? a : b;
  const acks = [...new Set([...a.change.acks, ...b.change.acks])].sort();
  if (acks.length === a.change.acks.length) return a;
  return advancedRecord({ ...a, change: { ...a.change, acks } }, ring);
}

/** Checks a change that a peer or our own log handed over. @throws CodecError */
export function parseNamespaceChange(value: unknown): NamespaceChange {
  check(typeof value === "object" && value !== null, "a change of N is an object");
  const { from, phase, acks } = value as Record<string, unknown>;
  check(Number.isInteger(from), "a change comes from an N");
  check((from as number) >= 1 && (from as number) <= N_MAX, "an N is 1 to 5");
  check(phase === "filling" || phase === "settling", "a phase of a change");
  check(Array.isArray(acks) && acks.length <= MEMBERS_COUNT_MAX, "acknowledgements are a list");
  const isId = (id: unknown): boolean => typeof id === "string" && isReplicaId(id);
  check(acks.every(isId), "members acknowledge");
  return { from: from as number, phase, acks: acks as ReplicaId[] };
}
