/**
 * The conditions of a write (RFC 9110, 13.1), held against what a read quorum knows: whether the
 * write may be carried out, and what it then replaces.
 *
 * **A condition names what its client was shown.** Without a context the write replaces exactly
 * that, as a context of the same answer would have it: a sibling that was not shown stays, and so
 * does whatever comes in between the read and the write. So of several writes that pass at once,
 * none covers another: all of them stand as siblings, and each can see it.
 */
import type { CausalContext } from "../../../core/causal-context.ts";
import {
  contextShowing,
  type Entry,
  etagOf,
  liveSiblings,
  type Sibling,
} from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import type { RequestOf } from "../../../core/messages.ts";
import { millisOfHlc, type WallMillis } from "../../../core/time.ts";

type Conditions = Pick<
  RequestOf<"coordinate">,
  "ifMatch" | "ifNoneMatch" | "unmodifiedSince" | "covers"
>;

export type Verdict =
  | { readonly isBroken: true; readonly why: string }
  | { readonly isBroken: false; readonly covers: CausalContext };

export const hasConditions = (of: Omit<Conditions, "covers">): boolean =>
  of.ifMatch.length + of.ifNoneMatch.length + of.unmodifiedSince > 0;

/** Dates have whole seconds, and so has the one that the client was told. */
const secondOf = (ms: WallMillis): number => Math.floor(ms / 1000);

/**
 * The live values that entity tags name: one of them by its own tag, as a plain answer carries it
 * or a part of an answer with all siblings; all of them by the tag of an answer that shows all, or
 * by `*`.
 */
function namedBy(
  tags: readonly unknown[],
  live: readonly Sibling[],
  hash: KeyedHash,
): readonly Sibling[] {
  if (tags.length === 0 || live.length === 0) return [];
  if (tags.includes("*") || tags.includes(etagOf(live, hash))) return live;
  return live.filter((sibling) => tags.includes(etagOf([sibling], hash)));
}

/**
 * The value that `If-Unmodified-Since` names: the newest, whose date its client was told; null when
 * its date is later than that. Where there is no value there is no date, and so no such condition
 * (13.1.4).
 */
function unmodified(since: WallMillis, live: readonly Sibling[]): readonly Sibling[] | null {
  const [newest] = live;
  if (newest === undefined) return live;
  return secondOf(millisOfHlc(newest.time)) > secondOf(since) ? null : [newest];
}

/** @param entry all that a read quorum holds of the key, joined */
export function judgeConditions(
  { ifMatch, ifNoneMatch, unmodifiedSince, covers }: Conditions,
  entry: Entry,
  { now, hash }: { readonly now: WallMillis; readonly hash: KeyedHash },
): Verdict {
  const live = liveSiblings(entry, now);
  const named = namedBy(ifMatch, live, hash);
  if (ifMatch.length > 0 && named.length === 0) {
    const why = "What If-Match names is not stored now. Read the key again.";
    return { isBroken: true, why };
  }
  // A date says less than a tag, and counts only where there is no tag (13.2.2).
  const dated =
    ifMatch.length > 0 || unmodifiedSince === 0 ? live : unmodified(unmodifiedSince, live);
  if (dated === null) {
    const why = "The value was modified since the date of If-Unmodified-Since. Read the key again.";
    return { isBroken: true, why };
  }
  if (namedBy(ifNoneMatch, live, hash).length > 0) {
    return { isBroken: true, why: "If-None-Match names a version that is stored now." };
  }
  // If-None-Match says what is not there: the write replaces whatever its read has found.
  const shown = ifMatch.length > 0 ? named : dated;
  return { isBroken: false, covers: covers ?? contextShowing(entry, shown, now) };
}
