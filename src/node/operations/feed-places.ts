/**
 * Where a feed is at every member, so that it goes on with another one when a source is away.
 *
 * **The law.** Place p in the order of member C claims: every change that arrived at C up to p, of
 * the feed's keys in a partition that C owns, was told to whoever has the token, or is covered by
 * what was told, or is older than the feed. A source's `after` claims this for the partitions that
 * it is read for; `proven` claims it for all that C owns.
 *
 * **How it is proven.** Source S has been read to the end of its order, and says with it: my mark
 * of C is m (antientropy/marks.ts). All that C had up to m, of what S owns, was at S then, and so
 * was told. When each source that tells of a partition of C has said so, the least of the m's is
 * proven. It stays so while C's order has that name, for what was told stays told. But when a
 * source begins anew its reader forgets, and then nothing is proven by that source.
 *
 * **Another source** goes on from the place that is proven of it. It may tell older versions of
 * keys than the source before it had told. So before it tells anything it says its marks, and from
 * then on no more is proven of any other order than what it holds itself.
 *
 * **What a source told, and nobody else has.** A feed that left S goes on with others, though S may
 * have told what no other member holds. S has it on its disk: nothing is wrong until S comes back
 * without it. So when S is there again the feed asks it how far its order has come, and lets go of
 * the matter when all that tell in its place have marks of S up to there. If its order has another
 * name by then, the partitions that S owns begin anew.
 *
 * **A reader may have got more than its token says**, up to what came with the next token, when its
 * connection broke. So nothing is told for a reason that is not in the token yet: a change of
 * sources and a new beginning are steps of their own, whose token is out before what follows from
 * them.
 *
 * **Ends of time** take no place in an order: each replica by itself forgets keys that guard
 * nothing. `dueThrough` claims that no source still has such a key whose time was over by then, and
 * that all that ended there was told. So another source has to tell the keys that ended after it.
 */
import type { FeedMark, FeedPosition, MemberPlace, SourcePosition } from "../../../core/feed.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Ring } from "../../../ring/ring.ts";
import { type Sharing, sharingOf } from "../serving/feed-layout.ts";

/** A place in an order that has this name. */
export type Place = Omit<MemberPlace, "id">;

/** What a source said with an answer of which everything was taken. */
export interface Said {
  /** By member, the place up to which it has what arrived there. */
  readonly marks: ReadonlyMap<ReplicaId, Place>;
  /** Where its own order ended; null when there was more to tell. */
  readonly end: Place | null;
  readonly dueThrough: WallMillis;
}

export interface Told {
  /** The sources, and how far the feed is with each of them now. */
  readonly sources: readonly SourcePosition[];
  readonly said: ReadonlyMap<ReplicaId, Said>;
  /** Of sources that were left: where their orders end now. */
  readonly returned: ReadonlyMap<ReplicaId, Place>;
}

type Places = Pick<FeedPosition, "sources" | "proven" | "left" | "dueThrough">;

/** Where nothing was told yet. */
export const NOWHERE: Places = { sources: [], proven: [], left: [], dueThrough: 0 };

/** A source to be read from its beginning. */
export const fresh = (id: ReplicaId, isResync: boolean): SourcePosition => ({
  ...{ id, run: 0, after: 0, ended: 0, until: 0, isResync },
});

/** It has not yet told all that lives. */
const isBeginning = ({ run, until, isResync }: SourcePosition): boolean =>
  run === 0 || until > 0 || isResync;

/** It has another one's place, and has not answered yet. */
export const isTakingOver = ({ ended, isResync }: SourcePosition): boolean =>
  ended === null && !isResync;

/** It begins with the next look. */
export const isAboutToBegin = ({ run, ended, isResync }: SourcePosition): boolean =>
  isResync && (run === 0 || ended === null);

/** Whether one that has told something already begins anew. */
export function restarts(
  before: readonly SourcePosition[],
  after: readonly SourcePosition[],
): boolean {
  const known = byId(before);
  return after.some((source) => {
    const was = known.get(source.id);
    return was !== undefined && isAboutToBegin(source) && !isAboutToBegin(was);
  });
}

/** Whether the next look may tell something that the token before it does not allow for. */
export function hasStepped(
  before: readonly SourcePosition[],
  after: readonly SourcePosition[],
): boolean {
  if (restarts(before, after)) return true;
  const known = byId(before);
  return after.some((source) => {
    const was = known.get(source.id);
    return was === undefined || (isTakingOver(was) && source.ended !== null);
  });
}

/** What comes from it depends only on what arrives there. */
export const isUnderWay = (source: SourcePosition): boolean =>
  !isBeginning(source) && source.ended !== null;

const least = (a: Place | null, b: Place | null): Place | null => {
  if (a === null || b === null || a.run !== b.run) return null;
  return a.through < b.through ? a : b;
};

const byId = <T extends { readonly id: ReplicaId }>(list: readonly T[]): ReadonlyMap<string, T> =>
  new Map(list.map((item) => [item.id, item]));

/** Where the feed is after a look. */
export function advance(before: Places, told: Told, { tellers }: Sharing): Places {
  const { left, lost } = leftAfter(before.left, told, tellers);
  const sources = told.sources.map((source) =>
    lost.has(source.id) ? fresh(source.id, true) : source,
  );
  const hasJoined = (source: SourcePosition): boolean =>
    isTakingOver(source) && told.said.has(source.id);
  const joining = new Set(before.sources.filter(hasJoined).map(({ id }) => id));
  const proven = provenBy(before.proven, { ...told, sources, joining }, tellers);
  return { sources, proven, left, dueThrough: dueThroughOf(before.dueThrough, told) };
}

interface Proving extends Pick<Told, "sources" | "said"> {
  /** Sources that have taken another one's place, and say their marks for the first time. */
  readonly joining: ReadonlySet<ReplicaId>;
}

function provenBy(
  before: readonly MemberPlace[],
  { sources, said, joining }: Proving,
  tellers: Sharing["tellers"],
): readonly MemberPlace[] {
  const known = byId(before);
  const sourceOf = byId(sources);
  const proven: MemberPlace[] = [];
  for (const [id, others] of tellers) {
    const own = sourceOf.get(id);
    const all = own === undefined ? [...others] : [id, ...others];
    if (all.some((source) => isBeginning(sourceOf.get(source) as SourcePosition))) continue;
    let old: Place | null = known.get(id) ?? null;
    for (const other of others) {
      if (joining.has(other)) old = least(old, said.get(other)?.marks.get(id) ?? null);
    }
    const places = all.map((source): Place | null => {
      if (own !== undefined && source === id) return { run: own.run, through: own.after };
      const words = said.get(source);
      return words === undefined || words.end === null ? old : (words.marks.get(id) ?? old);
    });
    const [first = null, ...rest] = places;
    const place = rest.reduce(least, first);
    const isNews = place !== null && !(place.run === old?.run && place.through <= old.through);
    const now = isNews ? place : old;
    if (now !== null) proven.push({ id, run: now.run, through: now.through });
  }
  return proven;
}

/** Whether a source that is there now has, by its mark, all that the place claims. */
const reaches = (mark: Place | undefined, { run, through }: Place): boolean =>
  mark?.run === run && mark.through >= through;

/** The sources that were left and still matter; those that begin anew because one lost its past. */
function leftAfter(
  before: readonly MemberPlace[],
  { sources, said, returned }: Told,
  tellers: Sharing["tellers"],
): { readonly left: readonly MemberPlace[]; readonly lost: ReadonlySet<ReplicaId> } {
  const sourceOf = byId(sources);
  const lost = new Set<ReplicaId>();
  const left: MemberPlace[] = [];
  for (const place of before) {
    const { id, run } = place;
    const others = tellers.get(id) ?? new Set();
    const now = returned.get(id) ?? said.get(id)?.end;
    if (now != null && now.run !== run) {
      for (const other of others) lost.add(other);
      continue;
    }
    const through = Math.max(place.through, now?.through ?? 0);
    const holds = (other: ReplicaId): boolean => {
      const source = sourceOf.get(other);
      const mark = said.get(other)?.marks.get(id);
      return source === undefined || isBeginning(source) || reaches(mark, { run, through });
    };
    const isKnown = through > 0 || now != null;
    if (!isKnown || ![...others].every(holds)) left.push({ id, run, through });
  }
  return { left, lost };
}

function dueThroughOf(before: WallMillis, { sources, said }: Told): WallMillis {
  const all = sources.map(({ id }) => {
    const words = said.get(id);
    if (words === undefined) return before;
    return words.end === null ? Math.min(before, words.dueThrough) : words.dueThrough;
  });
  return all.length === 0 ? before : Math.min(...all);
}

export interface HandOver {
  readonly places: Places;
  /** Which source now tells of which partitions, where that goes on without a new beginning. */
  readonly switches: readonly FeedMark[];
}

/** Members that are there take the places of sources that are not. */
export function handOver(
  before: Places,
  by: { readonly gone: ReadonlySet<ReplicaId>; readonly more: readonly ReplicaId[] },
  { ring, n }: { readonly ring: Ring; readonly n: number },
): HandOver {
  const kept = before.sources.filter(({ id }) => !by.gone.has(id));
  const ids = [...kept.map(({ id }) => id), ...by.more];
  const sourcesBefore = before.sources.map(({ id }) => id);
  const sharing = sharingOf(ring, n, ids);
  const moved = movedBetween(sharingOf(ring, n, sourcesBefore), sharing, { sourcesBefore, ids });
  const keptOf = byId(kept);
  const provenOf = byId(before.proven);
  const switches: FeedMark[] = [];
  const sources = ids.map((id): SourcePosition => {
    const source = keptOf.get(id);
    const partitions = moved.get(id);
    if (source !== undefined && partitions === undefined) return source;
    const place = provenOf.get(id);
    const isOfIt = source === undefined || (source.run === place?.run && !isBeginning(source));
    if (place === undefined || !isOfIt) return fresh(id, true);
    const { run, through } = place;
    switches.push({ what: "switch", run, partitions: partitions ?? [] });
    return { id, run, after: through, ended: null, until: 0, isResync: false };
  });
  const leaving = before.sources.filter(({ id, run }) => by.gone.has(id) && run > 0);
  const more = leaving.map(({ id, run }) => ({ id, run, through: 0 }));
  const places = {
    sources,
    proven: provenBy(
      before.proven,
      { sources, said: new Map(), joining: new Set() },
      sharing.tellers,
    ),
    left: [...before.left.filter(({ id }) => !more.some((one) => one.id === id)), ...more],
    dueThrough: before.dueThrough,
  };
  return { places, switches };
}

/** By new source, the partitions that had another source before. */
function movedBetween(
  before: Sharing,
  after: Sharing,
  of: { readonly sourcesBefore: readonly ReplicaId[]; readonly ids: readonly ReplicaId[] },
): ReadonlyMap<ReplicaId, number[]> {
  const moved = new Map<ReplicaId, number[]>();
  for (const [partition, place] of after.shares.entries()) {
    const id = of.ids[place];
    if (id === undefined || id === of.sourcesBefore[before.shares[partition] ?? -1]) continue;
    const partitions = moved.get(id) ?? [];
    partitions.push(partition);
    moved.set(id, partitions);
  }
  return moved;
}
