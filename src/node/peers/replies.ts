/** A replica's replies to the caller of a write: refusals with their reasons, and results. */

import {
  contextOfAll,
  contextShowing,
  type Entry,
  liveSiblings,
  standingIn,
  valueBytes,
} from "../../../core/entry.ts";
import { dueAt, holdsValue } from "../../../core/expiry.ts";
import type { Failure, FailureCode } from "../../../core/failure.ts";
import { SIBLINGS_BYTES_MAX, SIBLINGS_COUNT_DEFAULT } from "../../../core/limits.ts";
import type { Reply } from "../../../core/messages.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import { withoutValue } from "../../../core/told-entry.ts";
import type { HeldWrite, Minted } from "../../../replica/minting.ts";
import { usedBytes } from "../../../replica/usage.ts";

export type Respond = (reply: Reply) => void;

/** Nothing was done: the caller may ask another. */
export const refused = (code: FailureCode): Reply => ({ kind: "refused", code });

/** What the client is to be told, with the context of all that lives, or the limit passed. */
export function failed(
  code: FailureCode,
  detail: string,
  entry: Entry | null,
  limit?: number,
): Reply {
  const context = entry === null ? null : contextOfAll(entry);
  const numbers = { required: null, achieved: null, limit: limit ?? null };
  return { kind: "failed", code, detail, numbers, context };
}

/** The outcome of a coordinator that too few have answered. */
export function unmet({ code, detail, required, achieved }: Failure): Reply {
  const numbers = { required: required ?? null, achieved: achieved ?? null, limit: null };
  return { kind: "failed", code, detail, numbers, context: null };
}

/** The version is there, and counts as written before a purge that may have ended before it. */
export const purgedMeanwhile = (): Reply =>
  failed(
    "quorum-unavailable",
    "A purge ended what was written, as it was written. Try again.",
    null,
  );

/** The limits of siblings are for clients' writes alone: a merge never asks. */
export function tooManySiblings({ before, entry }: Minted): Reply | null {
  const siblings = standingIn(entry);
  const count = standingIn(before).length;
  if (siblings.length <= count) return null;
  if (siblings.length > SIBLINGS_COUNT_DEFAULT) {
    const detail = `The key has ${count} siblings. Write with the context given here.`;
    return failed("too-many-siblings", detail, before, SIBLINGS_COUNT_DEFAULT);
  }
  if (siblings.length > 1 && valueBytes(siblings) > SIBLINGS_BYTES_MAX) {
    const detail = "The key's siblings are too large together. Write with the context given here.";
    return failed("too-many-siblings", detail, before, SIBLINGS_BYTES_MAX);
  }
  return null;
}

/** No eviction could make room for it. A merge never asks this: only a client's write does. */
export function tooLarge(
  key: StoreKey,
  { entry, bytes }: Minted,
  { maxBytes }: Pick<NamespaceSettings, "maxBytes">,
): Reply | null {
  const fits = maxBytes === null || usedBytes(key, bytes.length) <= maxBytes;
  if (fits || !holdsValue(dueAt(entry))) return null;
  const detail = `The key with all of its values is larger than its namespace's "maxBytes".`;
  return failed("insufficient-storage", detail, null, maxBytes);
}

/**
 * What the writer is told of the entry. Its own version counts even when it is no longer among the
 * siblings: after a retry, another version of the operation may have been overwritten already.
 */
export function toldOf({ entry, sibling }: HeldWrite, withValue: boolean, now: WallMillis) {
  const isThere = entry.siblings.includes(sibling);
  const all = isThere ? entry : { ...entry, siblings: [...entry.siblings, sibling] };
  return {
    sibling: withValue ? sibling : withoutValue(sibling),
    context: contextShowing(all, [sibling], now),
    siblingCount: liveSiblings(isThere ? all : entry, now).length,
  };
}
