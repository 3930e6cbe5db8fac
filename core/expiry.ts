/**
 * The end of a value: when it comes, what is left of the value then, and when that goes too.
 *
 * A value whose time has passed gives up its **body** at once. What is left is its version: the
 * dot, and whatever its entry's context covers. Digests are of versions alone, so replicas agree
 * whether they have given the body up or not. The version in turn goes by collection, which asks
 * everybody (antientropy/collection.ts), unless it **guards nothing**: an entry that has seen no
 * other version than its one expired value covers nothing that could come back. Each replica
 * forgets such an entry by itself, and does not take it in again.
 */
import { CausalContext } from "./causal-context.ts";
import { type Entry, OVERTAKEN, type Sibling } from "./entry.ts";
import { type DueAt, millisOfHlc, type WallMillis } from "./time.ts";

/** The `expiresAt` of an evicted value: a time that has always been past. */
export const EVICTED: WallMillis = 1;

/** How long what is dead is left alone before collection asks about it, in ms. */
export interface Graces {
  readonly deletedMs: number;
  /** After a value's time has ended, or it was evicted or overtaken. */
  readonly endedMs: number;
}

export const NO_GRACES: Graces = { deletedMs: 0, endedMs: 0 };

/** A flag in the fraction of a `DueAt`: the entry is without any body. */
const BARE_MS = 0.5;
/** The other flag there: the entry guards nothing. */
const LOOSE_MS = 0.25;

const hasEnd = ({ expiresAt }: Sibling): boolean => expiresAt > 0;

/** Whether all that the entry has seen is one value with an end: nothing else could come back. */
function guardsNothing({ context, siblings, retries }: Entry): boolean {
  const [only, another] = siblings;
  if (only === undefined || another !== undefined || retries.length > 0) return false;
  return hasEnd(only) && context.equals(CausalContext.empty.with(only.dot));
}

/** Whether the entry can be forgotten, or not be taken in, by this clock alone. */
export const isSpent = (entry: Entry, now: WallMillis): boolean =>
  entry.siblings.every((sibling) => hasEnd(sibling) && sibling.expiresAt <= now) &&
  guardsNothing(entry);

/** The entry without the bodies whose time has passed; the very same when there are none. */
export function withoutEnded(entry: Entry, now: WallMillis): Entry {
  const isOver = (sibling: Sibling): boolean =>
    sibling.content !== null && hasEnd(sibling) && sibling.expiresAt <= now;
  if (!entry.siblings.some(isOver)) return entry;
  const siblings = entry.siblings.map((sibling) =>
    isOver(sibling) ? { ...sibling, content: null } : sibling,
  );
  return { ...entry, siblings };
}

/**
 * The time from which none of these need be kept anywhere; 0 for never, when one has no end. For no
 * siblings it is `EVICTED`, which is long past.
 */
export const endOf = (siblings: readonly Sibling[]): WallMillis =>
  siblings.every(hasEnd) ? Math.max(EVICTED, ...siblings.map(({ expiresAt }) => expiresAt)) : 0;

/** Whether a body is gone that, by this clock, has time left: another clock was ahead. */
export const gaveUpEarly = ({ siblings }: Pick<Entry, "siblings">, now: WallMillis): boolean =>
  siblings.some((sibling) => sibling.content === null && sibling.expiresAt > now);

/** Until when a body that is gone would be served; 0 when none is gone that had an end. */
export const missedUntil = ({ siblings }: Entry): WallMillis =>
  Math.max(0, ...siblings.map(({ content, expiresAt }) => (content === null ? expiresAt : 0)));

function goneFrom({ expiresAt, time }: Sibling, { deletedMs, endedMs }: Graces): WallMillis {
  if (expiresAt > OVERTAKEN) return expiresAt + endedMs;
  return millisOfHlc(time) + (expiresAt === 0 ? deletedMs : endedMs);
}

/**
 * When the entry is next to be looked at; 0 for never. With bodies in it, that is when the first of
 * them ends; without any, when collection may ask about it. One value without an end keeps the
 * entry, and with it whatever else is in it.
 */
export function dueAt(entry: Entry, graces: Graces = NO_GRACES): DueAt {
  let endsAt = Infinity;
  let goneAt = 0;
  let isBare = true;
  for (const sibling of entry.siblings) {
    if (sibling.content === null) goneAt = Math.max(goneAt, goneFrom(sibling, graces));
    else if (hasEnd(sibling)) endsAt = Math.min(endsAt, sibling.expiresAt);
    isBare &&= sibling.content === null;
  }
  const due = Math.floor(isBare ? goneAt : endsAt);
  if (due === Infinity || due === 0) return 0;
  return due + (isBare ? BARE_MS : 0) + (guardsNothing(entry) ? LOOSE_MS : 0);
}

/** Whether an entry with this `dueAt` has a body, even if an expired one. */
export const holdsValue = (due: DueAt): boolean => due % 1 < BARE_MS;

/** Whether an entry with this `dueAt` guards nothing, and can be forgotten when it is due. */
export const isLoose = (due: DueAt): boolean => due % BARE_MS === LOOSE_MS;

/** The same entry's `dueAt` with another time to look at it. */
export const postponed = (due: DueAt, until: WallMillis): DueAt => Math.floor(until) + (due % 1);
