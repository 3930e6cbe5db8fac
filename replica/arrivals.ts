/**
 * What a replica can say about the order in which its entries last changed, beyond the order
 * itself (`Store.arrivals`): its name, and what is missing in it.
 *
 * - The **name** stands for the order. A reader that goes on at a position of it relies on this:
 *   every change since then has a higher one. Where that does not hold any more, the order gets
 *   another name: the store went back in time, is a copy, or has lost a record that was told of.
 * - A dropped key has no position. Up to a **floor** deletes may be missing, because they were
 *   collected (floors.ts); a reader that has come less far begins anew.
 * - Keys that are forgotten because their time is over are counted, and the last ones are
 *   remembered, with when that was. A reader that has heard of fewer than are known begins anew.
 */
import { assert } from "../core/assert.ts";
import { decode, encode } from "../core/codec.ts";
import type { Entry } from "../core/entry.ts";
import { EVICTED } from "../core/expiry.ts";
import { namespaceOf } from "../core/keys.ts";
import type { Prng } from "../core/prng.ts";
import type { Store, StoreKey } from "../core/store.ts";
import type { WallMillis } from "../core/time.ts";
import { Floors } from "./floors.ts";

const NAME = "arrivals";
/** Keys that were forgotten last, some 100 bytes each. */
const ENDED_COUNT_MAX = 32_768;
/** Their count is stored ahead, so that this is not written for every key. */
const COUNT_STEP = 1024;

interface Kept {
  readonly run: number;
  /** Of all namespaces, from before each had its own. */
  readonly floor: number;
  readonly ended: number;
  /** When the time of the last of those was over; Infinity where that is not known. */
  readonly endedThrough: WallMillis;
}

export interface Ended {
  readonly key: StoreKey;
  readonly endedAt: WallMillis;
  /** A reader that has come as far has been told already. */
  readonly toldFrom: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value);

function keptIn(store: Store): Kept | null {
  const bytes = store.readMeta(NAME);
  const list = bytes === undefined ? null : decode(bytes);
  if (!Array.isArray(list)) return null;
  const [run, floor, ended, through] = list as unknown[];
  if (!(isCount(run) && isCount(floor) && isCount(ended))) return null;
  const isUnknown = ended > 0 && !isCount(through);
  return { run, floor, ended, endedThrough: isUnknown ? Infinity : Number(through ?? 0) };
}

export class Arrivals {
  readonly #store: Store;
  readonly #prng: Prng;
  #run: number;
  #floor: number;
  readonly #floors: Floors;
  /** Keys with numbers up to `#endedCount`, the last of them last. */
  #ended: Ended[] = [];
  #endedCount: number;
  /** As it is stored. */
  #keptCount: number;
  /** The latest end among the keys that were forgotten, as far as it is known. */
  #endedThrough: WallMillis;
  /** The same for keys that are no longer remembered. */
  #lostThrough: WallMillis;
  #hasEnded = false;
  /** All keys that were due by then have been looked at since the start. */
  #lookedThrough: WallMillis = 0;
  /** It has another name than the last run left: whatever stood in it before may be lost. */
  readonly isFresh: boolean;

  constructor(store: Store, prng: Prng, { isCopy = false } = {}) {
    this.#store = store;
    this.#prng = prng;
    const kept = keptIn(store);
    const { recovery } = store;
    const isBroken = isCopy || recovery.wentBack === true || recovery.corruptCount > 0;
    this.#run = kept?.run ?? 0;
    this.#floor = kept?.floor ?? 0;
    this.#floors = new Floors(store, () => this.#run);
    this.#endedCount = kept?.ended ?? 0;
    this.#keptCount = this.#endedCount;
    this.#endedThrough = kept?.endedThrough ?? 0;
    this.#lostThrough = this.#endedThrough;
    this.isFresh = kept === null || isBroken;
    if (this.isFresh) this.renew();
  }

  /** The name of the order: a number of 32 bits, above 0. */
  get run(): number {
    return this.#run;
  }

  /** Up to there deletes of the namespace may be missing. */
  floorOf(namespace: string): number {
    return Math.max(this.#floor, this.#floors.of(namespace));
  }

  get endedCount(): number {
    return this.#endedCount;
  }

  /** From now on it is another order: a version that was told of may be followed by older ones. */
  renew(): void {
    this.#run = this.#prng.below(2 ** 31) + 1;
    this.#floor = 0;
    this.#floors.forget();
    this.#keep();
  }

  /** A key that all members agree on is about to be forgotten. */
  collecting(key: StoreKey, { siblings }: Entry, now: WallMillis): void {
    const { position = 0, holdsValue = false } = this.#store.summary(key) ?? {};
    const isOver = siblings.length > 0 && siblings.every(({ expiresAt }) => expiresAt > EVICTED);
    // Of the end of a body that was not given up nobody has been told.
    if (isOver || holdsValue) this.#ending(key, now, holdsValue ? Infinity : position);
    if (!isOver) this.#floors.raise(namespaceOf(key), position);
  }

  /** A key is about to be forgotten because its time is over. */
  releasing(key: StoreKey, endedAt: WallMillis): void {
    this.#ending(key, endedAt, Infinity);
  }

  #ending(key: StoreKey, endedAt: WallMillis, toldFrom: number): void {
    this.#ended.push({ key, endedAt, toldFrom });
    this.#endedCount++;
    this.#hasEnded = true;
    const isUnknown = this.#endedThrough === Infinity;
    this.#endedThrough = isUnknown ? endedAt : Math.max(this.#endedThrough, endedAt);
    // Before the key is dropped: after a crash in between readers begin anew.
    if (this.#endedCount > this.#keptCount) this.#keep(this.#endedCount + COUNT_STEP);
    if (this.#ended.length < 2 * ENDED_COUNT_MAX) return;
    const dropped = this.#ended.splice(0, this.#ended.length - ENDED_COUNT_MAX);
    for (const one of dropped) this.#lostThrough = Math.max(this.#lostThrough, one.endedAt);
  }

  /** Whatever was due by then has been looked at: it is gone, or was put off. */
  lookedAt(now: WallMillis): void {
    this.#lookedThrough = now;
  }

  /**
   * The time up to which every key whose time was over has been forgotten. Where nothing is due
   * that is now, and nobody has to look. A key that was put off is not such a key.
   */
  releasedThrough(now: WallMillis): WallMillis {
    const earliest = this.#store.earliestDue();
    if (earliest > now) return now;
    return Math.min(now, Math.max(this.#lookedThrough, Math.floor(earliest) - 1));
  }

  /** To be called at the end of a step: what it released is counted for good. */
  settle(): void {
    this.#floors.settle();
    if (this.#hasEnded) this.#keep();
    this.#hasEnded = false;
  }

  /** The keys that ended after the first `count`; null when some are no longer known. */
  endedAfter(count: number): readonly Ended[] | null {
    const newCount = this.#endedCount - count;
    if (newCount < 0 || newCount > this.#ended.length) return null;
    return newCount === 0 ? [] : this.#ended.slice(-newCount);
  }

  /**
   * How many had been released before the first one whose time was over after `time`; null when
   * that one may not be known any more.
   */
  endedCountAt(time: WallMillis): number | null {
    if (this.#lostThrough > time) return null;
    const first = this.#ended.findIndex(({ endedAt }) => endedAt > time);
    return first < 0 ? this.#endedCount : this.#endedCount - this.#ended.length + first;
  }

  #keep(endedCount = this.#endedCount): void {
    assert(this.#run > 0, "an order has a name");
    this.#keptCount = endedCount;
    const through = this.#endedThrough === Infinity ? [] : [this.#endedThrough];
    const kept = [this.#run, this.#floor, endedCount, ...through];
    this.#store.writeMeta(NAME, encode(kept));
  }
}
