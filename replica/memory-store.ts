/**
 * A store in memory, for tests and the simulator, which says exactly what a crash would leave.
 *
 * Every write is a change with a number. Reads see all of them; `flush` makes those up to a
 * number durable, and `crash` rebuilds a store from the durable ones alone (plus, if asked, a few
 * more: a real disk may have kept some that nobody had synced).
 */
import { assert } from "../core/assert.ts";
import { holdsValue, postponed } from "../core/expiry.ts";
import { wholeOf } from "../core/pieces.ts";
import type {
  Arrival,
  Digest,
  EntryRecord,
  EntrySummary,
  HintArrival,
  HintOrder,
  Recovery,
  Store,
  StoreHealth,
  StoreKey,
  StoreStats,
  Usage,
} from "../core/store.ts";
import { UsageTable } from "./usage.ts";

type Change = (contents: Contents) => void;

/** So many changes that count no more are kept anyway. */
const CHANGES_SPARE = 64;

interface Placed extends EntryRecord {
  readonly bytes: Uint8Array;
  readonly position: number;
}

interface PlacedHint {
  readonly bytes: Uint8Array;
  readonly position: number;
}

class Contents {
  readonly entries = new Map<StoreKey, Placed>();
  /**
   * Keys by position, ascending; a key that has changed since is there once more. To move it to the
   * end of a Map instead would give that new tables all the time (core/id-table.ts says why not).
   */
  changes: { readonly key: StoreKey; readonly position: number }[] = [];
  lastPosition = 0;
  readonly partitions = new Map<number, Set<StoreKey>>();
  readonly hints = new Map<string, Map<StoreKey, PlacedHint>>();
  lastHint = 0;
  readonly meta = new Map<string, Uint8Array>();
  readonly usage = new UsageTable();
  /** For entries that are ever due, when; where that was put off, the new time. */
  readonly #due = new Map<StoreKey, number>();
  /** The least of these; null when it is to be looked for. */
  #earliestDue: number | null = null;
  byteCount = 0;

  putEntry(key: StoreKey, record: Placed): void {
    const { position, partition, bytes, dueAt } = record;
    assert(position > (this.changes.at(-1)?.position ?? 0), "a position only rises");
    const before = this.entries.get(key);
    if (before !== undefined && before.partition !== partition) this.removeEntry(key);
    else if (before !== undefined) this.#discount(key, before);
    this.lastPosition = Math.max(this.lastPosition, position);
    this.entries.set(key, record);
    const keys = this.partitions.get(partition) ?? new Set();
    this.partitions.set(partition, keys.add(key));
    this.byteCount += bytes.length;
    this.usage.add(key, bytes.length, dueAt);
    if (dueAt > 0) this.#setDue(key, dueAt);
    if (this.changes.length > 2 * this.entries.size + CHANGES_SPARE) {
      this.changes = this.changes.filter((change) => this.isLast(change));
    }
    this.changes.push({ key, position });
  }

  removeEntry(key: StoreKey): void {
    const record = this.entries.get(key);
    if (record === undefined) return;
    this.entries.delete(key);
    this.partitions.get(record.partition)?.delete(key);
    this.#discount(key, record);
  }

  /** Whether the key has not changed since, and is there. */
  isLast({ key, position }: Pick<Arrival, "key" | "position">): boolean {
    return this.entries.get(key)?.position === position;
  }

  get due(): ReadonlyMap<StoreKey, number> {
    return this.#due;
  }

  get earliestDue(): number {
    if (this.#earliestDue === null) {
      let earliest = Infinity;
      for (const dueAt of this.#due.values()) earliest = Math.min(earliest, dueAt);
      this.#earliestDue = earliest;
    }
    return this.#earliestDue;
  }

  postpone(key: StoreKey, until: number): void {
    const dueAt = this.#due.get(key);
    if (dueAt === undefined) return;
    this.#unsetDue(key);
    this.#setDue(key, postponed(dueAt, until));
  }

  #setDue(key: StoreKey, dueAt: number): void {
    this.#due.set(key, dueAt);
    if (this.#earliestDue !== null && dueAt < this.#earliestDue) this.#earliestDue = dueAt;
  }

  #unsetDue(key: StoreKey): void {
    if (this.#due.get(key) === this.#earliestDue) this.#earliestDue = null;
    this.#due.delete(key);
  }

  #discount(key: StoreKey, { bytes, dueAt }: Placed): void {
    this.#unsetDue(key);
    this.byteCount -= bytes.length;
    this.usage.remove(key, bytes.length, dueAt);
    assert(this.byteCount >= 0, "more bytes were removed than were added");
  }

  putHint(target: string, key: StoreKey, hint: PlacedHint): void {
    const hints = this.hints.get(target) ?? new Map<StoreKey, PlacedHint>();
    this.hints.set(target, hints.set(key, hint));
    this.lastHint = Math.max(this.lastHint, hint.position);
    this.lastPosition = Math.max(this.lastPosition, hint.position);
  }

  hintsAfter(position: number): HintArrival[] {
    const all = [...this.hints].flatMap(([target, hints]) =>
      [...hints].map(([key, hint]) => ({ target, key, position: hint.position })),
    );
    return all.filter((hint) => hint.position > position).sort((a, b) => a.position - b.position);
  }

  removeHint(target: string, key: StoreKey): void {
    const hints = this.hints.get(target);
    hints?.delete(key);
    if (hints?.size === 0) this.hints.delete(target);
  }
}

const CLEAN: Recovery = { clean: true, tornByteCount: 0, corruptCount: 0, lostKeys: [] };

export class MemoryStore implements Store {
  readonly recovery: Recovery;
  readonly hintOrder: HintOrder;
  readonly #live = new Contents();
  readonly #durable = new Contents();
  #pending: Change[] = [];
  #durableCount = 0;
  #health: StoreHealth = "writable";

  constructor(recovery: Recovery = CLEAN) {
    this.recovery = recovery;
    const live = this.#live;
    this.hintOrder = {
      get last() {
        return live.lastHint;
      },
      after: (position, countMax) => live.hintsAfter(position).slice(0, countMax),
      positionOf: (target, key) => live.hints.get(target)?.get(key)?.position ?? 0,
      lostCount: 0,
    };
  }

  /** How many writes there were since the store was made. */
  get writtenCount(): number {
    return this.#durableCount + this.#pending.length;
  }

  get durableCount(): number {
    return this.#durableCount;
  }

  /** Makes the first `upTo` writes durable: all of them unless told otherwise. */
  flush(upTo: number = this.writtenCount): void {
    assert(upTo <= this.writtenCount, "nothing can be durable before it was written");
    const count = Math.max(0, upTo - this.#durableCount);
    for (const change of this.#pending.slice(0, count)) change(this.#durable);
    this.#pending = this.#pending.slice(count);
    this.#durableCount += count;
  }

  /**
   * The store that a restart after a crash would find: what was durable, and the first
   * `survivorCount` of the writes that were not. This one stays as it is.
   */
  crash(survivorCount = 0): MemoryStore {
    const next = new MemoryStore({ ...CLEAN, clean: this.#pending.length === 0 });
    const copy = (change: Change): void => next.#write(change);
    const { lastPosition } = this.#durable;
    copy((c) => {
      c.lastPosition = lastPosition;
    });
    const entries = [...this.#durable.entries].sort(([, a], [, b]) => a.position - b.position);
    for (const [key, record] of entries) copy((c) => c.putEntry(key, record));
    for (const [target, hints] of this.#durable.hints) {
      for (const [key, hint] of hints) copy((c) => c.putHint(target, key, hint));
    }
    for (const [name, bytes] of this.#durable.meta) copy((c) => c.meta.set(name, bytes));
    for (const change of this.#pending.slice(0, survivorCount)) copy(change);
    next.flush();
    return next;
  }

  health(): StoreHealth {
    return this.#health;
  }

  setHealth(health: StoreHealth): void {
    this.#health = health;
  }

  #write(change: Change): void {
    change(this.#live);
    this.#pending.push(change);
  }

  readEntry(key: StoreKey): Uint8Array | undefined {
    return this.#live.entries.get(key)?.bytes;
  }

  summary(key: StoreKey): EntrySummary | undefined {
    const record = this.#live.entries.get(key);
    if (record === undefined) return undefined;
    const { partition, digest, bytes, position } = record;
    const dueAt = this.#live.due.get(key) ?? 0;
    const flags = { dueAt, holdsValue: holdsValue(dueAt), position };
    return { key, partition, digest, byteCount: bytes.length, ...flags };
  }

  digestOf(key: StoreKey): Digest {
    return this.#live.entries.get(key)?.digest ?? 0;
  }

  byteCountOf(key: StoreKey): number {
    return this.#live.entries.get(key)?.bytes.length ?? 0;
  }

  writeEntry(key: StoreKey, record: EntryRecord): void {
    assert(this.#health === "writable", "a store that takes no writes was written to");
    assert(key.length > 0 && record.digest !== 0, "an entry has a key and a digest");
    const position = this.arrivedThrough + 1;
    const placed = { ...record, bytes: wholeOf(record.bytes), position };
    this.#write((contents) => contents.putEntry(key, placed));
  }

  dropEntry(key: StoreKey): void {
    if (this.#health === "failed" || !this.#live.entries.has(key)) return;
    this.#write((contents) => contents.removeEntry(key));
  }

  *entriesOf(partition: number): Iterable<EntrySummary> {
    for (const key of [...(this.#live.partitions.get(partition) ?? [])]) {
      const summary = this.summary(key);
      if (summary?.partition === partition) yield summary;
    }
  }

  due(before: number, countMax: number): readonly StoreKey[] {
    return [...this.#live.due]
      .filter(([, dueAt]) => dueAt <= before)
      .sort(([, a], [, b]) => a - b)
      .slice(0, countMax)
      .map(([key]) => key);
  }

  earliestDue(): number {
    return this.#live.earliestDue;
  }

  postpone(key: StoreKey, until: number): void {
    this.#live.postpone(key, until);
  }

  get arrivedThrough(): number {
    return this.#live.lastPosition;
  }

  get lastArrival(): number {
    return this.#live.changes.at(-1)?.position ?? 0;
  }

  arrivals(after: number, countMax: number): readonly Arrival[] {
    const { changes } = this.#live;
    const found: Arrival[] = [];
    // From the end: who asks has mostly seen nearly all.
    let at = changes.findLastIndex(({ position }) => position <= after) + 1;
    for (; at < changes.length && found.length < countMax; at++) {
      const change = changes[at];
      if (change === undefined || !this.#live.isLast(change)) continue;
      const { partition } = this.#live.entries.get(change.key) as Placed;
      found.push({ ...change, partition });
    }
    return found;
  }

  readHint(target: string, key: StoreKey): Uint8Array | undefined {
    return this.#live.hints.get(target)?.get(key)?.bytes;
  }

  writeHint(target: string, key: StoreKey, bytes: Uint8Array): void {
    assert(this.#health === "writable", "a store that takes no writes was written to");
    const position = this.arrivedThrough + 1;
    this.#write((contents) => contents.putHint(target, key, { bytes, position }));
  }

  dropHint(target: string, key: StoreKey): void {
    if (this.#health === "failed" || this.readHint(target, key) === undefined) return;
    this.#write((contents) => contents.removeHint(target, key));
  }

  hintCounts(): ReadonlyMap<string, number> {
    return new Map([...this.#live.hints].map(([target, hints]) => [target, hints.size]));
  }

  hintedKeys(target: string, countMax: number): readonly StoreKey[] {
    return [...(this.#live.hints.get(target)?.keys() ?? [])].slice(0, countMax);
  }

  hintTargets(key: StoreKey): readonly string[] {
    return [...this.#live.hints].filter(([, hints]) => hints.has(key)).map(([target]) => target);
  }

  readMeta(name: string): Uint8Array | undefined {
    return this.#live.meta.get(name);
  }

  writeMeta(name: string, bytes: Uint8Array): void {
    if (this.#health === "failed") return;
    this.#write((contents) => contents.meta.set(name, bytes));
  }

  stats(): StoreStats {
    const { entries, byteCount, usage } = this.#live;
    return { keyCount: entries.size, byteCount, ...usage.dead };
  }

  usage(): ReadonlyMap<string, Usage> {
    return this.#live.usage.all;
  }
}
