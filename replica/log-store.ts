/**
 * The log as a store: an index in memory, records in append-only segments (Bitcask's shape).
 *
 * The engine is synchronous and owns no file, no thread and no clock. It hands out jobs, lists of
 * disk steps, and hears how they ended:
 *
 *     write… ──▶ staged ──▶ nextFlush() ──▶ (host: write, fdatasync) ──▶ finished(job, …) ─▶
 * durable                           nextBackground() ──▶ (host, when idle)  ──▶ finished(job, …)
 *
 * The two lanes may run at the same time, one job each: they never touch the same file, and only
 * flushes touch the manifest. `durableSequence` says how far the log is on stable storage.
 *
 * Limits: the index holds every key in memory (some 100 bytes and the key); the last damaged record
 * of the segment that was open at a crash cannot be told from a torn write and is cut as one; a
 * record whose header is damaged takes the name of its key with it, so an older record of that key
 * may show until the replica has exchanged with its peers: such a start is never called clean.
 */
import { assert } from "../core/assert.ts";
import { holdsValue } from "../core/expiry.ts";
import { type Bytes, wholeOf } from "../core/pieces.ts";
import {
  type Arrival,
  type Digest,
  type EntryRecord,
  type EntrySummary,
  type Recovery,
  type Store,
  StoreCorruption,
  type StoreHealth,
  type StoreKey,
  type StoreStats,
  type Usage,
} from "../core/store.ts";
import type { IndexTable } from "./index-table.ts";
import { NO_SLOT } from "./key-map.ts";
import { arrivalsIn, LogHintOrder } from "./log-arrivals.ts";
import { type BackgroundOptions, LogBackground } from "./log-background.ts";
import { OPERATIONS, SPACES, type Space } from "./log-format.ts";
import { hintKey } from "./log-index.ts";
import type { JobEnd, LogJob, LogMetrics } from "./log-jobs.ts";
import { LogNotes } from "./log-notes.ts";
import { LogReader } from "./log-reader.ts";
import { type RecoveredLog, recoverLog } from "./log-recovery.ts";
import { type LogOptions, LogState } from "./log-state.ts";
import { LogWriter } from "./log-writer.ts";
import { RecentRecords } from "./recent-records.ts";

const NOTHING = new Uint8Array(0);
/** The name of a hint among recent records, unless it is long; no entry's key begins like it. */
const recentHint = (name: string): string => `\0${name}`;

export class LogStore implements Store {
  readonly recovery: Recovery;
  readonly hintOrder: LogHintOrder;
  readonly #state: LogState;
  readonly #writer: LogWriter;
  readonly #reader: LogReader;
  readonly #background: LogBackground;
  readonly #recent: RecentRecords<Bytes>;
  readonly #notes: LogNotes;
  #corruptReadsCount = 0;
  /** The manifest on the disk says that the log was stopped. */
  #isStopped: boolean;
  /** The last number before this run. */
  readonly #startSequence: number;

  /**
   * Recovers the log in a folder, an empty one included. Repairs what must be repaired before
   * writing, but writes nothing else until the first flush.
   *
   * @throws LogFolderError when the folder must not be used; DiskFailure when the disk fails
   */
  static open(options: LogOptions): LogStore {
    const recovered = recoverLog({ ...options, hashSeed: options.prng.u32() });
    for (const step of recovered.fixes) options.disk.run(step);
    return new LogStore(options, recovered);
  }

  private constructor(options: LogOptions, recovered: RecoveredLog) {
    this.#isStopped = recovered.stopped;
    this.#startSequence = recovered.nextSequence - 1;
    this.#state = new LogState(options, recovered);
    this.hintOrder = new LogHintOrder(this.#state.index);
    this.#writer = new LogWriter(this.#state);
    this.#reader = new LogReader(this.#state, this.#writer);
    this.#background = new LogBackground(this.#state);
    this.#recent = new RecentRecords(options.recentBytesMax ?? 0);
    this.#notes = new LogNotes(this.#state.index.meta, this.#reader);
    this.recovery = this.#notes.recoveryOf(recovered);
    for (const name of this.#notes.damaged) this.#drop(SPACES.meta, name);
    for (const key of this.recovery.lostKeys) this.#keepOlder(key);
  }

  health(): StoreHealth {
    return this.#writer.health;
  }

  /** The number of the last record that was written. */
  get writtenSequence(): number {
    return this.#state.nextSequence - 1;
  }

  get stagedByteCount(): number {
    return this.#writer.stagedByteCount;
  }

  get segmentsCount(): number {
    return this.#state.segments.length;
  }

  /** Every record up to this number is on stable storage. */
  get durableSequence(): number {
    return this.#state.durableSequence;
  }

  /** The stop marker is removed before the first record is there. */
  get hasBegun(): boolean {
    return this.durableSequence > this.#startSequence;
  }

  /**
   * The job that makes all that was written so far durable; `undefined` while a flush is under way,
   * when there is nothing to do, and when the log has failed. A full disk is tried again only with
   * `retry`, some time later.
   */
  nextFlush({ retry = false }: { retry?: boolean } = {}): LogJob | undefined {
    const steps = this.#writer.next(this.#background.exchange, retry);
    if (steps === undefined) return undefined;
    this.#isStopped = false;
    return { lane: "flush", steps };
  }

  /**
   * The next stretch of background work, `undefined` when there is none or it must wait for a
   * flush.
   */
  nextBackground(options: BackgroundOptions = {}): LogJob | undefined {
    if (this.health() !== "writable") return undefined;
    const steps = this.#background.next(options);
    return steps === undefined ? undefined : { lane: "background", steps };
  }

  /**
   * Closes the open segment, so that it can get an outline before the stop. Only when everything is
   * durable and no flush is under way; writing on begins another segment.
   */
  beginStop(): void {
    if (this.durableSequence === this.writtenSequence) this.#writer.close();
  }

  /**
   * The job that marks the log as cleanly stopped; `undefined` when it is, or cannot be. After an
   * unclean start somebody must have taken note of that (a replica writes its new actor): a run
   * that wrote nothing leaves the log as unclean as it found it.
   */
  nextStop(): LogJob | undefined {
    if (this.health() !== "writable" || this.#isStopped) return undefined;
    if (this.#writer.isRunning || this.#background.isRunning) return undefined;
    if (this.durableSequence < this.writtenSequence) return undefined;
    if (!this.recovery.clean && this.writtenSequence === this.#startSequence) return undefined;
    this.#writer.close();
    const { segments } = this.#state;
    return { lane: "stop", steps: this.#state.manifestSteps(segments, { stopped: true }) };
  }

  /** To be called once for each job, in the order in which they end. */
  finished(job: LogJob, { doneCount, failure }: JobEnd): void {
    assert(failure !== undefined || doneCount === job.steps.length, "a job ends or fails");
    if (job.lane === "flush") {
      const exchange = this.#writer.finished(doneCount, failure);
      if (exchange !== undefined) this.#background.exchanged(exchange);
    } else if (job.lane === "background") {
      if (this.#background.finished(failure).broken) this.#writer.fail();
    } else {
      this.#isStopped = failure === undefined;
      if (failure !== undefined) this.#writer.fail();
    }
  }

  /** The replica has made good what the recovery reported: damaged segments may be rewritten. */
  lossesHealed(): void {
    this.#background.lossesHealed();
  }

  /** Background work that failed for want of room, or of a readable segment, may be tried again. */
  retryBackground(): void {
    this.#background.unpin();
  }

  metrics(): LogMetrics {
    const { segments } = this.#state;
    return {
      segmentsCount: this.segmentsCount,
      byteCount: segments.reduce((sum, segment) => sum + segment.byteCount, 0),
      liveByteCount: segments.reduce((sum, segment) => sum + segment.liveByteCount, 0),
      stagedByteCount: this.stagedByteCount,
      compactionsCount: this.#background.compactionsCount,
      corruptReadsCount: this.#corruptReadsCount,
    };
  }

  // Entries.

  readEntry(key: StoreKey): Bytes | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const slot = this.#entries.find(key);
    if (slot === NO_SLOT) return undefined;
    const bytes = this.#reader.record(this.#entries, slot, key);
    if (bytes === undefined) {
      this.#corruptReadsCount++;
      throw new StoreCorruption("a record's checksum does not hold");
    }
    this.#recent.put(key, bytes);
    return bytes;
  }

  /** What is in memory of a damaged record goes too: it is to be brought anew, and written. */
  isSound(key: StoreKey, hintFor?: string): boolean {
    const name = hintFor === undefined ? key : hintKey(hintFor, key);
    const table = hintFor === undefined ? this.#entries : this.#hints;
    const slot = table.find(name);
    if (slot === NO_SLOT || this.#reader.record(table, slot, name) !== undefined) return true;
    this.#corruptReadsCount++;
    if (hintFor !== undefined) this.hintOrder.lostCount++;
    this.#recent.drop(hintFor === undefined ? key : recentHint(name));
    return false;
  }

  digestOf(key: StoreKey): Digest {
    return this.#entries.digestOf(key);
  }

  /** Who asks is about to read it: what is in memory is found faster than its place on the disk. */
  byteCountOf(key: StoreKey): number {
    return this.#recent.get(key)?.length ?? this.#entries.bodyByteCountOf(key);
  }

  summary(key: StoreKey): EntrySummary | undefined {
    const slot = this.#entries.find(key);
    return slot === NO_SLOT ? undefined : this.#summaryOf(slot, key);
  }

  writeEntry(key: StoreKey, { bytes, partition, digest, dueAt }: EntryRecord): void {
    assert(key.length > 0 && digest !== 0, "an entry has a key and a digest");
    assert(this.health() === "writable", "a store that takes no writes was written to");
    const { entry: space } = SPACES;
    const { write: operation } = OPERATIONS;
    this.#writer.append({ space, operation, key, partition, digest, dueAt }, bytes);
    this.#recent.put(key, bytes);
  }

  dropEntry(key: StoreKey): void {
    if (this.health() !== "failed") this.#recent.drop(key);
    this.#drop(SPACES.entry, key);
  }

  *entriesOf(partition: number): Iterable<EntrySummary> {
    for (const slot of this.#entries.listSlots(partition)) {
      if (!this.#entries.isLive(slot)) continue;
      const summary = this.#summaryOf(slot);
      if (summary.partition === partition) yield summary;
    }
  }

  due(before: number, countMax: number): readonly StoreKey[] {
    return this.#entries.due(before, countMax);
  }

  earliestDue(): number {
    return this.#entries.earliestDue;
  }

  postpone(key: StoreKey, until: number): void {
    this.#entries.postpone(key, until);
  }

  get arrivedThrough(): number {
    return this.writtenSequence;
  }

  get lastArrival(): number {
    return this.#state.index.arrivals.last;
  }

  arrivals(after: number, countMax: number): readonly Arrival[] {
    return arrivalsIn(this.#state.index, after, countMax);
  }

  stats(): StoreStats {
    const { count: keyCount, bodyByteCount: byteCount } = this.#entries;
    return { keyCount, byteCount, ...this.#state.index.usage.dead };
  }

  usage(): ReadonlyMap<string, Usage> {
    return this.#state.index.usage.all;
  }

  // Hints, and documents of the replica itself.

  /** A hint that is damaged is forgotten: anti-entropy makes up for it. */
  readHint(target: string, key: StoreKey): Uint8Array | undefined {
    const name = hintKey(target, key);
    const recent = this.#recent.get(recentHint(name));
    const slot = recent === undefined ? this.#hints.find(name) : NO_SLOT;
    if (slot === NO_SLOT) return recent && wholeOf(recent);
    const found = this.#reader.recordNow(this.#hints, slot, name);
    const bytes = found && wholeOf(found);
    if (bytes !== undefined) this.#recent.put(recentHint(name), bytes, false);
    else {
      this.#corruptReadsCount++;
      this.hintOrder.lostCount++;
      this.#drop(SPACES.hint, name);
    }
    return bytes;
  }

  writeHint(target: string, key: StoreKey, bytes: Uint8Array): void {
    assert(target.length > 0 && !target.includes("\0"), "a target is the id of a replica");
    assert(this.health() === "writable", "a store that takes no writes was written to");
    const name = hintKey(target, key);
    this.#appendPlain(SPACES.hint, name, bytes);
    this.#recent.put(recentHint(name), bytes, false);
  }

  dropHint(target: string, key: StoreKey): void {
    const name = hintKey(target, key);
    if (this.health() !== "failed") this.#recent.drop(recentHint(name));
    this.#drop(SPACES.hint, name);
  }

  hintCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const [target, list] of this.#state.index.targets()) {
      const count = this.#hints.listCount(list);
      if (count > 0) counts.set(target, count);
    }
    return counts;
  }

  hintedKeys(target: string, countMax: number): readonly StoreKey[] {
    const list = this.#state.index.targets().get(target);
    if (list === undefined) return [];
    const slots = Array.from(this.#hints.listSlots(list, countMax));
    return slots.map((slot) => this.#hints.keyOf(slot).slice(target.length + 1));
  }

  hintTargets(key: StoreKey): readonly string[] {
    const targets = [...this.#state.index.targets().keys()];
    return targets.filter((target) => this.#hints.find(hintKey(target, key)) !== NO_SLOT);
  }

  readMeta(name: string): Uint8Array | undefined {
    return this.#notes.read(name);
  }

  writeMeta(name: string, bytes: Uint8Array): void {
    if (this.health() === "failed") return;
    this.#appendPlain(SPACES.meta, name, bytes);
    this.#notes.write(name, bytes);
  }

  get #entries(): IndexTable {
    return this.#state.index.entries;
  }

  get #hints(): IndexTable {
    return this.#state.index.hints;
  }

  #summaryOf(slot: number, key = this.#entries.keyOf(slot)): EntrySummary {
    const { list: partition, bodyByteCount: byteCount, ...row } = this.#entries.row(slot);
    const { digest, dueAt, position } = row;
    return { key, partition, digest, byteCount, dueAt, holdsValue: holdsValue(dueAt), position };
  }

  #appendPlain(space: Space, key: string, bytes: Uint8Array): void {
    const operation = OPERATIONS.write;
    this.#writer.append({ space, operation, key, partition: 0, digest: 0, dueAt: 0 }, bytes);
  }

  /** Damaged segments are compacted: what is left of a key is marked as such in a new record. */
  #keepOlder(key: StoreKey): void {
    const slot = this.#entries.find(key);
    const older = slot === NO_SLOT ? undefined : this.#reader.record(this.#entries, slot, key);
    if (older === undefined) return;
    const { list: partition, digest, dueAt } = this.#entries.row(slot);
    const fields = { space: SPACES.entry, operation: OPERATIONS.lost, key };
    this.#writer.append({ ...fields, partition, digest, dueAt }, older);
  }

  /** On a full disk a drop waits in memory for room; on a failed one it is not worth anything. */
  #drop(space: Space, key: string): void {
    if (this.health() === "failed" || this.#state.index.table(space).find(key) === NO_SLOT) return;
    const operation = OPERATIONS.drop;
    this.#writer.append({ space, operation, key, partition: 0, digest: 0, dueAt: 0 }, NOTHING);
  }
}
