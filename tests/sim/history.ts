/**
 * The naive model: everything that clients did with one key, and were told. It knows nothing of
 * the system's clocks, contexts or dots. Every write carries its own name in its value; for every
 * context that was handed out, the client's session remembers which writes were visible with it,
 * and a write **covers** what its context had shown, closed under what that had covered.
 *
 * A write is *sure* when it was acknowledged and, by the promises, must have survived: with
 * `dw ≥ 1`, and on more disks than were destroyed (or taken away from the cluster while dead). It *may* have happened unless it was refused
 * with a 4xx. So:
 * - what a sure write covers is dead for ever: to see it again is a resurrection (when the sure
 *   write was a delete or had a TTL) or a false sibling;
 * - a sure write that no write which may have happened covers must be there, until its TTL ends.
 *
 * (Riak's QuickCheck oracle, made independent of its dots.)
 */
import { IdSet } from "./id-set.ts";

export type Fate = "pending" | "acknowledged" | "maybe" | "refused";

export interface Write {
  /** Its place in the key's history. */
  readonly id: number;
  readonly value: string;
  readonly isDelete: boolean;
  /** It carried no context: it covers nothing for sure, and maybe all that was begun before. */
  readonly isBlind: boolean;
  readonly covers: IdSet;
  /** Those of them that nobody minted any more when this client was shown them. */
  readonly coversForGood: IdSet;
  /** In ms; 0 for ever. */
  readonly ttlMs: number;
  readonly begunAt: number;
  /** When it was acknowledged; Infinity when it was not. */
  endedAt: number;
  /** A second coordinator was asked, or the first one twice. */
  wasRetried: boolean;
  /** From when on no coordinator mints it any more. */
  quietAt: number;
  /** How many replicas had it on stable storage when it was acknowledged. */
  durableCount: number;
  /** The same for the key's primaries that know what they have. */
  primaryCount: number;
  fate: Fate;
}

/** A write that ends some day: what it covered may come back if it is forgotten too early. */
const isEnding = ({ isDelete, ttlMs }: Write): boolean => isDelete || ttlMs > 0;

const whyBack = (value: string, killer: Write): string =>
  `${value} is back, though ${killer.value} had covered it`;

/** How far clocks are off, in ms, and how late a write may be minted by a second coordinator. */
export interface ClockBounds {
  readonly skewMsMin: number;
  readonly skewMsMax: number;
}

/**
 * A coordinator that was frozen, or heard of a write late, may mint it again after the frontend has
 * gone to another one; that copy's TTL counts from then.
 */
export const REMINT_MS_MAX = 12_000;

/** Clocks count whole milliseconds: a millisecond that has just begun may be over in a moment. */
const CLOCK_STEP_MS = 1;

/** How long a frontend waits at most before it asks a second coordinator, in ms. */
const PATIENCE_MS_MAX = 1000;

/** A purge of all keys at once. */
export interface Purge {
  readonly begunAt: number;
  /** When its client had an answer; Infinity before. */
  endedAt: number;
  /** Whether it was acknowledged, and whether every member was known to have learnt it. */
  known: "maybe" | "some" | "all";
}

/** A purge whose client heard nothing may be made so much later, in ms. */
const PURGE_MS_MAX = 8000;

/** What a key's history must allow for beside faults. */
export interface Allowed {
  /** Any value may be gone at any time. */
  readonly evictions: boolean;
  /** The fewest owners that a key ever has, however many disks a write was on before. */
  readonly ownersMin: number;
  readonly purges: readonly Purge[];
}

export class History {
  readonly writes: Write[] = [];
  readonly #allowed: Allowed;
  readonly #byValue = new Map<string, Write>();
  /** How many disks may have been lost with what they alone had. */
  lostDiskCount = 0;

  constructor(allowed: Allowed = { evictions: false, ownersMin: Infinity, purges: [] }) {
    this.#allowed = allowed;
  }

  /** @param session what its context had shown, and when the read of it began */
  begin(
    write: Pick<Write, "value" | "isDelete" | "isBlind" | "ttlMs" | "begunAt">,
    { saw, sawAt }: { readonly saw: IdSet; readonly sawAt: number },
  ): Write {
    const covers = write.isBlind ? new IdSet() : this.closure(saw);
    const coversForGood = write.isBlind ? new IdSet() : this.#closureForGood(saw, sawAt);
    const id = this.writes.length;
    const quietAt = write.begunAt + REMINT_MS_MAX;
    const rest = {
      endedAt: Infinity,
      quietAt,
      wasRetried: false,
      durableCount: 0,
      primaryCount: 0,
    };
    const begun: Write = { ...write, ...rest, fate: "pending", id, covers, coversForGood };
    this.writes.push(begun);
    this.#byValue.set(write.value, begun);
    return begun;
  }

  isSure({ fate, durableCount }: Write): boolean {
    const copyCount = Math.min(durableCount, this.#allowed.ownersMin);
    return fate === "acknowledged" && copyCount > this.lostDiskCount;
  }

  /**
   * A blind write was answered, acknowledged by `primaries` of n. It has covered every write
   * answered before it began whose primaries were so many that the two must share one.
   */
  coverAnswered(blind: Write, { primaries, n }: { primaries: number; n: number }): void {
    for (const write of this.writes) {
      const isBefore = write.endedAt < blind.begunAt && write.quietAt < blind.begunAt;
      if (!isBefore || write.wasRetried || !this.isSure(write)) continue;
      if (write.primaryCount + primaries <= n) continue;
      blind.covers.add(write.id);
      blind.coversForGood.add(write.id);
    }
  }

  /**
   * Whether something must be there: a value was acknowledged, and nobody can have deleted it or
   * what replaced it. Writes may cover each other in any order, but the last one stands.
   */
  mustHaveValue(): boolean {
    const { evictions, purges } = this.#allowed;
    const mayEnd = evictions || purges.length > 0 || this.writes.some(({ ttlMs }) => ttlMs > 0);
    if (mayEnd) return false;
    const deletes = this.writes.filter(({ isDelete, fate }) => isDelete && fate !== "refused");
    const isAfterAll = ({ begunAt }: Write): boolean =>
      deletes.every(({ quietAt }) => quietAt < begunAt);
    return this.writes.some((w) => !w.isDelete && this.isSure(w) && isAfterAll(w));
  }

  byValue(value: string): Write | undefined {
    return this.#byValue.get(value);
  }

  /** The writes, and all that they had covered. */
  closure(ids: IdSet): IdSet {
    const out = this.coveredBy(ids);
    out.addAll(ids);
    return out;
  }

  /** What the writes covered, without themselves. */
  coveredBy(ids: IdSet): IdSet {
    const { writes } = this;
    const out = new IdSet();
    ids.each((id) => {
      out.addAll((writes[id] as Write).covers);
    });
    return out;
  }

  /** Those of the writes that are neither seen nor covered by others of them. */
  missing(owed: IdSet, seen: IdSet): readonly number[] {
    // Mostly one of the last covers all that came before: then the others need no look.
    const accounted = seen.copy();
    let isNoneMissing = accounted.includes(owed);
    if (isNoneMissing) return [];
    owed.untilDownwards((id) => {
      accounted.addAll((this.writes[id] as Write).covers);
      isNoneMissing = accounted.includes(owed);
      return isNoneMissing;
    });
    return isNoneMissing ? [] : [...owed].filter((id) => !accounted.has(id));
  }

  /**
   * The same for writes that were quiet when they were seen. Before that, a frontend that waits in
   * vain may have the write minted anew: a version that an earlier context does not name.
   */
  #closureForGood(ids: IdSet, seenAt: number): IdSet {
    const out = new IdSet();
    ids.each((id) => {
      const write = this.writes[id] as Write;
      if (write.quietAt <= seenAt) out.add(id);
      out.addAll(write.coversForGood);
    });
    return out;
  }

  /** Whether one of these writes, or of what they covered, covered it for good. */
  isCoveredForGood(id: number, by: IdSet): boolean {
    // Only writes that were begun later can have: few of those seen, and mostly none.
    const killers: number[] = [];
    for (let later = id + 1; later < this.writes.length; later++) {
      if (this.writes[later]?.coversForGood.has(id)) killers.push(later);
    }
    if (killers.length === 0) return false;
    const closure = this.closure(by);
    return killers.some((killer) => closure.has(killer));
  }

  /**
   * A delete, or a value with a TTL, that covered the write and was seen, or covered by what was.
   */
  endingKillerOf(id: number, seen: IdSet): Write | undefined {
    const killers = [...this.closure(seen)].map((other) => this.writes[other] as Write);
    return killers.find((killer) => isEnding(killer) && killer.coversForGood.has(id));
  }

  /** Writes that somebody may have covered by now. */
  maybeCovered(clocks: ClockBounds): IdSet {
    const out = new IdSet();
    const purgedUntil = this.#purgedUntil(clocks);
    for (const write of this.writes) {
      if (write.begunAt < purgedUntil) out.add(write.id);
      if (write.fate === "refused") continue;
      out.addAll(write.covers);
      if (!write.isBlind) continue;
      const until = this.#coversUntil(write, clocks);
      for (const other of this.writes) {
        // They stand in the order in which they were begun.
        if (other.begunAt >= until) break;
        // It took effect before somebody was shown it: it is not carried out again, over that.
        if (other !== write && !other.covers.has(write.id)) out.add(other.id);
      }
    }
    return out;
  }

  /**
   * A write without a context that this write's client was shown, and that has hidden this one
   * since.
   */
  repeatOver(write: Write, clocks: ClockBounds): Write | undefined {
    return [...write.covers]
      .map((id) => this.writes[id] as Write)
      .find((seen) => seen.isBlind && write.begunAt < this.#coversUntil(seen, clocks));
  }

  /**
   * Writes begun before this time may have been ended by a purge: those up to its answer and, where
   * some members may not have heard of it, as much later as their clocks are behind the others'.
   */
  #purgedUntil(clocks: ClockBounds): number {
    const spreadMs = clocks.skewMsMax - clocks.skewMsMin + CLOCK_STEP_MS;
    const until = this.#allowed.purges.map(({ begunAt, endedAt, known }) => {
      if (known === "all") return endedAt;
      return (known === "maybe" ? begunAt + PURGE_MS_MAX : endedAt) + spreadMs;
    });
    return Math.max(-Infinity, ...until);
  }

  /** Why a reader that began to look then must not see a value any more; null when it may. */
  purgedBefore(value: string, lookedAt: number, clocks: ClockBounds): string | null {
    const write = this.#byValue.get(value);
    if (write === undefined) return null;
    const spreadMs = clocks.skewMsMax - clocks.skewMsMin + CLOCK_STEP_MS;
    const wasOver = ({ begunAt, endedAt, known }: Purge): boolean =>
      known !== "maybe" && endedAt <= lookedAt && write.quietAt + spreadMs < begunAt;
    return this.#allowed.purges.some(wasOver) ? `${value} was purged, and is served` : null;
  }

  /**
   * The latest time of what a blind write may have covered: before its answer, however late it is
   * minted. Only the first coordinator's clock may be behind that of the frontend, which says
   * whether it is in time.
   */
  #coversUntil({ begunAt, endedAt, quietAt }: Write, clocks: ClockBounds): number {
    const lateMs = PATIENCE_MS_MAX + clocks.skewMsMax - clocks.skewMsMin + CLOCK_STEP_MS;
    return Math.min(quietAt, Math.max(endedAt, begunAt + lateMs));
  }

  /** Why a value may not be seen at an instant; null when it may. */
  objection(value: string, now: number, clocks: ClockBounds): [oracle: string, why: string] | null {
    const write = this.#byValue.get(value);
    if (write === undefined) return ["invention", `${value} was never written`];
    if (write.isDelete) return ["invention", `${value} is a delete`];
    if (write.fate === "refused") return ["refusal", `${value} was refused, and is there`];
    // It is minted by one clock, until nobody mints it any more, and judged by another.
    const spreadMs = clocks.skewMsMax - clocks.skewMsMin + CLOCK_STEP_MS;
    const isOver = write.ttlMs > 0 && now > write.quietAt + write.ttlMs + spreadMs;
    return isOver ? ["ttl", `${value} had ${write.ttlMs} ms to live and is served`] : null;
  }

  /** Whether its time may have run out on somebody's clock. */
  mayBeExpired({ ttlMs, begunAt }: Write, now: number, clocks: ClockBounds): boolean {
    const latest = now + clocks.skewMsMax + CLOCK_STEP_MS;
    return ttlMs > 0 && latest >= begunAt + ttlMs + clocks.skewMsMin;
  }

  /** After all faults: what is wrong with these being the live values of the key. */
  judge(live: readonly string[], now: number, clocks: ClockBounds): (readonly [string, string])[] {
    const faults: (readonly [string, string])[] = [];
    if (live.length === 0 && this.mustHaveValue()) {
      faults.push([
        "durability",
        "values were acknowledged, nobody deleted them, and none is left",
      ]);
    }
    const sure = this.writes.filter((write) => this.isSure(write));
    const maybeCovered = this.maybeCovered(clocks);
    for (const write of sure) {
      const mayBeGone = write.isDelete || this.#allowed.evictions || maybeCovered.has(write.id);
      if (mayBeGone || live.includes(write.value)) continue;
      if (this.mayBeExpired(write, now, clocks)) continue;
      faults.push(this.whyGone(write, clocks) ?? ["durability", `${write.value} is lost`]);
    }
    for (const value of live) {
      const objection = this.objection(value, now, clocks);
      if (objection !== null) faults.push(objection);
      const repeated = this.#repeatedBeside(value, sure);
      if (repeated !== undefined) faults.push(["at-most-once", whyBack(value, repeated)]);
      faults.push(...this.#returns(value, sure));
    }
    return faults;
  }

  /** A value that is there, and was covered for good. */
  #returns(value: string, sure: readonly Write[]): (readonly [string, string])[] {
    const killers = this.#killersOf(value, sure);
    const isPlain = (killer: Write): boolean => !isEnding(killer);
    const kinds = [
      ["blind-write", ({ isBlind }: Write) => isBlind],
      ["resurrection", isEnding],
      ["false-sibling", isPlain],
    ] as const;
    return kinds.flatMap(([oracle, isSuch]) => {
      const killer = killers.find(isSuch);
      return killer === undefined ? [] : [[oracle, whyBack(value, killer)] as const];
    });
  }

  /** Why an acknowledged write is missing, when one that it had replaced was carried out again. */
  whyGone(write: Write, clocks: ClockBounds): readonly [string, string] | null {
    const repeat = this.repeatOver(write, clocks);
    if (repeat === undefined) return null;
    return ["at-most-once", `${write.value} is gone, and had replaced ${repeat.value}`];
  }

  /** The write that had covered it, in case it was minted for a second time after that. */
  #repeatedBeside(value: string, sure: readonly Write[]): Write | undefined {
    const id = this.#byValue.get(value)?.id ?? -1;
    return sure.find(({ covers, coversForGood }) => covers.has(id) && !coversForGood.has(id));
  }

  #killersOf(value: string, sure: readonly Write[]): readonly Write[] {
    const write = this.#byValue.get(value);
    if (write === undefined) return [];
    return sure.filter(({ coversForGood }) => coversForGood.has(write.id));
  }
}
