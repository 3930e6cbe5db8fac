/**
 * A frontend's look for changes: it asks the sources of the feed, and moves to others where one is
 * away. These go on from a place before which all is known to have been told (feed-places.ts).
 * Without such a place in the new source's order the feed begins there anew, and says so: between
 * `resync` and `resync-end` stands all that lives in these partitions.
 *
 * Nothing of a feed is kept here. What it has seen is in its position, which any frontend takes.
 */
import type { ChangesOperation, FeedChange, FeedPosition } from "../../../core/feed.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { purgesSince } from "../../../core/purges.ts";
import type { Hlc, Millis } from "../../../core/time.ts";
import { purgesOf } from "../../../ring/cluster-document.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { hasNobody, layoutOf, sharingOf } from "../serving/feed-layout.ts";
import { HOLD_MS_MAX } from "../serving/feed-source.ts";
import {
  advance,
  fresh,
  type HandOver,
  handOver,
  hasStepped,
  isUnderWay,
  NOWHERE,
  restarts,
} from "./feed-places.ts";
import { FeedRound, type RoundEnd } from "./feed-round.ts";
import { eagerOf, type Look, questionOf, questionToLeft, toldOf } from "./feed-steps.ts";

/** How long a look that holds nothing back waits for the slowest source, in ms. */
const LOOK_MS_MAX = 1500;

/** What the choice of further sources goes by. */
interface Choice {
  readonly kept: readonly ReplicaId[];
  /** Sources that a feed has already asked in vain at its beginning. */
  readonly refusing: ReadonlySet<ReplicaId>;
  readonly now: Millis;
}

export class FeedCoordinator {
  readonly #host: FrontendHost;

  constructor(host: FrontendHost) {
    this.#host = host;
  }

  start(operation: ChangesOperation, answer: Respond<"changes">, now: Millis): void {
    this.#begin(operation, answer, { now, refusing: new Set() });
  }

  #begin(
    operation: ChangesOperation,
    answer: Respond<"changes">,
    { now, refusing }: { readonly now: Millis; readonly refusing: ReadonlySet<ReplicaId> },
  ): void {
    const { knowledge } = this.#host;
    const n = knowledge.countedOf(operation.namespace);
    const layout = layoutOf(knowledge.ring, n, knowledge.hash);
    const { from } = operation;
    const look = { operation, answer, layout, n, refusing };
    if (typeof from !== "string" && from.layout === layout) return this.#goOn(look, from, now);
    const ids = this.#sourcesFor(n, { kept: [], refusing, now });
    if (ids === null) return answer(noSources());
    const isNew = typeof from === "string";
    const places = { ...NOWHERE, sources: ids.map((id) => fresh(id, !isNew)) };
    if (isNew) return this.#ask({ ...look, places }, now);
    // Also where the layout has become another one while a source was waited for: a reader whose
    // connection breaks has obeyed what it was told, and the layout of its token may come back.
    this.#answerStep(look, { places, switches: [] }, from.purgedThrough);
  }

  #answerStep(
    { answer, layout }: Omit<Look, "places">,
    { places, switches }: HandOver,
    purgedThrough: Hlc,
  ): void {
    const position = { layout, purgedThrough, ...places };
    answer({ kind: "changes", changes: switches, position, isCaughtUp: false, isStep: true });
  }

  /** Goes on with its sources, or with others in the place of those that do not answer. */
  #goOn(look: Omit<Look, "places">, from: FeedPosition, now: Millis): void {
    const { answer, n, refusing } = look;
    const { knowledge } = this.#host;
    const isAway = (id: ReplicaId): boolean =>
      refusing.has(id) || knowledge.feedSilence.isGivenUp(id, now);
    const away = from.sources.filter(({ id }) => isAway(id));
    if (away.length === 0) return this.#ask({ ...look, places: from }, now);
    const gone = new Set(away.map(({ id }) => id));
    const kept = from.sources.map(({ id }) => id).filter((id) => !gone.has(id));
    const proven = new Set(from.proven.map(({ id }) => id));
    const more = this.#sourcesFor(n, { kept, refusing, now }, { proven, isAway });
    if (more === null) {
      // Nobody else is there: a source that has told something may be back by now.
      const isBegun = from.sources.every(({ id }) => !refusing.has(id));
      return isBegun ? this.#ask({ ...look, places: from }, now) : answer(noSources());
    }
    const next = handOver(from, { gone, more }, { ring: knowledge.ring, n });
    // A source that was asked in vain had told nothing, and the one in its place may tell at once.
    // But the change may make another source, which the reader has something of, begin anew.
    const isStep = refusing.size === 0 || restarts(from.sources, next.places.sources);
    if (isStep) return this.#answerStep(look, next, from.purgedThrough);
    this.#ask({ ...look, ...next }, now);
  }

  /** More sources beside those that are read; null when some partition has nobody left. */
  #sourcesFor(
    n: number,
    { kept, refusing, now }: Choice,
    of: {
      readonly proven?: ReadonlySet<ReplicaId>;
      readonly isAway?: (id: ReplicaId) => boolean;
    } = {},
  ): readonly ReplicaId[] | null {
    const { knowledge, selfId } = this.#host;
    const { ring, liveness, feedSilence } = knowledge;
    const more: ReplicaId[] = [];
    const rank = (id: ReplicaId): number =>
      (id === selfId ? 0 : 1) +
      (of.proven?.has(id) === false ? 2 : 0) +
      (liveness.isSuspect(id) ? 4 : 0) +
      (feedSilence.isGivenUp(id, now) ? 8 : 0);
    const order = ring.memberIds
      .filter((id) => !kept.includes(id) && !refusing.has(id) && of.isAway?.(id) !== true)
      .sort((a, b) => rank(a) - rank(b) || liveness.compare(a, b, now) || (a < b ? -1 : 1));
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      const owners = ring.primariesOf(partition, n);
      if (owners.some((id) => kept.includes(id) || more.includes(id))) continue;
      const best = order.find((id) => owners.includes(id));
      if (best === undefined) return null;
      more.push(best);
    }
    return more;
  }

  #ask(look: Look, now: Millis): void {
    const { sources, left } = look.places;
    const { holdMs } = look.operation;
    const questions = new Map(sources.map((source) => [source.id, questionOf(look, source)]));
    for (const { id, through } of left) {
      const isToAsk = through === 0 && !questions.has(id) && this.#mayBeBack(id, now);
      if (isToAsk) questions.set(id, questionToLeft(look));
    }
    const timeoutMs = holdMs > 0 ? Math.min(holdMs, HOLD_MS_MAX) + LOOK_MS_MAX : LOOK_MS_MAX;
    this.#host.run<RoundEnd>(
      {
        timeoutMs,
        again: null,
        make: (out) =>
          new FeedRound({ questions, timeoutMs, isHeld: holdMs > 0, eager: eagerOf(look) }, out),
        finish: (end, at) => this.#finish(look, end, at),
      },
      now,
    );
  }

  #mayBeBack(id: ReplicaId, now: Millis): boolean {
    const { liveness, feedSilence } = this.#host.knowledge;
    return !liveness.isSuspect(id) && !feedSilence.isGivenUp(id, now);
  }

  #finish(look: Look, end: RoundEnd, now: Millis): void {
    const { operation, answer, layout, places, n } = look;
    const { knowledge } = this.#host;
    for (const id of end.told.keys()) knowledge.feedSilence.answered(id);
    for (const id of end.failed) knowledge.feedSilence.failed(id, now);
    // A place that is not known yet cannot be told: other owners of these partitions are asked.
    const pending = places.sources.filter(({ id, run }) => run === 0 && end.failed.has(id));
    if (pending.length > 0) {
      const refusing = new Set([...look.refusing, ...pending.map(({ id }) => id)]);
      return this.#begin(operation, answer, { now, refusing });
    }
    const ids = places.sources.map(({ id }) => id);
    const sharing = sharingOf(knowledge.ring, n, ids);
    if (layout !== layoutOf(knowledge.ring, n, knowledge.hash) || hasNobody(sharing)) {
      return answer(noSources());
    }
    const { changes, told } = toldOf(look, end, { sharing, firstTurn: Math.floor(now) });
    const next = advance(places, told, sharing);
    const isCaughtUp = next.sources.every(
      (source) => isUnderWay(source) && told.said.get(source.id)?.end != null,
    );
    const since = typeof operation.from === "string" ? Infinity : operation.from.purgedThrough;
    const purges = purgesSince(purgesOf(knowledge.document), operation.namespace, since);
    const purgedThrough = Math.max(knowledge.purges.newest, since < Infinity ? since : 0);
    const position: FeedPosition = { layout, purgedThrough, ...next };
    const all: FeedChange[] = [...purges, ...(look.switches ?? []), ...changes];
    const isStep = hasStepped(places.sources, next.sources);
    answer({ kind: "changes", changes: all, position, isCaughtUp, isStep });
  }
}

const noSources = () =>
  fail({
    code: "quorum-unavailable",
    detail: "Of some partitions no owner can be reached that knows what it has.",
  });
