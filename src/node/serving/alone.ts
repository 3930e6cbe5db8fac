/**
 * A write that comes without what stands beside it. It is taken in only where it makes the very
 * entry of it that its coordinator has, so that it is the same as if all of that had come. What it
 * covers is what its client has seen, and a client may have seen a version without the one beside
 * it that has replaced that: a replica that lacks the second would end up with neither.
 */
import { digestOf, merge } from "../../../core/entry.ts";
import { decodeEntry } from "../../../core/entry-codec.ts";
import { gaveUpEarly } from "../../../core/expiry.ts";
import type { RequestOf } from "../../../core/messages.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";

/**
 * Whether this replica would have all of the entry with what comes, and nothing else.
 *
 * @throws CodecError when what comes is no entry
 */
export function completes(
  keeper: Pick<Keeper, "own">,
  { key, entry, digest }: RequestOf<"storeAlone">,
  { hash, purges }: Pick<Knowledge, "hash" | "purges">,
  now: WallMillis,
): boolean {
  const part = purges.apply(key, decodeEntry(entry).entry);
  const own = keeper.own(key);
  // A body that it gave up too early is no part of a digest, and comes with all of the entry.
  if (own.isUnknown || gaveUpEarly(own.entry, now)) return false;
  return digestOf(merge(own.entry, part), hash) === digest;
}
