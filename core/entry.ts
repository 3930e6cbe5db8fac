/**
 * An entry: what one replica knows of one key.
 *
 * It is the context of every write that the replica has seen, and the siblings among them that are
 * still alive. A dot in the context with no sibling was overwritten; a dot in neither is news. That
 * is all a merge needs: a sibling survives if both sides have it, or if the other side has not seen
 * its dot (the ORSWOT of Riak, dotted version vector sets of Preguiça et al., 2012). A delete is a
 * sibling without content, an expired value one whose time has passed: both go on covering what
 * they replaced until collection has made sure that every member knows (core/expiry.ts).
 *
 * **Retries.** A frontend that heard nothing from a coordinator asks another one. The first may yet
 * have minted a dot: then one write has two. Left alone, the second dot would come back as a false
 * sibling after a client had overwritten the first. So each sibling carries its write's operation
 * id, and a coordinator that mints on a retry notes (operation, dot). So does one that covers a
 * version of which a second may be about. Once any dot of an operation is covered, all of its dots
 * are. Merging stays a join: contexts, notes and "covered" only grow.
 *
 * **Overtaken versions.** Two writes without a context may meet on their way, and the lower of the
 * two versions is over then (src/node/serving/blind-write.ts). Nobody is shown it any more. But its
 * client may have another version of the same *operation*, above the other write, and neither of
 * the two had seen the other. So it stays in the entry as a sibling that is `OVERTAKEN`, without
 * its content. A context that names it was given to somebody who was shown it, and so ends the
 * operation with all of its versions. A join takes a version from live to overtaken to covered,
 * never back. One that was overtaken long ago counts as covered (`RETRIES_BEHIND_MAX`): a key that
 * several clients write all the time would have thousands of them.
 *
 * Limits belong to a client's write, never here: a merge neither refuses nor prunes.
 */
import { assert } from "./assert.ts";
import { CausalContext, type Dot } from "./causal-context.ts";
import type { OpId } from "./ids.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import type { Digest } from "./store.ts";
import type { Hlc, WallMillis } from "./time.ts";

/** What the writer of a value allows caches, in whole seconds from the write on; 0: not said. */
export interface CacheLife {
  /** `max-age`: any cache. */
  readonly maxAge: number;
  /** `s-maxage`: those that answer to several clients. */
  readonly sharedMaxAge: number;
}

/** What a client stored. */
export interface Content {
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string | null;
  readonly contentLanguage: string | null;
  readonly contentDisposition: string | null;
  /** JSON text. */
  readonly metadata: string | null;
  readonly tags: readonly string[];
  /** Absent: the writer said nothing of caches. */
  readonly cacheLife?: CacheLife;
}

export interface Sibling {
  readonly dot: Dot;
  readonly time: Hlc;
  readonly op: OpId;
  /**
   * Never served from this instant on; 0 for never, `EVICTED` for a value that had to make room,
   * `OVERTAKEN` for a version that another write overtook.
   */
  readonly expiresAt: WallMillis;
  /** null in a tombstone, and where an expired value's body was given up. */
  readonly content: Content | null;
}

/** The `expiresAt` of an overtaken version: a time that has always been past. */
export const OVERTAKEN: WallMillis = 2;

/** The operation of an overtaken version that is known here by its dot alone. */
export const UNKNOWN_OP: OpId = "";

export const isOvertaken = ({ expiresAt }: Pick<Sibling, "expiresAt">): boolean =>
  expiresAt === OVERTAKEN;

const isStanding = (sibling: Sibling): boolean => !isOvertaken(sibling);

/** All of the siblings but what was overtaken. */
export const standingIn = ({ siblings }: Pick<Entry, "siblings">): readonly Sibling[] =>
  siblings.every(isStanding) ? siblings : siblings.filter(isStanding);

/** All that was seen and is covered: no sibling's dot. */
export const coveredIn = ({ context, siblings }: Entry): CausalContext =>
  context.withoutAll(siblings.map(({ dot }) => dot));

/** A note that the operation was minted a second time, under this dot. */
export interface Retry {
  readonly op: OpId;
  readonly dot: Dot;
}

export interface Entry {
  readonly context: CausalContext;
  /** Ascending by actor, then counter. */
  readonly siblings: readonly Sibling[];
  readonly retries: readonly Retry[];
}

export const emptyEntry: Entry = { context: CausalContext.empty, siblings: [], retries: [] };

/** Ascending by actor, then counter. */
export function compareDots(a: Dot, b: Dot): number {
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1;
  return a.counter - b.counter;
}

export const sameDot = (a: Dot, b: Dot): boolean => a.counter === b.counter && a.actor === b.actor;

export const hasDot = (siblings: readonly Sibling[], dot: Dot): boolean =>
  siblings.some((sibling) => sameDot(sibling.dot, dot));

/** Finds items by dots that are asked for in ascending order, which is the list's order too. */
function finderIn<Item extends { readonly dot: Dot }>(
  list: readonly Item[],
): (dot: Dot) => Item | undefined {
  let at = 0;
  return (dot) => {
    let item = list[at];
    while (item !== undefined && compareDots(item.dot, dot) < 0) item = list[++at];
    return item !== undefined && sameDot(item.dot, dot) ? item : undefined;
  };
}

/** @param a ascending by their dots, other than `b` */
function joinRetries(a: readonly Retry[], b: readonly Retry[]): readonly Retry[] {
  if (b.length === 0) return a;
  const ascending = [...b].sort((x, y) => compareDots(x.dot, y.dot));
  const known = finderIn(a);
  const isNew = ({ dot }: Retry, i: number): boolean => {
    const before = ascending[i - 1];
    return known(dot) === undefined && (before === undefined || !sameDot(before.dot, dot));
  };
  const fresh = ascending.filter(isNew);
  if (fresh.length === 0) return a;
  return [...a, ...fresh].sort((x, y) => compareDots(x.dot, y.dot));
}

/**
 * How many of an actor's latest mintings keep their notes and overtaken versions: no second copy of
 * an older write is on its way any more. What is forgotten depends on the entry alone and only
 * grows with its context, so replicas agree on it. Notes and versions go together: a noted version
 * that is not there any more counts as covered, and its operation with it.
 */
export const RETRIES_BEHIND_MAX = 128;

/** The same list when there is nothing to forget. */
function recent<Item extends { readonly dot: Dot }>(
  context: CausalContext,
  list: readonly Item[],
  isKept: (item: Item) => boolean,
): readonly Item[] {
  const isRecent = (item: Item): boolean =>
    isKept(item) || item.dot.counter + RETRIES_BEHIND_MAX > context.latest(item.dot.actor);
  return list.every(isRecent) ? list : list.filter(isRecent);
}

/** Forgets what is old, and drops siblings whose operation is covered under another of its dots. */
function settle(unbounded: Entry): Entry {
  const { context } = unbounded;
  const retries = recent(context, unbounded.retries, () => false);
  const siblings = recent(context, unbounded.siblings, isStanding);
  const isBounded = retries === unbounded.retries && siblings === unbounded.siblings;
  const entry = isBounded ? unbounded : { context, siblings, retries };
  if (retries.length === 0) return entry;
  const coveredOps = new Set<OpId>();
  const held = finderIn(entry.siblings);
  for (const { op, dot } of entry.retries) {
    if (held(dot) === undefined && entry.context.covers(dot)) coveredOps.add(op);
  }
  if (coveredOps.size === 0) return entry;
  return { ...entry, siblings: entry.siblings.filter((sibling) => !coveredOps.has(sibling.op)) };
}

/**
 * Notes further dots of operations that are known to have been minted twice: those of siblings, and
 * those that the caller remembers. A local step, not part of the merge; it only adds.
 */
export function noteAliases(entry: Entry, remembered: readonly Retry[]): Entry {
  if (entry.retries.length === 0) return entry;
  const retried = new Set(entry.retries.map(({ op }) => op));
  const aliases = [...entry.siblings, ...remembered]
    .filter(({ op, dot }) => retried.has(op) && entry.context.covers(dot))
    .map(({ op, dot }) => ({ op, dot }));
  return noteDots(entry, aliases);
}

/**
 * Notes dots of operations that may have a second dot elsewhere. Like `noteAliases` it only adds.
 */
export const noteDots = (entry: Entry, notes: readonly Retry[]): Entry =>
  notes.length === 0 ? entry : settle({ ...entry, retries: joinRetries(entry.retries, notes) });

/**
 * One version in two copies. One of them may have given up its body by a clock that was ahead:
 * whether a version is over is decided where it is served. A purged value, which has no end, stays
 * purged, and an overtaken version stays overtaken.
 */
function richer(mine: Sibling, theirs: Sibling | undefined): Sibling {
  if (theirs !== undefined && (isOvertaken(mine) || isOvertaken(theirs))) {
    const { dot, time, op } = mine.op === UNKNOWN_OP ? theirs : mine;
    return { dot, time, op, expiresAt: OVERTAKEN, content: null };
  }
  const hasMore = mine.content === null && mine.expiresAt > 0 && theirs !== undefined;
  return hasMore && theirs.content !== null ? theirs : mine;
}

/**
 * Whether `b` knows all that `a` does, and nothing in `b` is known to `a`: it replaces `a`, as the
 * usual write does. Where there are notes of retries, only the whole join can tell.
 */
const replaces = (b: Entry, a: Entry): boolean =>
  a.retries.length === 0 &&
  b.retries.length === 0 &&
  b.siblings.every(({ dot }) => !a.context.covers(dot)) &&
  b.context.includes(a.context);

/**
 * The join of two entries of one key: commutative, associative, idempotent. It is `b` itself where
 * that replaces `a`, so that a caller that has its bytes need not encode it.
 */
export function merge(a: Entry, b: Entry): Entry {
  // What a quorum's first reply is joined into, and a replica's first write.
  if (a === emptyEntry) return settle(b);
  if (replaces(b, a)) return b;
  const kept: Sibling[] = [];
  const inB = finderIn(b.siblings);
  for (const sibling of a.siblings) {
    const theirs = inB(sibling.dot);
    if (theirs === undefined && b.context.covers(sibling.dot)) continue;
    kept.push(richer(sibling, theirs));
  }
  const gained = b.siblings.filter((sibling) => !a.context.covers(sibling.dot));
  const siblings = gained.length === 0 ? kept : [...kept, ...gained];
  if (gained.length > 0) siblings.sort((x, y) => compareDots(x.dot, y.dot));
  return settle({
    context: a.context.join(b.context),
    siblings,
    retries: joinRetries(a.retries, b.retries),
  });
}

/** The same knowledge: equal contexts, equal siblings (a dot names one content for ever). */
export function sameKnowledge(a: Entry, b: Entry): boolean {
  if (a.siblings.length !== b.siblings.length || a.retries.length !== b.retries.length)
    return false;
  const isIn = ({ siblings }: Entry, one: Sibling): boolean =>
    siblings.some(
      (other) => sameDot(other.dot, one.dot) && isOvertaken(other) === isOvertaken(one),
    );
  return a.siblings.every((sibling) => isIn(b, sibling)) && a.context.equals(b.context);
}

/**
 * The entry in which these versions are overtaken; one may be named several times. A version that
 * was never held enters by its dot alone; a covered one stays covered.
 */
export function overtake(entry: Entry, versions: readonly Pick<Sibling, "dot" | "time">[]): Entry {
  if (versions.length === 0) return entry;
  const end = { expiresAt: OVERTAKEN, content: null } as const;
  const isOne = ({ dot }: Sibling): boolean => versions.some((one) => sameDot(one.dot, dot));
  let { context } = entry;
  const siblings = entry.siblings.map((one) => (isOne(one) ? { ...one, ...end } : one));
  for (const { dot, time } of versions) {
    if (context.covers(dot)) continue;
    context = context.with(dot);
    siblings.push({ dot, time, op: UNKNOWN_OP, ...end });
  }
  siblings.sort((x, y) => compareDots(x.dot, y.dot));
  return settle({ ...entry, context, siblings });
}

/**
 * What a write without a context covers: all that is held, except versions that were overtaken
 * after `since`. Another version of the same operation may be on its way, and its client may yet be
 * answered.
 */
export function heldBy({ context, siblings }: Entry, since: Hlc): CausalContext {
  const left = siblings.filter((sibling) => isOvertaken(sibling) && sibling.time > since);
  return context.withoutAll(left.map(({ dot }) => dot));
}

export interface Mint {
  readonly sibling: Sibling;
  /** What the write replaces. */
  readonly covers: CausalContext;
  /** Whether another coordinator may already have minted this operation. */
  readonly isRetry: boolean;
}

/** The entry after a write: what its context covers goes, the new sibling comes. */
export function applyMint(entry: Entry, mint: Mint): Entry {
  const { sibling, covers } = mint;
  assert(!entry.context.covers(sibling.dot), "a dot is minted once");
  assert(!covers.covers(sibling.dot), "a write does not cover itself");
  const siblings = entry.siblings.filter((other) => !covers.covers(other.dot));
  siblings.push(sibling);
  siblings.sort((x, y) => compareDots(x.dot, y.dot));
  const retry: Retry = { op: sibling.op, dot: sibling.dot };
  return settle({
    context: entry.context.join(covers).with(sibling.dot),
    siblings,
    retries: mint.isRetry ? joinRetries(entry.retries, [retry]) : entry.retries,
  });
}

/** Whether a read may serve it. */
export const isLive = (sibling: Sibling, now: WallMillis): boolean =>
  sibling.content !== null && (sibling.expiresAt === 0 || now < sibling.expiresAt);

type Timed = Pick<Sibling, "dot" | "time">;

/** Newest first by the write's time, ties broken by the dot: the same order on every frontend. */
export function newestFirst(a: Timed, b: Timed): number {
  return b.time - a.time || compareDots(b.dot, a.dot);
}

/** The live values that a client can be shown, newest first, an operation's second dot left out. */
export function liveSiblings(entry: Entry, now: WallMillis): readonly Sibling[] {
  const live = entry.siblings.filter((sibling) => isLive(sibling, now));
  if (live.length < 2) return live;
  live.sort(newestFirst);
  return live.filter((s, i) => live.findIndex((other) => other.op === s.op) === i);
}

/**
 * The context of an answer that showed only `shown`: everything seen, but for the live siblings
 * that were not shown, and for what was overtaken of other operations. A client that writes it back
 * overwrites nothing that it has not seen.
 */
export function contextShowing(
  entry: Entry,
  shown: readonly Sibling[],
  now: WallMillis,
): CausalContext {
  const isHidden = (sibling: Sibling): boolean =>
    (isLive(sibling, now) || isOvertaken(sibling)) && !shown.some(({ op }) => op === sibling.op);
  const hidden = entry.siblings.filter(isHidden);
  return hidden.length === 0
    ? entry.context
    : entry.context.withoutAll(hidden.map(({ dot }) => dot));
}

/** The context of an answer about all that is there, dead or alive. */
export const contextOfAll = (entry: Entry): CausalContext =>
  contextShowing(entry, standingIn(entry), 0);

const dotText = (dot: Dot): string => `${dot.actor}.${dot.counter}`;

/** Equal exactly when two replicas know the same of the key. */
export function digestOf(entry: Entry, hash: KeyedHash): Digest {
  let text = entry.context.toString();
  for (const sibling of entry.siblings) {
    text += `|${dotText(sibling.dot)}${isOvertaken(sibling) ? "!" : ""}`;
  }
  for (const retry of entry.retries) text += `~${retry.op}${dotText(retry.dot)}`;
  return hash.digest(text);
}

interface Digested {
  readonly hash: KeyedHash;
  readonly digest: Digest;
}
const digested = new WeakMap<Entry, Digested>();

/**
 * The same for an entry that is looked at again and again: a hot one that a store has kept.
 *
 * @param stored the digest, where a store's index has it
 */
export function keptDigestOf(
  entry: Entry,
  hash: KeyedHash,
  stored: () => Digest | undefined = () => undefined,
): Digest {
  const known = digested.get(entry);
  if (known !== undefined && known.hash === hash) return known.digest;
  const digest = stored() ?? digestOf(entry, hash);
  digested.set(entry, { hash, digest });
  return digest;
}

/** A strong validator of the versions shown (RFC 9110, 8.8.3), quotes included. */
export function etagOf(shown: readonly Sibling[], hash: KeyedHash): string {
  const dots = shown.map((sibling) => dotText(sibling.dot)).sort();
  return `"${hash.hex(dots.join("|"))}"`;
}

export const valueBytes = (siblings: readonly Sibling[]): number =>
  siblings.reduce((sum, sibling) => sum + (sibling.content?.value.length ?? 0), 0);
