/**
 * Starts collection rounds for what is due, one at a time: first rounds, and for what all agreed on
 * then a second one, some seconds later (see antientropy/collection.ts).
 */
import {
  COLLECTION_COUNT_MAX,
  type CollectionOutbox,
  CollectionRound,
  SETTLE_MS,
} from "../../antientropy/collection.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Digest, StoreKey } from "../../core/store.ts";
import type { Millis } from "../../core/time.ts";
import type { Service } from "./service.ts";
import type { TaskHost } from "./tasks.ts";

type Collected = readonly (readonly [StoreKey, Digest])[];

/** A round has one step; it gives up by itself well before this. */
const ROUND_MS_MAX = 10_000;
/** Rounds that follow on each other as long as all agree on something. */
const ROUNDS_COUNT_MAX = 64;
/** After a round in which not everybody agreed, a key is left alone this long. */
const RETRY_MS = 10_000;

interface Round {
  readonly keys: Collected;
  readonly isSecond: boolean;
}

/** What all agreed on, and when they are to be asked once more. */
interface Settling {
  readonly keys: Collected;
  readonly routeStamp: number;
  readonly askAt: Millis;
}

export interface CollectorHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

export class Collector {
  readonly #service: Service;
  readonly #host: CollectorHost;
  readonly #graceMs: number;
  readonly #notBefore = new Map<StoreKey, Millis>();
  /** In the order in which to ask again. */
  #settling: Settling[] = [];
  #isBusy = false;
  collectedCount = 0;

  constructor(service: Service, host: CollectorHost, graceMs: number) {
    this.#service = service;
    this.#host = host;
    this.#graceMs = graceMs;
  }

  /** When what all agreed on is to be asked about once more; Infinity when there is nothing. */
  get settledAt(): Millis {
    return this.#settling[0]?.askAt ?? Infinity;
  }

  /** @param roundsLeft how many rounds may follow on each other, this one included */
  start(now: Millis, roundsLeft = ROUNDS_COUNT_MAX): void {
    const { liveness } = this.#host.knowledge;
    const isAway = (id: ReplicaId): boolean => !liveness.isWorthTrying(id, now);
    if (this.#isBusy || this.#others.some(isAway)) return;
    const settled = this.#takeSettled(now);
    const keys = settled ?? this.#dueKeys(now);
    if (keys.length === 0) return;
    this.#isBusy = true;
    for (const [key] of keys) this.#notBefore.set(key, now + RETRY_MS);
    // As with those who are asked: what is in memory alone is not there after a crash.
    this.#host.whenDurable((ok, at) => {
      if (ok) this.#ask({ keys, isSecond: settled !== null }, roundsLeft, at);
      else this.#isBusy = false;
    });
  }

  get #others(): readonly ReplicaId[] {
    return this.#host.knowledge.ring.membersBut(this.#service.id);
  }

  #ask({ keys, isSecond }: Round, roundsLeft: number, now: Millis): void {
    const others = this.#others;
    this.#host.run<Collected>(
      {
        timeoutMs: ROUND_MS_MAX,
        again: null,
        make: (out: CollectionOutbox) => new CollectionRound({ others, keys, isSecond }, out),
        finish: (agreed, at) => {
          this.#isBusy = false;
          if (agreed.length === 0) return;
          if (isSecond) this.#collect(agreed);
          else this.#settle(agreed, at);
          // There may be more: evictions alone make thousands of tombstones a second.
          if (roundsLeft > 1) this.start(at, roundsLeft - 1);
        },
      },
      now,
    );
  }

  /** What all have agreed on long enough ago; members who came since have not been asked. */
  #takeSettled(now: Millis): Collected | null {
    const { routeStamp } = this.#host.knowledge;
    this.#settling = this.#settling.filter((batch) => batch.routeStamp === routeStamp);
    if (this.settledAt > now) return null;
    return this.#settling.shift()?.keys ?? null;
  }

  #settle(keys: Collected, now: Millis): void {
    const askAt = now + SETTLE_MS;
    for (const [key] of keys) this.#notBefore.set(key, askAt + RETRY_MS);
    this.#settling.push({ keys, routeStamp: this.#host.knowledge.routeStamp, askAt });
  }

  #dueKeys(now: Millis): Collected {
    for (const [key, at] of this.#notBefore) if (at <= now) this.#notBefore.delete(key);
    const { keysOnTheirWay } = this.#service;
    const countMax = COLLECTION_COUNT_MAX + this.#notBefore.size;
    const mayBeAsked = (key: StoreKey): boolean =>
      !this.#notBefore.has(key) && !keysOnTheirWay.has(key) && this.#isFirst(key);
    return this.#service.keeper
      .collectable(this.#host.wall() - this.#graceMs, countMax, mayBeAsked)
      .slice(0, COLLECTION_COUNT_MAX);
  }

  /** One of the primaries begins, so that not all ask the same question at once. */
  #isFirst(key: StoreKey): boolean {
    const { ring, liveness } = this.#host.knowledge;
    const list = ring.preferenceList(ring.partitionOf(key));
    const first = list.find((id) => id === this.#service.id || !liveness.isSuspect(id));
    return first === this.#service.id;
  }

  #collect(keys: Collected): void {
    const { keeper, keysOnTheirWay } = this.#service;
    if (keeper.store.health() !== "writable") return;
    for (const [key, digest] of keys) {
      this.#notBefore.delete(key);
      if (!keysOnTheirWay.has(key) && keeper.collect(key, digest)) this.collectedCount++;
    }
  }
}
