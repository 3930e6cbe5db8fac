/** Looks of a change feed at the nodes of a group, and what they tell in words. */
import type { ChangesOperation, ChangesResult, FeedChange } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { keyOf } from "../../core/keys.ts";
import type { Group } from "./group.ts";

const ALL = 1000;

export const operation = (more: Partial<ChangesOperation>): ChangesOperation => ({
  ...{ kind: "changes", namespace: "demo", prefix: "", from: "now", values: false, limit: ALL },
  ...{ byteCountMax: 1e6, holdMs: 0, feed: "one" },
  ...more,
});

export function lookIn(
  group: Group,
  at: ReplicaId,
  more: Partial<ChangesOperation>,
): ChangesResult {
  const result = group.execute(at, operation(more));
  if (result.kind !== "changes") throw new Error(JSON.stringify(result));
  return result;
}

/** Looks until all is told. */
export function followIn(
  group: Group,
  at: ReplicaId,
  from: ChangesOperation["from"],
): ChangesResult {
  const changes: FeedChange[] = [];
  let place = from;
  for (let i = 0; i < 50; i++) {
    const found = lookIn(group, at, { from: place, limit: 7 });
    changes.push(...found.changes);
    if (found.isCaughtUp) return { ...found, changes };
    place = found.position;
  }
  throw new Error("never caught up");
}

/** A change as a word: the key, `-key` where nothing of it is left, or the mark. */
export function wordOf(change: FeedChange): string {
  if (change.what === "purge") return JSON.stringify(change.rule);
  if (change.what !== "key") return change.what;
  const siblings = change.entry === null ? [] : change.entry.decoded.siblings;
  const isThere = siblings.some(({ content }) => content !== null);
  return `${isThere ? "" : "-"}${keyOf(change.key)}`;
}
export const wordsOf = ({ changes }: ChangesResult): readonly string[] => changes.map(wordOf);
