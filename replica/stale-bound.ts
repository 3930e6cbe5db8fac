/**
 * How stale an answer is at most, joined from what the replicas say that it was read from. Each
 * says for every member how long ago that had acknowledged nothing that the replica does not know
 * (antientropy/claims.ts). Of a member the youngest of these counts: what one of the replicas knows
 * is in the answer.
 *
 * A write that w replicas acknowledged is missing only where it is missed at all w. So the w - 1
 * members of which least is known may be left out, and the next one is the bound.
 */
import type { Failure } from "../core/failure.ts";
import type { Ages } from "../core/message-values.ts";

export interface BoundNeed {
  /** Of the cluster document by which members are counted. */
  readonly stamp: number;
  readonly memberCount: number;
  /** In ms. */
  readonly maxStaleMs: number;
  /** How many acknowledgements the writes have that are not to be missed. */
  readonly staleW: number;
}

/** Oldest first; Infinity where nobody knows anything. */
function agesIn({ stamp, memberCount }: BoundNeed, told: readonly Ages[]): readonly number[] {
  const ages = new Array<number>(memberCount).fill(Infinity);
  for (const { stamp: by, ms } of told) {
    if (by !== stamp || ms.length !== memberCount) continue;
    for (const [i, age] of ms.entries()) {
      if (age !== null && age >= 0 && age < (ages[i] ?? 0)) ages[i] = age;
    }
  }
  return ages.sort((a, b) => b - a);
}

export interface Proof {
  /** The bound is as low as it was asked for, or none was. */
  readonly isEnough: boolean;
  /** What a read's outcome says of it. */
  readonly shown: { readonly staleBoundMs?: number };
  /** Why it is not enough. */
  failure(): Failure;
}

/** @param told of those replicas alone whose entries are in the answer */
export function proofOf(need: BoundNeed, told: readonly Ages[]): Proof {
  const { memberCount, maxStaleMs, staleW } = need;
  const ages = agesIn(need, told);
  // Where every member may be left out, nothing can have been acknowledged by more.
  const staleBoundMs = ages[staleW - 1] ?? 0;
  const failure = (): Failure => {
    const achieved = ages.filter((age) => age <= maxStaleMs).length;
    const required = Math.max(0, memberCount - staleW + 1);
    const known = `${achieved} of ${required} required members are known to within`;
    const detail =
      `How stale the answer is cannot be shown: ${known} ${maxStaleMs / 1000} s, for writes ` +
      `that ${staleW} acknowledged.`;
    return { code: "staleness-unproven", detail, required, achieved };
  };
  return { isEnough: staleBoundMs <= maxStaleMs, shown: { staleBoundMs }, failure };
}

/** Of a read that has nothing to show. */
export const nothingToProve: Proof = {
  isEnough: true,
  shown: {},
  failure: () => {
    throw new Error("nothing was to be proven");
  },
};
