/**
 * One page of a namespace's keys, joined from what every member listed.
 *
 * A member lists its first `limit` keys after the cursor, whatever their state. Beyond the last key
 * of a member that stopped early nothing is known, so the page ends at the earliest such key; up to
 * it, a key's state is the join of what all members said. Keys that were deleted or have expired
 * take room in a member's list and none in the page, so a page may be short, or empty, before the
 * list is complete.
 */
import { type Entry, liveSiblings, merge } from "../../core/entry.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import { compareUtf8 } from "../../core/keys.ts";
import type { ListedKey, ListOperation, ListResult } from "../../core/operations.ts";
import type { Millis } from "../../core/time.ts";
import type { Replies } from "./fanout.ts";

interface Joined {
  readonly entries: Map<string, Entry>;
  /** Beyond this key nothing is known; null when every member listed to its end. */
  horizon: string | null;
}

function join(replies: Replies): Joined {
  const joined: Joined = { entries: new Map(), horizon: null };
  for (const reply of replies.values()) {
    if (reply.kind !== "listed") continue;
    let last: string | null = null;
    for (const item of reply.keys) {
      const [name, bytes] = item as [string, Uint8Array];
      const { entry } = decodeEntry(bytes);
      const known = joined.entries.get(name);
      joined.entries.set(name, known === undefined ? entry : merge(known, entry));
      last = name;
    }
    const isEarlier =
      joined.horizon === null || (last !== null && compareUtf8(last, joined.horizon) < 0);
    if (!reply.complete && last !== null && isEarlier) joined.horizon = last;
  }
  return joined;
}

export function pageOf(operation: ListOperation, replies: Replies, now: Millis): ListResult {
  const { entries, horizon } = join(replies);
  const names = [...entries.keys()].sort(compareUtf8);
  const keys: ListedKey[] = [];
  let cursor = operation.after;
  for (const name of names) {
    if (horizon !== null && compareUtf8(name, horizon) > 0) break;
    if (keys.length === operation.limit) return { kind: "listed", keys, complete: false, cursor };
    cursor = name;
    const [newest] = liveSiblings(entries.get(name) as Entry, now);
    if (newest === undefined) continue;
    keys.push({ name, expiresAt: newest.expiresAt, metadata: newest.content?.metadata ?? null });
  }
  return { kind: "listed", keys, complete: horizon === null, cursor };
}
