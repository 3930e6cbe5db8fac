/** From a key and a request's rules to the replicas that take part: only this asks the ring. */
import { assert } from "../../../core/assert.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import { majority, type QuorumRules } from "../../../core/quorum-options.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import type { Candidate } from "../../../replica/candidate.ts";
import { lifted, type QuorumNeed, raised } from "../../../replica/quorum.ts";
import type { BoundNeed } from "../../../replica/stale-bound.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";

export interface WriteRoute {
  readonly self: Candidate;
  readonly primaries: readonly Candidate[];
  readonly fallbacks: readonly Candidate[];
  readonly need: QuorumNeed;
  /** The primary that the coordinator stands in for; null when it is one itself. */
  readonly hintFor: ReplicaId | null;
}

/**
 * For `local_quorum`: a majority of those primaries that lie in the frontend's zone, and only they
 * count. Where none lies there the rules hold as they are, over all zones: no weaker promise is
 * made in silence.
 */
export function localNeed(
  candidates: readonly Candidate[],
  rules: QuorumRules,
  zone: string,
): { readonly onlyZone: string | null; readonly count: number | null } {
  if (!rules.local) return { onlyZone: null, count: null };
  const primaries = candidates.filter((c) => c.isPrimary && c.zone === zone).length;
  if (primaries === 0) return { onlyZone: null, count: null };
  return { onlyZone: zone, count: majority(primaries) };
}

/** The replicas that get a write which this one coordinates. */
export function writeCandidates(
  knowledge: Knowledge,
  at: {
    readonly id: ReplicaId;
    readonly body: Pick<RequestOf<"coordinate">, "key" | "rules" | "zone">;
    readonly now: Millis;
  },
): WriteRoute {
  const { ring } = knowledge;
  const { rules } = at.body;
  const partition = ring.partitionOf(at.body.key);
  const { n, local: isLocal } = rules;
  const near = { self: at.id, now: at.now, zone: at.body.zone };
  const all = knowledge.candidates(partition, { n, local: isLocal, sloppy: true }, near);
  const pending = knowledge.pending(at.body.key, rules.n);
  // While members or N change, a coordinator may be an owner by the other layout.
  let self = pending.find(({ id }) => id === at.id);
  const primaries: Candidate[] = [];
  const others: Candidate[] = [];
  for (const candidate of all) {
    if (candidate.id === at.id) self ??= candidate;
    else (candidate.isPrimary ? primaries : others).push(candidate);
  }
  assert(self !== undefined, "a coordinator is a member of the ring");
  for (const owner of pending) if (owner.id !== at.id) primaries.push(owner);
  const isPending = ({ id }: Candidate): boolean => pending.some((owner) => owner.id === id);
  const fallbacks = pending.length === 0 ? others : others.filter((c) => !isPending(c));
  const local = localNeed(all, rules, at.body.zone);
  const count = local.count ?? rules.w;
  const plain: QuorumNeed = {
    n: rules.n,
    count,
    primaries: local.onlyZone === null ? rules.pw : Math.min(rules.pw, count),
    durable: Math.min(rules.dw, count),
    zones: rules.zones,
    onlyZone: local.onlyZone,
  };
  const need = lifted(raised(plain, pending), knowledge.extraOf(at.body.key, rules.n));
  const away = primaries.find((c) => c.isSuspect) ?? primaries[0];
  const hintFor = self.isPrimary ? null : (away?.id ?? null);
  return { self, primaries, fallbacks, need, hintFor };
}

/** How stale a read may be, and by which members that is shown; null: it asks for no bound. */
export function boundNeed(
  { ring, routeStamp: stamp }: Knowledge,
  { maxStaleMs, staleW = 1 }: QuorumRules,
): BoundNeed | null {
  if (maxStaleMs === undefined) return null;
  return { stamp, memberCount: ring.memberIds.length, maxStaleMs, staleW };
}

interface StrictOwners {
  readonly pending: readonly ReplicaId[];
  readonly strictCount: number;
}

/** Most reads are not strict, and make sure of no owners. */
const NOT_STRICT: StrictOwners = { pending: [], strictCount: 0 };

/**
 * The owners that a strict read makes sure of before it answers: as many as a write that waits for
 * a majority needs, so that later reads find the value whatever layout they read by.
 */
export function strictOwners(
  knowledge: Knowledge,
  key: StoreKey,
  { n, strict }: QuorumRules,
): StrictOwners {
  if (!strict) return NOT_STRICT;
  const pending = knowledge.pending(key, n);
  const { count } = majorityNeed(knowledge, key, { n, primaries: 0 });
  return { pending: pending.map(({ id }) => id), strictCount: count };
}

/** A majority of a key's owners, by both layouts while members or N change. */
function majorityNeed(
  knowledge: Knowledge,
  key: StoreKey,
  { n, primaries }: { readonly n: number; readonly primaries: number },
): QuorumNeed {
  const plain = { n, count: majority(n), primaries, durable: 0, zones: 0, onlyZone: null };
  return lifted(raised(plain, knowledge.pending(key, n)), knowledge.extraOf(key, n));
}

/** How many must say that they have not met a write before it is minted for the second time. */
export const recallNeed = (knowledge: Knowledge, key: StoreKey, { n, pw }: QuorumRules) =>
  majorityNeed(knowledge, key, { n, primaries: Math.min(pw, majority(n)) });
