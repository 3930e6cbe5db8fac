/** Compares what clients are told, and what is left when all faults have ended, with the model. */
import type { Tally } from "../../core/tally.ts";
import { type ClockBounds, History, type Purge, REMINT_MS_MAX, type Write } from "./history.ts";
import { IdSet } from "./id-set.ts";
import { isDestructive, N_MIN, type Plan } from "./plan.ts";

/** What each oracle watches over; a failure and a sabotage name one of these. */
export const ORACLES: Readonly<Record<string, string>> = {
  durability: "an acknowledged write is there until something later covers it (promise 1)",
  convergence: "after faults end all primaries of a key hold the same, readably (promise 2)",
  membership: "after faults end every change of members, or of N, ends, the same everywhere",
  hints: "after faults end every hint goes home (promise 2)",
  resurrection: "what a delete or an expired value covered does not come back (promise 3)",
  "false-sibling": "what an acknowledged write covered does not come back (promise 3)",
  "blind-write":
    "a write without a context covers what was answered before it began, where primaries meet",
  "strict-read": "a strict read sees every strict write that finished before it (promise 4)",
  session: "who reads with a context never sees what it has replaced, or less (promise 5)",
  "at-most-once": "a write takes effect once: never over, or beside, what saw it (promise 6)",
  refusal: "a write refused with a 4xx never surfaces (promise 6)",
  purge: "what was purged is shown by no strict read after that, and by nobody in the end",
  deadline: "a process that runs answers a request when its time is over, whatever the clock does",
  lease: "the right to fetch ends by itself when its holder falls silent",
  "cache-purge":
    "what an origin was asked for before a purge is not served after it, in the end by nobody",
  variant: "nobody gets the variant of a stored response that was made for another",
  staleness: "a bounded read lacks no write that so many had acknowledged so long before it",
  ttl: "a value is not served after its time, within the bounds of the clocks",
  invention: "nothing is served that nobody wrote to that key",
  feed: "who obeys a change feed has in the end exactly what lives (its promises 1 and 3)",
  "feed-order": "within a run of a feed nothing comes after what covers it (its promise 2)",
  growth: "deleted keys leave nothing behind on any disk",
  recovery: "a disk that nobody damaged is never found damaged",
  availability: "after faults end every key can be read and written",
  identity: "no replica that was started anew is taken for two",
  assertion: "no invariant of the code breaks",
};

export interface Failure {
  readonly oracle: string;
  readonly detail: string;
}

/** What later strict reads of one key must show. */
interface Strict {
  readonly acknowledged: IdSet;
  /**
   * Acknowledged by enough primaries, but on fewer of their disks: a fallback's disk counts for
   * `dw`.
   */
  inMemory: IdSet;
  shown: IdSet;
  /** Evicted, as a strict read that wrote it back found out. */
  gone: IdSet;
}

/** What a strict read must see, as of its beginning. */
export interface StrictDebt {
  readonly owed: IdSet;
  readonly gone: IdSet;
  readonly begunAt: number;
}

/** Failures of one oracle that are reported in one run. */
const REPORTED_MAX = 3;

export class Judge {
  readonly failures: Failure[] = [];
  readonly #histories = new Map<string, History>();
  readonly #strict = new Map<string, Strict>();
  #powerCutAt = -1;
  /** Members whose disks may have been lost with what they alone had. */
  readonly #lostDisks = new Set<string>();
  readonly #clocks: ClockBounds;
  readonly #trace: (line: string) => void;
  readonly #evicts: boolean;
  readonly #purges: Purge[] = [];
  readonly #ownersStay: boolean;

  constructor(plan: Plan, clocks: ClockBounds, trace: (line: string) => void) {
    this.#clocks = clocks;
    this.#trace = trace;
    this.#evicts = plan.maxBytes !== null;
    this.#ownersStay = plan.spares.length === 0 && !plan.isResized;
    const allowed = {
      ...{ evictions: this.#evicts, ownersMin: plan.isResized ? N_MIN : Infinity },
      purges: this.#purges,
    };
    for (const { name } of plan.keys) {
      this.#histories.set(name, new History(allowed));
      const sets = { acknowledged: new IdSet(), inMemory: new IdSet(), shown: new IdSet() };
      this.#strict.set(name, { ...sets, gone: new IdSet() });
    }
    if (plan.faults.some(({ kind }) => isDestructive(kind))) this.diskIsLost(plan.victim);
  }

  readonly accuse = (oracle: string, detail: string): void => {
    this.#trace(`FAILED ${oracle}: ${detail}`);
    const alike = this.failures.filter((failure) => failure.oracle === oracle);
    if (alike.length < REPORTED_MAX) this.failures.push({ oracle, detail });
  };

  /**
   * A disk that is destroyed, or whose member was removed while dead: nobody waits for what it has.
   */
  diskIsLost(id: string): void {
    if (this.#lostDisks.has(id)) return;
    this.#lostDisks.add(id);
    this.#trace(`the disk of ${id} does not count`);
    for (const history of this.#histories.values()) history.lostDiskCount = this.#lostDisks.size;
  }

  /** Members whose disks do not count any more. */
  get lostDiskCount(): number {
    return this.#lostDisks.size;
  }

  /** A write may be minted after its client's answer: by a coordinator that hears of it late. */
  wasRetried(value: string): void {
    for (const history of this.#histories.values()) {
      const write = history.byValue(value);
      if (write === undefined) continue;
      write.wasRetried = true;
      write.quietAt = write.begunAt + REMINT_MS_MAX;
    }
  }

  /** All keys are to be purged; `ended` when there is an answer, or will be none. */
  purgeBegins(begunAt: number): { ended(at: number, known: Purge["known"]): void } {
    const purge: Purge = { begunAt, endedAt: Infinity, known: "maybe" };
    this.#purges.push(purge);
    const ended = (at: number, known: Purge["known"]): void => {
      purge.endedAt = at;
      purge.known = known;
    };
    return { ended };
  }

  #checkPurged(key: string, values: Iterable<string>, lookedAt: number): void {
    for (const value of values) {
      const why = this.history(key).purgedBefore(value, lookedAt, this.#clocks);
      if (why !== null) this.accuse("purge", `${name(key)}: ${why}`);
    }
  }

  history(key: string): History {
    return this.#histories.get(key) as History;
  }

  /**
   * @param by the number of disks that the client asked for, whatever the answer says; `isStrict`
   *   when it was a majority of the primaries
   */
  acknowledged(
    key: string,
    write: Write,
    by: {
      durableCount: number;
      at: number;
      isStrict: boolean;
      hasPrimaries: boolean;
      tally: Tally;
    },
  ): void {
    write.durableCount = by.durableCount;
    const { primaries, fallbacks, durable } = by.tally;
    write.primaryCount = Math.max(0, Math.min(primaries, durable - fallbacks));
    write.endedAt = by.at;
    if (!write.wasRetried) write.quietAt = Math.min(write.quietAt, by.at);
    write.fate = "acknowledged";
    // Where owners change, former and present primaries need not meet.
    if (write.isBlind && this.#ownersStay) {
      this.history(key).coverAnswered(write, { primaries, n: by.tally.n });
    }
    const strict = this.#strict.get(key);
    if (by.isStrict) strict?.acknowledged.add(write.id);
    else if (by.hasPrimaries && write.begunAt > this.#powerCutAt) strict?.inMemory.add(write.id);
  }

  /** Values that some read showed, at an instant of virtual time. */
  seen(key: string, values: readonly string[], now: number): IdSet {
    const history = this.history(key);
    const ids = new IdSet();
    for (const value of values) {
      const objection = history.objection(value, now, this.#clocks);
      if (objection !== null) this.accuse(objection[0], `${name(key)}: ${objection[1]}`);
      const write = history.byValue(value);
      if (write !== undefined) ids.add(write.id);
    }
    return ids;
  }

  /** A read with a context: `saw` is what that context had shown. */
  sessionRead(key: string, saw: IdSet, of: { seen: IdSet; now: number }): void {
    this.#checkIncludes(key, saw, { ...of, oracle: "session", shown: new IdSet() });
  }

  /**
   * A read with a bound: it shows what `staleW` replicas had acknowledged, on stable storage,
   * before then. An acknowledgement from memory counts only as long as the memory lasts.
   */
  boundedRead(
    key: string,
    { olderThan, staleW }: { readonly olderThan: number; readonly staleW: number },
    of: { seen: IdSet; now: number },
  ): void {
    const history = this.history(key);
    const owed = new IdSet();
    for (const write of history.writes) {
      const isOld = write.endedAt < olderThan && write.durableCount >= staleW;
      if (isOld && history.isSure(write)) owed.add(write.id);
    }
    this.#checkIncludes(key, owed, { ...of, oracle: "staleness", shown: new IdSet() });
  }

  strictBegins(key: string, begunAt: number): StrictDebt {
    const strict = this.#strict.get(key);
    const owed = strict?.acknowledged.copy() ?? new IdSet();
    if (strict !== undefined) owed.addAll(strict.shown);
    if (strict !== undefined) owed.addAll(strict.inMemory);
    return { owed, gone: strict?.gone.copy() ?? new IdSet(), begunAt };
  }

  strictRead(key: string, { owed, gone }: StrictDebt, of: { seen: IdSet; now: number }): void {
    const shown = this.#strict.get(key)?.shown ?? new IdSet();
    this.#checkIncludes(key, this.#stillOwed(key, owed), { ...of, oracle: "strict-read", shown });
    for (const id of of.seen) {
      if (gone.has(id)) this.#accuseReturn(key, this.history(key).writes[id] as Write);
    }
  }

  /**
   * What only lost disks may have had is owed by nobody. A single disk cannot be the only one:
   * whatever was acknowledged, or shown, with a majority of primaries is on another.
   */
  #stillOwed(key: string, owed: IdSet): IdSet {
    if (this.#lostDisks.size < 2) return owed;
    const { writes } = this.history(key);
    const out = new IdSet();
    for (const id of owed) if (this.history(key).isSure(writes[id] as Write)) out.add(id);
    return out;
  }

  #accuseReturn(key: string, { value }: Write): void {
    this.accuse("resurrection", `${name(key)}: ${value} is back after it was evicted`);
  }

  /**
   * A read with `consistency=strict`: owed values that it lacks and nobody covered were evicted.
   */
  strictMissed(key: string, { owed }: StrictDebt, of: { seen: IdSet; now: number }): void {
    if (!this.#evicts) return;
    const history = this.history(key);
    const maybeCovered = history.maybeCovered(this.#clocks);
    for (const id of owed) {
      const write = history.writes[id] as Write;
      if (of.seen.has(id) || maybeCovered.has(id) || write.quietAt > of.now) continue;
      if (history.mayBeExpired(write, of.now, this.#clocks)) continue;
      this.#strict.get(key)?.gone.add(id);
    }
  }

  /** The same: nothing of it was purged before it began. */
  strictUnpurged(key: string, { begunAt }: StrictDebt, seen: IdSet): void {
    // A lost disk takes along its member's knowledge of purges.
    if (this.#lostDisks.size > 0) return;
    const { writes } = this.history(key);
    const values = [...seen].map((id) => (writes[id] as Write).value);
    this.#checkPurged(key, values, begunAt);
  }

  /** What a read with `consistency=strict` showed, later ones must not fall behind. */
  strictShowed(key: string, seen: IdSet): void {
    this.#strict.get(key)?.shown.addAll(seen);
  }

  /** Without power, what a strict read showed may be gone unless the write was acknowledged. */
  powerWasCut(now: number): void {
    this.#powerCutAt = now;
    for (const strict of this.#strict.values()) {
      strict.shown = new IdSet();
      strict.inMemory = new IdSet();
      strict.gone = new IdSet();
    }
  }

  #checkIncludes(
    key: string,
    owed: IdSet,
    of: {
      readonly seen: IdSet;
      readonly now: number;
      readonly oracle: string;
      /** What an earlier strict read showed, and so is owed even if it was not acknowledged. */
      readonly shown: IdSet;
    },
  ): void {
    const history = this.history(key);
    for (const id of of.seen) {
      if (!history.isCoveredForGood(id, owed)) continue;
      const { value } = history.writes[id] as Write;
      this.accuse(of.oracle, `${name(key)}: an older value is shown: ${value}`);
      // Only something that was itself to be gone had covered it.
      const killer = history.endingKillerOf(id, owed);
      if (killer === undefined) continue;
      this.accuse("resurrection", `${name(key)}: ${value} is back, ${killer.value} had covered it`);
    }
    if (this.#evicts) return;
    const missing = history.missing(owed, of.seen);
    if (missing.length === 0) return;
    const maybeCovered = history.maybeCovered(this.#clocks);
    for (const id of missing) {
      const write = history.writes[id] as Write;
      const isOwed = history.isSure(write) || of.shown.has(id);
      if (write.isDelete || !isOwed || maybeCovered.has(id)) continue;
      if (history.mayBeExpired(write, of.now, this.#clocks)) continue;
      const repeated = history.whyGone(write, this.#clocks);
      if (repeated !== null) this.accuse(repeated[0], `${name(key)}: ${repeated[1]}`);
      this.accuse(of.oracle, `${name(key)}: ${write.value} is not shown`);
    }
  }

  /** After all faults: these are the live values of the key. */
  final(key: string, live: readonly string[], now: number): void {
    this.#checkPurged(key, live, now);
    for (const [oracle, why] of this.history(key).judge(live, now, this.#clocks)) {
      this.accuse(oracle, `${name(key)}: ${why}`);
    }
  }

  /**
   * Checks for values that were not there when all had agreed, and are there later though nobody
   * wrote.
   */
  later(
    key: string,
    before: readonly string[],
    { live, at }: { live: readonly string[]; at: number },
  ): void {
    for (const value of live) {
      const write = this.history(key).byValue(value);
      if (write === undefined || before.includes(value) || write.quietAt > at) continue;
      this.#accuseReturn(key, write);
    }
  }
}

export const name = (key: string): string => key.slice(key.indexOf("\0") + 1);
