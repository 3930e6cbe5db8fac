/** How long the longest-waiting hint has been waiting. */
import { decodeEntry } from "../../../core/entry-codec.ts";
import { type Store, StoreCorruption } from "../../../core/store.ts";
import { millisOfHlc, type WallMillis } from "../../../core/time.ts";

/**
 * When the oldest hint's newest version was written; null without hints. The store lists a target's
 * hints oldest first, so one record a target is read, however many there are.
 *
 * @throws StoreCorruption
 */
export function oldestHintAt(store: Store): WallMillis | null {
  let oldest: WallMillis | null = null;
  for (const target of store.hintCounts().keys()) {
    const [key] = store.hintedKeys(target, 1);
    const bytes = key === undefined ? undefined : store.readHint(target, key);
    if (bytes === undefined) continue;
    const { siblings } = decodeEntry(bytes).entry;
    const at = Math.max(...siblings.map(({ time }) => millisOfHlc(time)));
    if (Number.isFinite(at) && (oldest === null || at < oldest)) oldest = at;
  }
  return oldest;
}

/** The same; null also where a record is rotten: that one must not take all else with it. */
export function readableHintAt(store: Store): WallMillis | null {
  try {
    return oldestHintAt(store);
  } catch (error) {
    // The log counts it.
    if (error instanceof StoreCorruption) return null;
    throw error;
  }
}
