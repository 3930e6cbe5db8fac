/** What a feed asks its sources, and what it makes of their answers. */
import {
  type ChangesOperation,
  changeBytes,
  type FeedChange,
  type FeedMark,
  type FeedPosition,
  type SourcePosition,
} from "../../../core/feed.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import type { Respond } from "../peers/tasks.ts";
import { partitionsOf, type Sharing } from "../serving/feed-layout.ts";
import { FEED_STARTS } from "../serving/feed-source.ts";
import {
  isAboutToBegin,
  isTakingOver,
  isUnderWay,
  type Place,
  type Said,
  type Told as ToldAll,
} from "./feed-places.ts";
import type { RoundEnd, Told } from "./feed-round.ts";

export interface Look {
  readonly operation: ChangesOperation;
  readonly answer: Respond<"changes">;
  readonly layout: number;
  readonly n: number;
  readonly places: Omit<FeedPosition, "layout" | "purgedThrough">;
  /** Sources that a feed has already asked in vain at its beginning. */
  readonly refusing: ReadonlySet<ReplicaId>;
  /** Said before anything that the look finds. */
  readonly switches?: readonly FeedMark[];
}

const startOf = ({ operation: { from } }: Look, source: SourcePosition): number => {
  if (source.run === 0) return from === "now" ? FEED_STARTS.now : FEED_STARTS.beginning;
  if (isTakingOver(source)) return FEED_STARTS.takeOver;
  return source.ended === null ? FEED_STARTS.beginning : FEED_STARTS.goOn;
};

export function questionOf(look: Look, source: SourcePosition): RequestOf<"changes"> {
  const { operation, layout, places } = look;
  const { namespace, prefix, values, byteCountMax, holdMs, feed } = operation;
  // A source that takes over says what it has of others before it tells anything.
  const limit = isTakingOver(source) ? 0 : operation.limit;
  const sources = places.sources.map(({ id }) => id);
  const { run, after, ended, until } = source;
  const share = (whole: number): number => Math.ceil(whole / sources.length);
  const place = { layout, sources, start: startOf(look, source), run, after, until };
  const ends = { ended: ended ?? 0, dueThrough: places.dueThrough };
  const size = { limit: share(limit), byteCountMax: share(byteCountMax), holdMs };
  return { kind: "changes", namespace, prefix, values, feed, ...place, ...ends, ...size };
}

/** The sources whose answers end a wait for news even when they bring none. */
export const eagerOf = ({ places }: Look): ReadonlySet<ReplicaId> =>
  new Set(places.sources.filter((source) => !isUnderWay(source)).map(({ id }) => id));

/** Asks only how far its order has come: it tells nothing of changes. */
export function questionToLeft(look: Look): RequestOf<"changes"> {
  const nowhere = { id: "", run: 0, after: 0, ended: 0, until: 0, isResync: false };
  return { ...questionOf(look, nowhere), start: FEED_STARTS.now };
}

/**
 * What the sources told, as far as it fits into one answer. Of a source that does not fit nothing
 * is taken, and it is asked again. They take turns in being the first.
 */
export function toldOf(
  { places, operation }: Look,
  end: RoundEnd,
  { sharing, firstTurn }: { readonly sharing: Sharing; readonly firstTurn: number },
): { readonly changes: readonly FeedChange[]; readonly told: ToldAll } {
  const sources = [...places.sources];
  const changes: FeedChange[] = [];
  const said = new Map<ReplicaId, Said>();
  const { limit, byteCountMax } = operation;
  let taken: Size = { count: 0, bytes: 0 };
  for (let turn = 0; turn < sources.length; turn++) {
    const i = (firstTurn + turn) % sources.length;
    const source = sources[i] as SourcePosition;
    const told = end.told.get(source.id);
    if (told === undefined) continue;
    const whole = withItems(taken, told);
    const fits = whole.count <= limit && (taken.count === 0 || whole.bytes <= byteCountMax);
    if (!fits && source.run > 0) continue;
    // Of all sources at least the place where the feed begins has to be known.
    const used = fits ? told : { ...told, items: [], after: 0, isAtEnd: false };
    if (fits) taken = whole;
    const step = stepOf(source, used, () => partitionsOf(sharing, i));
    changes.push(...step.changes);
    sources[i] = step.next;
    said.set(source.id, saidBy(used, step.next));
  }
  const returned = new Map<ReplicaId, Place>();
  for (const { id } of places.left) {
    const told = end.told.get(id);
    const isSource = sources.some((source) => source.id === id);
    if (told !== undefined && !isSource) returned.set(id, { run: told.run, through: told.after });
  }
  return { changes, told: { sources, said, returned } };
}

interface Size {
  readonly count: number;
  readonly bytes: number;
}

const withItems = ({ count, bytes }: Size, { items }: Told): Size => ({
  count: count + items.length,
  bytes: items.reduce((sum, { key, entry }) => sum + changeBytes(key, entry), bytes),
});

function saidBy(told: Told, { run, after, until, isResync }: SourcePosition): Said {
  const isAtEnd = told.isAtEnd && !told.isGone && until === 0 && !isResync;
  const { marks = [], due: dueThrough = 0 } = told;
  const end = isAtEnd ? { run, through: after } : null;
  return { marks: new Map(marks.map((place) => [place.id, place])), end, dueThrough };
}

/** What a source told, in the feed's words, and where the feed is there now. */
function stepOf(
  source: SourcePosition,
  told: Told,
  partitionsToName: () => readonly number[],
): { readonly changes: readonly FeedChange[]; readonly next: SourcePosition } {
  const { run, after, ended, until } = told;
  const mark = (what: FeedMark["what"]): FeedMark => ({
    ...{ what, run, partitions: partitionsToName() },
  });
  const switching = run === source.run ? [] : [mark("switch")];
  if (told.isGone) {
    // It begins with the next look: its reader must not forget what its token claims that it has.
    const next = { ...source, run, after: 0, ended: null, until, isResync: true };
    return { changes: switching, next };
  }
  const opening = isAboutToBegin(source) ? [...switching, mark("resync")] : [];
  const items = told.items.map(
    ({ key, partition, entry }): FeedChange => ({ what: "key", key, partition, run, entry }),
  );
  const isThrough = until === 0 || after >= until;
  const isEnd = source.isResync && isThrough;
  const ending = isEnd ? [mark("resync-end")] : [];
  const left = isThrough ? { until: 0, isResync: false } : { until };
  const next = { ...source, run, after, ended, ...left };
  return { changes: [...opening, ...items, ...ending], next };
}
