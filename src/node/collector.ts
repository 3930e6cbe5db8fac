/** Starts collection rounds for what is due, one at a time. */
import {
  COLLECTION_COUNT_MAX,
  type CollectionOutbox,
  CollectionRound,
} from "../../antientropy/collection.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Digest, StoreKey } from "../../core/store.ts";
import type { Millis } from "../../core/time.ts";
import type { Service } from "./service.ts";
import type { TaskHost } from "./tasks.ts";

type Collected = readonly (readonly [StoreKey, Digest])[];

/** A round has one step; it gives up by itself well before this. */
const ROUND_MS_MAX = 10_000;
/** Rounds that follow on each other as long as each is full. */
const ROUNDS_COUNT_MAX = 64;
/** After a round in which not everybody agreed, a key is left alone this long. */
const RETRY_MS = 10_000;

export interface CollectorHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

export class Collector {
  readonly #service: Service;
  readonly #host: CollectorHost;
  readonly #graceMs: number;
  readonly #notBefore = new Map<StoreKey, Millis>();
  #isBusy = false;
  collectedCount = 0;

  constructor(service: Service, host: CollectorHost, graceMs: number) {
    this.#service = service;
    this.#host = host;
    this.#graceMs = graceMs;
  }

  /** @param roundsLeft how many rounds may follow on each other, this one included */
  start(now: Millis, roundsLeft = ROUNDS_COUNT_MAX): void {
    const { liveness } = this.#host.knowledge;
    const isAway = (id: ReplicaId): boolean => !liveness.isWorthTrying(id, now);
    if (this.#isBusy || this.#others.some(isAway)) return;
    const keys = this.#dueKeys(now);
    if (keys.length === 0) return;
    this.#isBusy = true;
    for (const [key] of keys) this.#notBefore.set(key, now + RETRY_MS);
    // As with those who are asked: what is in memory alone is not there after a crash.
    this.#host.whenDurable((ok, at) => {
      if (ok) this.#ask(keys, roundsLeft, at);
      else this.#isBusy = false;
    });
  }

  get #others(): readonly ReplicaId[] {
    return this.#host.knowledge.ring.membersBut(this.#service.id);
  }

  #ask(keys: Collected, roundsLeft: number, now: Millis): void {
    const others = this.#others;
    this.#host.run<Collected>(
      {
        timeoutMs: ROUND_MS_MAX,
        again: null,
        make: (out: CollectionOutbox) => new CollectionRound({ others, keys }, out),
        finish: (collected, at) => {
          this.#finish(collected);
          // A full round may have left more: evictions alone make thousands of tombstones a second.
          if (collected.length === COLLECTION_COUNT_MAX && roundsLeft > 1) {
            this.start(at, roundsLeft - 1);
          }
        },
      },
      now,
    );
  }

  #dueKeys(now: Millis): Collected {
    for (const [key, at] of this.#notBefore) if (at <= now) this.#notBefore.delete(key);
    const countMax = COLLECTION_COUNT_MAX + this.#notBefore.size;
    return this.#service.keeper
      .collectable(now - this.#graceMs, countMax)
      .filter(([key]) => !this.#notBefore.has(key) && this.#isFirst(key))
      .slice(0, COLLECTION_COUNT_MAX);
  }

  /** One of the primaries begins, so that not all ask the same question at once. */
  #isFirst(key: StoreKey): boolean {
    const { ring, liveness } = this.#host.knowledge;
    const list = ring.preferenceList(ring.partitionOf(key));
    const first = list.find((id) => id === this.#service.id || !liveness.isSuspect(id));
    return first === this.#service.id;
  }

  #finish(collected: Collected): void {
    this.#isBusy = false;
    if (this.#service.keeper.store.health() !== "writable") return;
    for (const [key, digest] of collected) {
      this.#notBefore.delete(key);
      if (this.#service.keeper.collect(key, digest)) this.collectedCount++;
    }
  }
}
