/** A replica's replies that say no, and one of the reasons. */

import { type Entry, valueBytes } from "../../core/entry.ts";
import type { FailureCode } from "../../core/failure.ts";
import { SIBLINGS_BYTES_MAX, SIBLINGS_COUNT_DEFAULT } from "../../core/limits.ts";
import type { Reply } from "../../core/messages.ts";
import type { Minted } from "../../replica/minting.ts";

/** Nothing was done: the caller may ask another. */
export const refused = (code: FailureCode): Reply => ({ kind: "refused", code });

/** What the client is to be told, with the context of what is held, or the limit passed. */
export function failed(
  code: FailureCode,
  detail: string,
  entry: Entry | null,
  limit?: number,
): Reply {
  const context = entry?.context ?? null;
  return { kind: "failed", code, detail, numbers: [null, null, limit ?? null], context };
}

/** The limits of siblings are for clients' writes alone: a merge never asks. */
export function tooManySiblings({ before, entry }: Minted): Reply | null {
  const { siblings } = entry;
  if (siblings.length <= before.siblings.length) return null;
  if (siblings.length > SIBLINGS_COUNT_DEFAULT) {
    const count = before.siblings.length;
    const detail = `The key has ${count} siblings. Write with the context given here.`;
    return failed("too-many-siblings", detail, before, SIBLINGS_COUNT_DEFAULT);
  }
  if (siblings.length > 1 && valueBytes(siblings) > SIBLINGS_BYTES_MAX) {
    const detail = "The key's siblings are too large together. Write with the context given here.";
    return failed("too-many-siblings", detail, before, SIBLINGS_BYTES_MAX);
  }
  return null;
}
