/**
 * How stale an answer is at most, joined from the words of the replicas that it was read from. Each
 * says for every member how long ago that member had acknowledged nothing that the replica does not
 * know (antientropy/claims.ts). For a member the least of these ages counts, because whatever any
 * of the replicas knows is in the answer.
 *
 * One that does not own the key may know all that it acknowledged itself, but for hints that it
 * gave away long ago (`CALM`). Those are in the answer too where every other member is known later
 * than that, and only then does its word count.
 *
 * A write that w replicas acknowledged is missing only where it is missed at all w. So the w - 1
 * members of which least is known may be left out, and the age of the next one is the bound.
 */
import { present } from "../core/assert.ts";
import type { Failure } from "../core/failure.ts";
import { TIMEOUT_MS_MAX } from "../core/limits.ts";
import type { Ages } from "../core/message-values.ts";
import type { Millis } from "../core/time.ts";

export interface BoundNeed {
  /** Of the cluster document by which members are counted. */
  readonly stamp: number;
  readonly memberCount: number;
  /** In ms. */
  readonly maxStaleMs: number;
  /** How many acknowledgements the writes have that are not to be missed. */
  readonly staleW: number;
}

/** In place of an age: a hint was given away, but not for `CALM_MS`. Older releases ignore it. */
export const CALM = -1;
export const CALM_MS = 600_000;
/** A read takes a minute at most; so much less has to be known of the others. */
const KNOWN_MS_MAX = CALM_MS - 2 * TIMEOUT_MS_MAX;

/** Of those that count, in any order; Infinity where nobody knows anything. */
function agesIn({ stamp, memberCount }: BoundNeed, told: readonly Ages[]): number[] {
  const ages = new Array<number>(memberCount).fill(Infinity);
  const calm = new Set<number>();
  for (const { stamp: by, ms } of told) {
    if (by !== stamp || ms.length !== memberCount) continue;
    for (const [i, age] of ms.entries()) {
      if (age === CALM) calm.add(i);
      else if (age !== null && age >= 0 && age < present(ages[i])) ages[i] = age;
    }
  }
  if (calm.size > 0 && ages.every((age, i) => age <= KNOWN_MS_MAX || calm.has(i))) {
    for (const i of calm) ages[i] = 0;
  }
  return ages;
}

type Told = Ages["ms"];

/** A replica that knows nothing of a member, or of its hints, shows nothing of it. */
const ageIn = (told: number | null): number => (told !== null && told >= 0 ? told : Infinity);

/** Mostly one replica answers: then its list is taken as it is, without a copy for each read. */
function joined(need: BoundNeed, told: readonly Ages[]): Told {
  const [only] = told;
  const isOne = told.length === 1 && only !== undefined && only.stamp === need.stamp;
  return isOne && only.ms.length === need.memberCount ? only.ms : agesIn(need, told);
}

/** The greatest age but for `staleW - 1` that are as great or greater; those are few. */
function boundIn(ages: Told, staleW: number): Millis {
  const greatest: Millis[] = [];
  for (const told of ages) {
    const age = ageIn(told);
    let at = greatest.length;
    if (at === staleW) {
      if (present(greatest[at - 1]) >= age) continue;
      at--;
    }
    for (; at > 0 && present(greatest[at - 1]) < age; at--)
      greatest[at] = present(greatest[at - 1]);
    greatest[at] = age;
  }
  // Where every member may be left out, no write can have been acknowledged by so many.
  return greatest[staleW - 1] ?? 0;
}

/** Reads within a millisecond are told the same list, and most ask for the same bound. */
let last: { readonly ages: Told; readonly staleW: number; readonly bound: Millis } | null = null;

function keptBound(ages: Told, staleW: number): Millis {
  if (last?.ages !== ages || last.staleW !== staleW)
    last = { ages, staleW, bound: boundIn(ages, staleW) };
  return last.bound;
}

export interface Proof {
  /** The bound is as low as was asked for, or none was asked for. */
  readonly isEnough: boolean;
  /** What a read's outcome says of it, in ms; undefined where nothing was asked for. */
  readonly staleBoundMs: Millis | undefined;
  /** Why it is not enough. */
  failure(): Failure;
}

class BoundProof implements Proof {
  readonly #need: BoundNeed;
  readonly #ages: Told;
  readonly staleBoundMs: Millis;

  constructor(need: BoundNeed, ages: Told) {
    this.#need = need;
    this.#ages = ages;
    this.staleBoundMs = keptBound(ages, need.staleW);
  }

  get isEnough(): boolean {
    return this.staleBoundMs <= this.#need.maxStaleMs;
  }

  failure(): Failure {
    const { memberCount, maxStaleMs, staleW } = this.#need;
    const achieved = this.#ages.filter((age) => ageIn(age) <= maxStaleMs).length;
    const required = Math.max(0, memberCount - staleW + 1);
    const known = `${achieved} of ${required} required members are known to within`;
    const detail =
      `How stale the answer is cannot be shown: ${known} ${maxStaleMs / 1000} s, for writes ` +
      `that ${staleW} acknowledged.`;
    return { code: "staleness-unproven", detail, required, achieved };
  }
}

/** @param told of those replicas alone whose entries are in the answer */
export const proofOf = (need: BoundNeed, told: readonly Ages[]): Proof =>
  new BoundProof(need, joined(need, told));

/** Of a read that has nothing to show. */
export const nothingToProve: Proof = {
  isEnough: true,
  staleBoundMs: undefined,
  failure: () => {
    throw new Error("nothing was to be proven");
  },
};
