/** What a replica has of one key in one place: its own record, or the hint for one member. */
import type { CausalContext } from "../core/causal-context.ts";
import { type Entry, emptyEntry } from "../core/entry.ts";
import type { Tenure } from "../core/entry-codec.ts";
import { gaveUpEarly } from "../core/expiry.ts";
import type { Bytes } from "../core/pieces.ts";
import type { WallMillis } from "../core/time.ts";

/** What a place holds when an entry was joined into it. */
export interface Joined {
  readonly entry: Entry;
  /** What it had held before could not be read. */
  readonly wasUnknown: boolean;
  /** Nothing was learnt by what came. */
  readonly wasThere: boolean;
}

/** The same, and the entry that came. */
export interface Taken extends Joined {
  readonly incoming: Entry;
  /** It is a second version of a write, and what was held may have seen the first. */
  readonly mayHaveSeen: boolean;
}

export interface Slot {
  readonly entry: Entry;
  readonly tenure: Tenure | null;
  readonly bytes: Bytes | null;
  readonly isUnknown: boolean;
  /** The record in the store still has what was purged; this is what it would be rewritten to. */
  readonly isPurged?: true;
}

/**
 * Whether somebody knows of more mintings under the slot's tenure than the slot itself does. Then
 * the record is older than the replica's past (a restored backup, a disk that went back in time),
 * and nobody can say how many more there were: the tenure is void.
 */
export function outlived({ entry, tenure }: Slot, context: CausalContext): boolean {
  if (tenure === null) return false;
  return context.latest(tenure.actor) > entry.context.latest(tenure.actor);
}

/**
 * Whether what came makes up for what is lost here: it says something of the key and, where only a
 * body is missing, something of that very version. What was written elsewhere meanwhile may not.
 */
export function refills({ entry }: Slot, { context }: Entry, now: WallMillis): boolean {
  const unsaid = entry.siblings.filter(({ dot }) => !context.covers(dot));
  return !context.isEmpty && !gaveUpEarly({ siblings: unsaid }, now);
}

export const emptySlot: Slot = { entry: emptyEntry, tenure: null, bytes: null, isUnknown: false };
