/**
 * How far a disk may be behind. What is written lies in memory until it is durable, and a client's
 * answer does not wait for every disk: without a bound the slowest disk would fill its node's
 * memory.
 *
 * So a replica that is far behind coordinates nothing new, and its clients are told to come again
 * (429: nothing was done). Writes that were minted elsewhere have three times as much room, because
 * the coordinators of six nodes may all send here what they let in. Beyond that they are refused
 * too: another replica keeps them for this one (a hint), or they come by anti-entropy.
 */
import type { Reply } from "../../../core/messages.ts";
import type { Store } from "../../../core/store.ts";
import { failed } from "../peers/replies.ts";

/** How much may wait for the disk when a write begins here, in bytes. */
export const BEGUN_BYTES_MAX = 64 * 1024 * 1024;
/** The same when others send theirs; one entry may be on top of it. */
export const STAGED_BYTES_MAX = 192 * 1024 * 1024;

const isBehind = ({ stagedByteCount = 0 }: Store, byteCountMax: number): boolean =>
  stagedByteCount > byteCountMax;

/** What a client's write that wants to begin here is told; null: there is room for it. */
export function noRoomToBegin(store: Store): Reply | null {
  if (!isBehind(store, BEGUN_BYTES_MAX)) return null;
  return failed("overloaded", "The coordinator's disk is behind. Try again shortly.", null);
}

/** Whether there is no room for what others send, nor for hints of what is sent to them. */
export const lacksRoom = (store: Store): boolean => isBehind(store, STAGED_BYTES_MAX);
