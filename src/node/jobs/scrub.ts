/**
 * Reads all records, one after the other, and looks whether their checksums hold: bit rot is found
 * before a client meets it, and while there are others to mend it. A damaged record counts as lost
 * (replica/keeper.ts), so that its key differs from what the peers have, and an exchange brings it.
 *
 * One pass follows the other, at a rate by which all bytes take `scrubMs`; a restart goes on in the
 * partition at which it stopped. An operator may have a pass run at once, in short slices.
 *
 * Where the platform checks its own storage (a store without `isSound`) nothing is read.
 */
import { CodecError } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { ScrubPass, ScrubStatus } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { Pause } from "../peers/pause.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";
import type { Exchanges } from "./exchanges.ts";

/** A record costs more than its bytes: it has a header, and is a read of its own. */
const RECORD_BYTES = 128;
/** Read in one go, in bytes: some milliseconds of a disk, and a bound on every second's work. */
const SLICE_BYTES = 2 * 1024 * 1024;
/** Between two slices of a pass that somebody waits for, in ms. */
const SLICE_PAUSE_MS = 5;
/** After a sleep longer than this, in ms, the rest of what was missed is not made up for. */
const CATCH_UP_MS = 60_000;
/** How many times a pass notes how far it is, at most. */
const NOTES_COUNT_MAX = 256;
/** Damaged keys remembered at once; there are more only where a disk is done for. */
const UNMENDED_COUNT_MAX = 10_000;
const NAME = "scrub";

interface ScrubHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

interface Pass {
  startedAt: number;
  /** The next partition to be looked at. */
  partition: number;
  records: number;
  damaged: number;
  mended: number;
}

export class Scrub {
  readonly #replica: Replica;
  readonly #host: ScrubHost;
  readonly #exchanges: Exchanges;
  readonly #everyMs: number;
  #pass: Pass | null = null;
  #last: ScrubPass | null = null;
  /** Of the partition at work. */
  #queue: StoreKey[] = [];
  /** Keys found damaged and not yet brought by anybody. */
  readonly #unmended = new Set<StoreKey>();
  #lastRunAt: Millis | null = null;
  #credit = 0;
  #waiting: ((now: Millis) => void)[] = [];
  /** Since this process began. */
  readonly totals = { records: 0, damaged: 0, mended: 0 };

  /** @param everyMs how long a pass is to take; 0: only when somebody asks */
  constructor(replica: Replica, host: ScrubHost, of: { exchanges: Exchanges; everyMs: number }) {
    this.#replica = replica;
    this.#host = host;
    this.#exchanges = of.exchanges;
    this.#everyMs = of.everyMs;
    this.#remember();
  }

  /** Whether records are read here at all. */
  get checks(): boolean {
    return this.#replica.keeper.store.isSound !== undefined;
  }

  /** null where the platform checks its own storage. */
  get status(): ScrubStatus | null {
    if (!this.checks) return null;
    this.#settle();
    const { startedAt, records, damaged, mended } = this.#pass ?? {};
    const running =
      startedAt === undefined
        ? null
        : { at: startedAt, records: records ?? 0, damaged: damaged ?? 0, mended: mended ?? 0 };
    return { last: this.#last, running };
  }

  /** One bounded unit: to be called every second. @returns whether anything was written */
  run(now: Millis): boolean {
    if (!this.checks || this.#everyMs === 0 || this.#waiting.length > 0) return false;
    const elapsed = Math.min(CATCH_UP_MS, now - (this.#lastRunAt ?? now));
    this.#lastRunAt = now;
    const { byteCount, keyCount } = this.#replica.keeper.store.stats();
    const all = byteCount + keyCount * RECORD_BYTES;
    this.#credit = Math.min(SLICE_BYTES, this.#credit + (all * elapsed) / this.#everyMs);
    this.#pass ??= this.#begin();
    const [{ damaged: before }, wasAt] = [this.totals, this.#pass.partition];
    const isOver = this.#credit >= 1 && this.#read();
    if (isOver) this.#finish();
    // An exchange would come by itself; this one comes before a client does.
    if (this.totals.damaged > before) this.#exchanges.withAll(now, () => this.#settle());
    return isOver || (this.#pass?.partition ?? 0) !== wasAt;
  }

  /** A pass over everything, now; `done` is called when what it found damaged was fetched, too. */
  start(now: Millis, done: (pass: ScrubPass, now: Millis) => void): void {
    const told = (at: Millis): void => done(this.#last ?? { at: 0, ...NOTHING }, at);
    this.#waiting.push(told);
    if (this.#waiting.length > 1) return;
    this.#pass = this.#begin();
    this.#goOn(now);
  }

  #goOn(now: Millis): void {
    this.#credit = SLICE_BYTES;
    if (this.#read()) return this.#end(now);
    this.#host.run<null>(
      {
        timeoutMs: SLICE_PAUSE_MS,
        again: null,
        make: (out) => new Pause(SLICE_PAUSE_MS, out),
        finish: (_, at) => this.#goOn(at),
      },
      now,
    );
  }

  #end(now: Millis): void {
    // Credit that a whole slice left over is not for the next pass, which nobody waits for.
    this.#credit = 0;
    const told = (at: Millis): void => {
      this.#finish();
      this.#host.whenDurable(() => {});
      for (const tell of this.#waiting.splice(0)) tell(at);
    };
    if (this.#unmended.size === 0) return told(now);
    this.#exchanges.withAll(now, (_, at) => told(at));
  }

  #begin(): Pass {
    this.#queue = [];
    this.#unmended.clear();
    return { startedAt: Math.floor(this.#host.wall()), partition: 0, ...NOTHING };
  }

  /** Reads as much as there is credit for. @returns whether everything was read */
  #read(): boolean {
    const { keeper } = this.#replica;
    const { store } = keeper;
    const pass = this.#pass;
    if (pass === null) return true;
    const { partitionCount } = this.#host.knowledge.ring;
    const notesEvery = Math.max(1, Math.floor(partitionCount / NOTES_COUNT_MAX));
    while (this.#credit > 0) {
      const key = this.#queue.pop();
      if (key === undefined) {
        if (pass.partition >= partitionCount) return this.#readHints();
        if (pass.partition % notesEvery === 0) this.#note();
        this.#queue = Array.from(store.entriesOf(pass.partition++), (entry) => entry.key);
        continue;
      }
      const summary = store.summary(key);
      if (summary === undefined) continue;
      this.#credit -= summary.byteCount + RECORD_BYTES;
      this.#count(keeper.check(key) ? null : key);
    }
    return false;
  }

  #count(damaged: StoreKey | null): void {
    const pass = this.#pass;
    this.totals.records++;
    if (pass !== null) pass.records++;
    if (damaged === null) return;
    this.totals.damaged++;
    if (pass !== null) pass.damaged++;
    if (this.#unmended.size < UNMENDED_COUNT_MAX) this.#unmended.add(damaged);
  }

  /** A hint that cannot be read is forgotten: an exchange makes up for it. */
  #readHints(): true {
    const { store } = this.#replica.keeper;
    for (const [target, count] of store.hintCounts()) {
      for (const key of store.hintedKeys(target, Math.min(count, UNMENDED_COUNT_MAX))) {
        if (store.isSound?.(key, target) === false) store.dropHint(target, key);
      }
    }
    return true;
  }

  /** Finds which of the damaged keys somebody has brought by now. */
  #settle(): void {
    for (const key of this.#unmended) {
      if (this.#replica.keeper.ownDigest(key) === null) continue;
      this.#unmended.delete(key);
      this.totals.mended++;
      if (this.#pass !== null) this.#pass.mended++;
      else if (this.#last !== null) this.#last = { ...this.#last, mended: this.#last.mended + 1 };
    }
  }

  #finish(): void {
    this.#settle();
    const { records, damaged, mended } = this.#pass ?? NOTHING;
    this.#last = { at: Math.floor(this.#host.wall()), records, damaged, mended };
    this.#pass = null;
    this.#note();
  }

  #note(): void {
    const { startedAt = 0, partition = 0, records = 0, damaged = 0, mended = 0 } = this.#pass ?? {};
    const last = this.#last ?? { at: 0, ...NOTHING };
    const now = [startedAt, partition, records, damaged, mended];
    const before = [last.at, last.records, last.damaged, last.mended];
    this.#replica.keeper.store.writeMeta(NAME, encode([...now, ...before]));
  }

  /** Of an earlier run; nonsense is as good as nothing. */
  #remember(): void {
    const bytes = this.#replica.keeper.store.readMeta(NAME);
    if (bytes === undefined) return;
    let list: unknown;
    try {
      list = decode(bytes);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
    }
    if (!Array.isArray(list) || !list.every((item) => typeof item === "number")) return;
    const [startedAt = 0, partition = 0, records = 0, damaged = 0, mended = 0, ...last] = list;
    const [at = 0, ...counts] = last as number[];
    const [lastRecords = 0, lastDamaged = 0, lastMended = 0] = counts;
    if (startedAt > 0) this.#pass = { startedAt, partition, records, damaged, mended };
    if (at > 0) {
      this.#last = { at, records: lastRecords, damaged: lastDamaged, mended: lastMended };
    }
  }
}

const NOTHING = { records: 0, damaged: 0, mended: 0 };
