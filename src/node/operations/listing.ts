/**
 * One page of a namespace's keys, joined from what every member listed.
 *
 * A member lists its first `limit` keys after the cursor, whatever their state. Beyond the last key
 * of a member that stopped early nothing is known, so the page ends at the earliest such key; up to
 * it, a key's state is the join of what all members said. Keys that were deleted or have expired
 * take room in a member's list and none in the page, so a page may be short, or empty, before the
 * list is complete.
 */
import { type Entry, liveSiblings, merge } from "../../../core/entry.ts";
import { decodedOrNull } from "../../../core/entry-codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { compareUtf8, isNamespace } from "../../../core/keys.ts";
import type { ListOperation } from "../../../core/operations.ts";
import type { ListedKey, ListResult } from "../../../core/results.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Replies } from "../peers/fanout.ts";

/** What one member listed, in order. */
export interface Listing {
  readonly entries: readonly (readonly [string, Entry])[];
  /** Whether there is nothing of the namespace after them. */
  readonly complete: boolean;
}

/** What each member listed; members that sent something else are left out. */
export function listingsOf(replies: Replies): ReadonlyMap<ReplicaId, Listing> {
  const listings = new Map<ReplicaId, Listing>();
  for (const [id, reply] of replies) {
    if (reply.kind !== "listed") continue;
    const entries: (readonly [string, Entry])[] = [];
    for (const [name, bytes] of reply.entries) {
      const entry = decodedOrNull(bytes);
      if (entry !== null) entries.push([name, entry]);
    }
    const isWhole = entries.length === reply.entries.length;
    if (isWhole) listings.set(id, { entries, complete: reply.complete });
  }
  return listings;
}

/** What all members that answered named, up to where the first of them stopped. */
export function namesOf(replies: Replies, limit: number) {
  const from = new Map<ReplicaId, readonly string[]>();
  const byteCounts = new Map<string, number>();
  let horizon: string | null = null;
  for (const [id, reply] of replies) {
    if (reply.kind !== "named" || !reply.names.every(isNamespace)) continue;
    const { names, complete } = reply;
    from.set(id, names);
    for (const [i, name] of names.entries()) {
      const byteCount = reply.byteCounts?.[i];
      // A member of an older version does not say it.
      if (byteCount === undefined) continue;
      byteCounts.set(name, (byteCounts.get(name) ?? 0) + byteCount);
    }
    const last = names.at(-1) ?? null;
    const isEarlier = last !== null && (horizon === null || compareUtf8(last, horizon) < 0);
    if (!complete && isEarlier) horizon = last;
  }
  const all = [...new Set([...from.values()].flat())].sort(compareUtf8);
  const until = horizon;
  const known = until === null ? all : all.filter((name) => compareUtf8(name, until) <= 0);
  const complete = horizon === null && known.length <= limit;
  return { names: known.slice(0, limit), byteCounts, complete, from };
}

interface Joined {
  readonly entries: Map<string, Entry>;
  /** Beyond this key nothing is known; null when every member listed to its end. */
  horizon: string | null;
}

function join(listings: Iterable<Listing>): Joined {
  const joined: Joined = { entries: new Map(), horizon: null };
  for (const { entries, complete } of listings) {
    for (const [name, entry] of entries) {
      const known = joined.entries.get(name);
      joined.entries.set(name, known === undefined ? entry : merge(known, entry));
    }
    const last = entries.at(-1)?.[0] ?? null;
    const isEarlier =
      joined.horizon === null || (last !== null && compareUtf8(last, joined.horizon) < 0);
    if (!complete && last !== null && isEarlier) joined.horizon = last;
  }
  return joined;
}

export function pageOf(
  operation: ListOperation,
  listings: Iterable<Listing>,
  now: WallMillis,
): ListResult {
  const { entries, horizon } = join(listings);
  const names = [...entries.keys()].sort(compareUtf8);
  const keys: ListedKey[] = [];
  let cursor = operation.after;
  for (const name of names) {
    if (horizon !== null && compareUtf8(name, horizon) > 0) break;
    if (keys.length === operation.limit) return { kind: "listed", keys, complete: false, cursor };
    cursor = name;
    const [newest] = liveSiblings(entries.get(name) as Entry, now);
    if (newest === undefined && operation.withDead !== true) continue;
    const { expiresAt = 0, content = null } = newest ?? {};
    keys.push({ name, expiresAt, metadata: content?.metadata ?? null });
  }
  return { kind: "listed", keys, complete: horizon === null, cursor };
}
