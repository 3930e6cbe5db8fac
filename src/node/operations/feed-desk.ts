/**
 * A frontend's look for changes: it asks the sources of the feed, and moves to others where one is
 * away. A feed that changes a source has no place in the new one's order. It begins there anew, and
 * says so: what stands between `resync` and `resync-end` is all that lives in these partitions.
 *
 * Nothing of a feed is kept here. What it has seen is in its position, which any frontend takes.
 */
import type {
  ChangesOperation,
  FeedChange,
  FeedMark,
  FeedPosition,
  SourcePosition,
} from "../../../core/feed.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import { purgesSince } from "../../../core/purges.ts";
import type { Millis } from "../../../core/time.ts";
import { purgesOf } from "../../../ring/cluster-document.ts";
import { type Answer, type FrontendHost, fail } from "../peers/tasks.ts";
import { hasNobody, layoutOf, partitionsOf, sharesOf } from "../serving/feed-layout.ts";
import { FEED_STARTS, HOLD_MS_MAX } from "../serving/feed-source.ts";
import { FeedRound, type RoundEnd, type Told } from "./feed-round.ts";

/** A source that has not answered for so long, in ms, is replaced: until then it may be back. */
const PATIENCE_MS = 3000;
/** How long a look that holds nothing back waits for the slowest source, in ms. */
const LOOK_MS_MAX = 1500;

interface Look {
  readonly operation: ChangesOperation;
  readonly answer: Answer;
  readonly layout: number;
  readonly n: number;
  readonly sources: readonly SourcePosition[];
  /** Who was asked in vain already, by a feed that begins. */
  readonly refusing: ReadonlySet<ReplicaId>;
}

const fresh = (id: ReplicaId, isResync: boolean): SourcePosition => ({
  ...{ id, run: 0, after: 0, ended: 0, until: 0, isResync },
});

export class FeedDesk {
  readonly #host: FrontendHost;

  constructor(host: FrontendHost) {
    this.#host = host;
  }

  start(operation: ChangesOperation, answer: Answer, now: Millis): void {
    this.#begin(operation, answer, { now, refusing: new Set() });
  }

  #begin(
    operation: ChangesOperation,
    answer: Answer,
    { now, refusing }: { readonly now: Millis; readonly refusing: ReadonlySet<ReplicaId> },
  ): void {
    const { knowledge } = this.#host;
    const n = knowledge.countedOf(operation.namespace);
    const layout = layoutOf(knowledge.ring, n, knowledge.hash);
    const { from } = operation;
    const isNew = typeof from === "string";
    const known = isNew || from.layout !== layout ? [] : from.sources;
    const kept = known.filter(({ id }) => !refusing.has(id) && !this.#isGivenUp(id, now));
    const more = this.#sourcesFor(n, { kept: kept.map(({ id }) => id), refusing, now });
    if (more === null) return answer(noSources());
    const wasReplaced = kept.length < known.length;
    // Partitions of one that was given up may now be those of one that is there: anew as well.
    const begun = wasReplaced ? kept.map(({ id }) => fresh(id, true)) : kept;
    const sources = [...begun, ...more.map((id) => fresh(id, !isNew))];
    this.#ask({ operation, answer, layout, n, sources, refusing }, now);
  }

  #isGivenUp(id: ReplicaId, now: Millis): boolean {
    if (this.#host.knowledge.ring.member(id) === undefined) return true;
    const since = this.#host.knowledge.feedSilence.get(id);
    return since !== undefined && now - since >= PATIENCE_MS;
  }

  /** Who is to be read beside those that are there; null when some partition has nobody left. */
  #sourcesFor(
    n: number,
    of: {
      readonly kept: readonly ReplicaId[];
      readonly refusing: ReadonlySet<ReplicaId>;
      readonly now: Millis;
    },
  ): readonly ReplicaId[] | null {
    const { knowledge, selfId } = this.#host;
    const { ring, liveness } = knowledge;
    const more: ReplicaId[] = [];
    const rank = (id: ReplicaId): number =>
      (id === selfId ? 0 : 1) +
      (this.#isGivenUp(id, of.now) ? 4 : 0) +
      (liveness.isSuspect(id) ? 2 : 0);
    const order = ring.memberIds
      .filter((id) => !of.kept.includes(id) && !of.refusing.has(id))
      .sort((a, b) => rank(a) - rank(b) || liveness.compare(a, b, of.now) || (a < b ? -1 : 1));
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      const owners = ring.primariesOf(partition, n);
      if (owners.some((id) => of.kept.includes(id) || more.includes(id))) continue;
      const best = order.find((id) => owners.includes(id));
      if (best === undefined) return null;
      more.push(best);
    }
    return more;
  }

  #ask(look: Look, now: Millis): void {
    const { operation, sources } = look;
    const { holdMs } = operation;
    const ids = sources.map(({ id }) => id);
    const questions = new Map(sources.map((source) => [source.id, questionOf(look, source, ids)]));
    const timeoutMs = holdMs > 0 ? Math.min(holdMs, HOLD_MS_MAX) + LOOK_MS_MAX : LOOK_MS_MAX;
    this.#host.run<RoundEnd>(
      {
        timeoutMs,
        again: null,
        make: (out) => new FeedRound({ questions, timeoutMs, isHeld: holdMs > 0 }, out),
        finish: (end, at) => this.#finish(look, end, at),
      },
      now,
    );
  }

  #finish(look: Look, end: RoundEnd, now: Millis): void {
    const { operation, answer, layout, sources } = look;
    for (const id of end.told.keys()) this.#host.knowledge.feedSilence.delete(id);
    for (const id of end.failed) {
      if (!this.#host.knowledge.feedSilence.has(id)) this.#host.knowledge.feedSilence.set(id, now);
    }
    const { knowledge } = this.#host;
    // A place that is not known yet cannot be told of: whoever else owns these is asked.
    const pending = sources.filter(({ id, run }) => run === 0 && end.failed.has(id));
    if (pending.length > 0) {
      const refusing = new Set([...look.refusing, ...pending.map(({ id }) => id)]);
      return this.#begin(operation, answer, { now, refusing });
    }
    const ids = sources.map(({ id }) => id);
    const shares = sharesOf(knowledge.ring, look.n, ids);
    if (layout !== layoutOf(knowledge.ring, look.n, knowledge.hash) || hasNobody(shares)) {
      return answer(noSources());
    }
    const taken = taking(look, end, { shares, firstTurn: Math.floor(now) });
    const isCaughtUp = taken.next.every(
      ({ id, until, after }) => until === 0 && isAtEnd(end.told.get(id), after),
    );
    const since = typeof operation.from === "string" ? Infinity : operation.from.purgedThrough;
    const purges = purgesSince(purgesOf(knowledge.document), operation.namespace, since);
    const purgedThrough = Math.max(knowledge.purges.newest, since < Infinity ? since : 0);
    const position: FeedPosition = { layout, purgedThrough, sources: taken.next };
    const changes: FeedChange[] = [...purges, ...taken.changes];
    answer({ kind: "changes", changes, position, isCaughtUp });
  }
}

const isAtEnd = (told: Told | undefined, after: number): boolean =>
  told?.isAtEnd === true && told.after === after;

/**
 * What the sources told, as far as it fits into one answer: of another one's nothing is taken, and
 * it is asked for again. They take turns in being the first.
 */
function taking(
  { sources, operation }: Look,
  end: RoundEnd,
  { shares, firstTurn }: { readonly shares: Int16Array; readonly firstTurn: number },
): { readonly changes: readonly FeedChange[]; readonly next: readonly SourcePosition[] } {
  const next = [...sources];
  const changes: FeedChange[] = [];
  let left = operation.limit;
  for (let turn = 0; turn < sources.length; turn++) {
    const i = (firstTurn + turn) % sources.length;
    const source = sources[i] as SourcePosition;
    const told = end.told.get(source.id);
    if (told === undefined) continue;
    const fits = told.items.length <= left;
    if (!fits && source.run > 0) continue;
    // Where a feed begins has to be known of all, if nothing more.
    const taken = fits ? told : { ...told, items: [], after: 0 };
    left -= taken.items.length;
    const step = stepOf(source, taken, partitionsOf(shares, i));
    changes.push(...step.changes);
    next[i] = step.next;
  }
  return { changes, next };
}

const noSources = () =>
  fail({
    code: "quorum-unavailable",
    detail: "Of some partitions no owner can be reached that knows what it has.",
  });

function questionOf(
  { operation, layout }: Look,
  source: SourcePosition,
  sources: readonly ReplicaId[],
): RequestOf<"changes"> {
  const { namespace, prefix, values, limit, byteCountMax, holdMs, feed, from } = operation;
  const isFresh = source.run === 0;
  const begin = from === "now" ? FEED_STARTS.now : FEED_STARTS.beginning;
  const start = isFresh ? begin : FEED_STARTS.goOn;
  const { run, after, ended, until } = source;
  const share = (whole: number): number => Math.ceil(whole / sources.length);
  const place = { layout, sources, start, run, after, ended, until };
  const size = { limit: share(limit), byteCountMax: share(byteCountMax), holdMs };
  return { kind: "changes", namespace, prefix, values, feed, ...place, ...size };
}

/** What a source told, in the feed's words, and where the feed is there now. */
function stepOf(
  source: SourcePosition,
  told: Told,
  partitions: readonly number[],
): { readonly changes: readonly FeedChange[]; readonly next: SourcePosition } {
  const { run, after, ended, until } = told;
  const mark = (what: FeedMark["what"]): FeedMark => ({ what, run, partitions });
  if (told.isGone) {
    const next = { ...source, run, after: 0, ended, until, isResync: true };
    const isOther = run !== source.run;
    return { changes: [...(isOther ? [mark("switch")] : []), mark("resync")], next };
  }
  const isFirst = source.run === 0;
  const opening = isFirst && source.isResync ? [mark("switch"), mark("resync")] : [];
  const items = told.items.map((item): FeedChange => ({ what: "key", run, ...item }));
  const isThrough = until === 0 || after >= until;
  const isEnd = source.isResync && isThrough;
  const ending = isEnd ? [mark("resync-end")] : [];
  const left = isThrough ? { until: 0, isResync: false } : { until };
  const next = { ...source, run, after, ended, ...left };
  return { changes: [...opening, ...items, ...ending], next };
}
