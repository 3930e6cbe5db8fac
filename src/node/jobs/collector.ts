/**
 * Gives back the space of what is dead, as it becomes due (core/expiry.ts). An entry that guards
 * nothing is forgotten, and a value whose time has passed gives up its body. About what is left all
 * members are asked in a first round, and about what all agreed on, in a second one some seconds
 * later (see antientropy/collection.ts). Many rounds are under way at a time, so that collection
 * keeps up with a stream of writes though each of them takes seconds.
 *
 * What was looked at is put off in the store's index, so it comes up again unless it is gone.
 */
import {
  COLLECTION_COUNT_MAX,
  type CollectionOutbox,
  CollectionRound,
  SETTLE_MS,
} from "../../../antientropy/collection.ts";
import { isLoose } from "../../../core/expiry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Digest, EntrySummary, StoreKey } from "../../../core/store.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";
import { HintSweep } from "./hint-sweep.ts";

type Collected = readonly (readonly [StoreKey, Digest])[];

/** A round has one step; it gives up by itself well before this. */
const ROUND_MS_MAX = 10_000;
/** First rounds under way at once. */
const ROUNDS_COUNT_MAX = 16;
/** Entries that are rewritten in one run: each is read, and encoded anew. */
const REWRITES_COUNT_MAX = 256;
/** After a round in which not everybody agreed, a key is left alone this long. */
const RETRY_MS = 10_000;
/**
 * What has been dead for long, because a member is away, is asked about less and less often. This
 * process must have seen that long time itself: a clock that is ahead takes everything for long
 * dead.
 */
const RETRY_MS_MAX = 60_000;

/** What all agreed on, and when they are to be asked once more. */
interface Settling {
  readonly keys: Collected;
  readonly routeStamp: number;
  readonly askAt: Millis;
}

export interface CollectorHost extends TaskHost {
  /** Whether a value that may be collected keeps its body until it is. */
  readonly sparesWrites?: boolean;
  /** The keys of writes that are coordinated here, and not over yet. */
  keysOnTheirWay(): ReadonlySet<StoreKey>;
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** The node's own time at this very step. */
  now(): Millis;
}

export class Collector {
  readonly #replica: Replica;
  readonly #host: CollectorHost;
  readonly #hints: HintSweep;
  /** In the order in which to ask again. */
  #settling: Settling[] = [];
  #openCount = 0;
  /** When the first look was. */
  #begunAt: Millis | null = null;
  /** Keys that are gone, and values that gave up their body, since the start. */
  collectedCount = 0;
  expiredCount = 0;

  constructor(replica: Replica, host: CollectorHost) {
    this.#replica = replica;
    this.#host = host;
    this.#hints = new HintSweep(replica.keeper);
  }

  /** When what all agreed on is to be asked about once more; Infinity when there is nothing. */
  get settledAt(): Millis {
    return this.#settling[0]?.askAt ?? Infinity;
  }

  /**
   * The time until which there is nothing to look at, as things are; Infinity for nothing at all.
   * It changes at once with what is written, and with what a step of the wall clock ends.
   */
  get restsUntil(): Millis {
    if (this.#begunAt === null || this.#hints.isUnderWay) return 0;
    const { store } = this.#replica.keeper;
    const dueInMs = store.earliestDue() - this.#host.wall();
    return Math.min(this.settledAt, this.#host.now() + dueInMs);
  }

  /** One bounded unit: to be called often, while there is something to look at. */
  start(now: Millis): void {
    if (this.#replica.keeper.store.health() !== "writable") return;
    this.#begunAt ??= now;
    const isComplete = this.#isComplete(now);
    for (const keys of this.#takeSettled(now)) {
      if (isComplete) this.#begin({ keys, isSecond: true });
    }
    const mayAsk = isComplete && this.#openCount < ROUNDS_COUNT_MAX;
    const keys = this.#sweep(mayAsk, Math.min(RETRY_MS_MAX, now - this.#begunAt));
    if (keys.length > 0) this.#begin({ keys, isSecond: false });
  }

  /** Whether every member can be asked. */
  #isComplete(now: Millis): boolean {
    const { liveness } = this.#host.knowledge;
    return this.#others.every((id) => liveness.isWorthTrying(id, now));
  }

  get #others(): readonly ReplicaId[] {
    return this.#host.knowledge.ring.membersBut(this.#replica.id);
  }

  /** @returns what all members are to be asked about */
  #sweep(mayAsk: boolean, retryMsMax: number): Collected {
    const now = this.#host.wall();
    const { keeper } = this.#replica;
    const keysOnTheirWay = this.#host.keysOnTheirWay();
    const { store } = keeper;
    const asked: (readonly [StoreKey, Digest])[] = [];
    const before = this.collectedCount + this.expiredCount;
    this.expiredCount += this.#hints.run(now);
    const rewritesMax = this.expiredCount + REWRITES_COUNT_MAX;
    let leftCount = COLLECTION_COUNT_MAX;
    for (const key of store.due(now, COLLECTION_COUNT_MAX)) {
      leftCount--;
      const summary = store.summary(key);
      if (summary === undefined || this.#release(summary, now)) continue;
      const mayGo = mayAsk && !keysOnTheirWay.has(key) && this.#isToAsk(summary, now);
      if (summary.holdsValue && !mayGo) {
        if (this.expiredCount === rewritesMax) {
          leftCount = 0;
          break;
        }
        if (keeper.sweep(key, null, now)) {
          this.expiredCount++;
          continue;
        }
      } else if (mayGo) {
        asked.push([key, summary.digest]);
      }
      const retryMs = Math.max(RETRY_MS, Math.min(now - summary.dueAt, retryMsMax));
      store.postpone(key, now + retryMs);
    }
    if (leftCount > 0) keeper.arrivals.lookedAt(now);
    // Nobody waits for the flush, but this must not sit in memory until the next write.
    if (this.collectedCount + this.expiredCount > before) this.#host.whenDurable(() => {});
    return asked;
  }

  #release({ key, dueAt }: EntrySummary, now: WallMillis): boolean {
    if (!isLoose(dueAt) || !this.#replica.keeper.release(key, now)) return false;
    this.collectedCount++;
    return true;
  }

  /**
   * One of the primaries asks, so that not all ask the same question at once. Where every write is
   * billed, and a replica also sleeps until a value's grace is over, the value is not rewritten
   * first.
   */
  #isToAsk({ key, partition, digest, dueAt, holdsValue }: EntrySummary, now: WallMillis): boolean {
    const { ring, liveness } = this.#host.knowledge;
    const { id, keeper } = this.#replica;
    const { sparesWrites = false } = this.#host;
    if (holdsValue && (!sparesWrites || dueAt + keeper.graces.endedMs > now)) return false;
    const first = ring
      .preferenceList(partition)
      .find((member) => member === id || !liveness.isSuspect(member));
    return first === id && keeper.agreesOn(key, digest, now);
  }

  #begin(round: { readonly keys: Collected; readonly isSecond: boolean }): void {
    this.#openCount++;
    // As at the members that are asked: what is in memory alone is not there after a crash.
    this.#host.whenDurable((ok, at) => {
      if (ok) this.#ask(round, at);
      else this.#openCount--;
    });
  }

  #ask(
    { keys, isSecond }: { readonly keys: Collected; readonly isSecond: boolean },
    now: Millis,
  ): void {
    const others = this.#others;
    this.#host.run<Collected>(
      {
        timeoutMs: ROUND_MS_MAX,
        again: null,
        make: (out: CollectionOutbox) => new CollectionRound({ others, keys, isSecond }, out),
        finish: (agreed, at) => {
          this.#openCount--;
          if (agreed.length === 0) return;
          if (isSecond) this.#collect(agreed);
          else this.#settle(agreed, at);
        },
      },
      now,
    );
  }

  /** What all agreed on long enough ago. Members that came since have not been asked. */
  #takeSettled(now: Millis): readonly Collected[] {
    const { routeStamp } = this.#host.knowledge;
    const settled = this.#settling.filter(({ askAt }) => askAt <= now);
    this.#settling = this.#settling.slice(settled.length);
    return settled.filter((batch) => batch.routeStamp === routeStamp).map(({ keys }) => keys);
  }

  #settle(keys: Collected, now: Millis): void {
    const askAt = now + SETTLE_MS;
    const { store } = this.#replica.keeper;
    const until = this.#host.wall() + SETTLE_MS + RETRY_MS;
    // What was written since ends by its own time.
    const isAsAsked = ([key, digest]: Collected[number]): boolean =>
      store.summary(key)?.digest === digest;
    for (const one of keys) if (isAsAsked(one)) store.postpone(one[0], until);
    this.#settling.push({ keys, routeStamp: this.#host.knowledge.routeStamp, askAt });
  }

  #collect(keys: Collected): void {
    const { keeper } = this.#replica;
    const keysOnTheirWay = this.#host.keysOnTheirWay();
    const now = this.#host.wall();
    if (keeper.store.health() !== "writable") return;
    for (const [key, digest] of keys) {
      if (!keysOnTheirWay.has(key) && keeper.collect(key, digest, now)) this.collectedCount++;
    }
    this.#host.whenDurable(() => {});
  }
}
