/**
 * The store of a replica in its Durable Object: SQLite, one row a key. The platform's own log and
 * output gate are the write-ahead log: nothing leaves the object before the writes that led to it
 * are confirmed.
 *
 * The index lives in SQL and not in a Map, because an object has 128 MB of memory and up to 10 GB
 * of storage; only records of lately stay (sqlite-recent.ts). What is billed is rows: a read costs
 * one; a write costs one for the record and one for each index that changes (that of arrivals
 * always, the partition's for a new key, the due time's when there is one); tests/worker counts
 * them.
 */
import { holdsValue } from "../core/expiry.ts";
import { wholeOf } from "../core/pieces.ts";
import type {
  Arrival,
  Digest,
  EntryRecord,
  EntrySummary,
  Recovery,
  Store,
  StoreHealth,
  StoreKey,
  StoreStats,
  Usage,
} from "../core/store.ts";
import { SqliteHints } from "./sqlite-hints.ts";
import { SqlitePositions } from "./sqlite-positions.ts";
import { type Placed, SqliteRecent } from "./sqlite-recent.ts";
import {
  blobIn,
  blobOf,
  endOf,
  keyBlob,
  keyIn,
  numberIn,
  Overflow,
  type Row,
  rowsOf,
  type Sql,
} from "./sqlite-rows.ts";
import { SqliteUsage, sizeIn } from "./sqlite-usage.ts";

export interface SqliteStoreOptions {
  /** Above this size the store is full: an object ends at 10 GB, and a delete needs room too. */
  readonly byteCountMax?: number;
  /** A word of the operator's: with another one than last time, the past counts as lost. */
  readonly generation?: string;
}

const BYTE_COUNT_MAX = 9_500_000_000;
/** The size is asked for again after this many bytes were written: it costs a statement. */
const MEASURE_EVERY_BYTES = 1_000_000;
/** Rows of a partition that are in memory at once. */
const PAGE_COUNT = 500;
const FORMAT = "format";
const FORMAT_VERSION = 1;

const SCHEMA_OF_META =
  "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID";
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS entries (
     key BLOB PRIMARY KEY, part INTEGER NOT NULL, digest INTEGER NOT NULL,
     due_at INTEGER NOT NULL, byte_count INTEGER NOT NULL, bytes BLOB NOT NULL,
     position INTEGER NOT NULL, was_bytes INTEGER, was_due INTEGER) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS entries_part ON entries (part)",
  "CREATE INDEX IF NOT EXISTS entries_due ON entries (due_at) WHERE due_at > 0",
];

const ownerOf = (key: StoreKey): string => `\0${key}`;

export class SqliteStore implements Store {
  readonly recovery: Recovery;
  readonly #sql: Sql;
  readonly #overflow: Overflow;
  readonly #hints: SqliteHints;
  readonly #byteCountMax: number;
  readonly #usage: SqliteUsage;
  readonly #recent = new SqliteRecent();
  readonly #positions: SqlitePositions;
  /** By key, until when; in memory alone, because a write would be billed. */
  readonly #postponed = new Map<StoreKey, number>();
  #unmeasuredBytes = 0;
  #isFull: boolean;

  /** @throws Error when the storage was written by a version of another format */
  constructor(sql: Sql, options: SqliteStoreOptions = {}) {
    const { byteCountMax = BYTE_COUNT_MAX, generation = "" } = options;
    this.#sql = sql;
    this.#byteCountMax = byteCountMax;
    // What another version left must not be touched, not even by adding a table.
    sql.exec(SCHEMA_OF_META);
    const found = this.#readFormat();
    for (const statement of SCHEMA) sql.exec(statement);
    this.#overflow = new Overflow(sql);
    this.#hints = new SqliteHints(sql, this.#overflow);
    this.#positions = new SqlitePositions(sql);
    const isNew = found === "";
    const clean = this.#takeFor(generation, found);
    const nothingLost = { tornByteCount: 0, corruptCount: 0, lostKeys: [] };
    this.recovery = { clean, ...nothingLost, wentBack: !clean && !isNew };
    this.#usage = new SqliteUsage(sql, this.#positions);
    this.#isFull = sql.databaseSize >= byteCountMax;
  }

  /** A statement that fails is no state of the store: it ends the object (see AtomicNode). */
  health(): StoreHealth {
    if (this.#isFull || this.#unmeasuredBytes >= MEASURE_EVERY_BYTES) {
      this.#unmeasuredBytes = 0;
      this.#isFull = this.#sql.databaseSize >= this.#byteCountMax;
    }
    return this.#isFull ? "full" : "writable";
  }

  readEntry(key: StoreKey): Uint8Array | undefined {
    const recent = this.#recent.bytes(key);
    if (recent !== undefined) return recent;
    if (this.#recent.placed(key) === null) return undefined;
    const row = this.#find(key, "part, digest, byte_count, due_at, position, bytes");
    if (row === undefined) return undefined;
    const bytes = this.#overflow.whole(ownerOf(key), row);
    this.#recent.stands(key, placedIn(row), bytes);
    return bytes;
  }

  summary(key: StoreKey): EntrySummary | undefined {
    const placed = this.#placed(key);
    return placed === null ? undefined : summaryOf(key, placed);
  }

  digestOf(key: StoreKey): Digest {
    return this.#placed(key)?.digest ?? 0;
  }

  byteCountOf(key: StoreKey): number {
    return this.#placed(key)?.byteCount ?? 0;
  }

  writeEntry(key: StoreKey, record: EntryRecord): void {
    const { partition, digest, dueAt } = record;
    const bytes = wholeOf(record.bytes);
    this.#postponed.delete(key);
    const before = this.#placed(key);
    const first = this.#overflow.write(ownerOf(key), bytes, before?.byteCount ?? 0);
    const position = this.#positions.next();
    const values = [digest, bytes.length, first, position, partition, dueAt] as const;
    if (before === null) {
      const insert = `INSERT INTO entries (digest, byte_count, bytes, position, part, due_at, key)
                      VALUES (?, ?, ?, ?, ?, ?, ?)`;
      this.#sql.exec(insert, ...values, keyBlob(key));
    } else {
      // A named column costs a row of its index, changed or not: so only changed ones are named.
      const isSame = before.partition === partition && before.dueAt === dueAt;
      const moved = isSame ? "" : ", part = ?, due_at = ?";
      // See SqliteUsage for what it was.
      const through = this.#usage.throughOf(key);
      const update = `UPDATE entries
                      SET digest = ?, byte_count = ?, bytes = ?, position = ?${moved},
                      was_bytes = iif(position > ?, was_bytes, byte_count),
                      was_due = iif(position > ?, was_due, due_at) WHERE key = ?`;
      const named = moved === "" ? values.slice(0, 4) : values;
      this.#sql.exec(update, ...named, through, through, keyBlob(key));
    }
    this.#usage.change(key, before, { byteCount: bytes.length, dueAt });
    this.#unmeasuredBytes += bytes.length;
    const placed = { partition, digest, byteCount: bytes.length, dueAt, position };
    this.#recent.stands(key, placed, bytes);
  }

  dropEntry(key: StoreKey): void {
    this.#postponed.delete(key);
    const before = this.#placed(key);
    if (before === null) return;
    this.#overflow.drop(ownerOf(key), before.byteCount);
    this.#sql.exec("DELETE FROM entries WHERE key = ?", keyBlob(key));
    this.#usage.change(key, before, null);
    this.#positions.dropped(before.position);
    this.#recent.dropped(key);
  }

  /** By pages, so that a large partition is never in memory at once. */
  *entriesOf(partition: number): Iterable<EntrySummary> {
    const query = `SELECT key, digest, byte_count, due_at, position
                   FROM entries INDEXED BY entries_part
                   WHERE part = ? AND key > ? ORDER BY key LIMIT ?`;
    let after = keyBlob("");
    for (;;) {
      const rows = rowsOf(this.#sql, query, partition, after, PAGE_COUNT);
      for (const row of rows) yield summaryOf(keyIn(row), { partition, ...unplacedIn(row) });
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_COUNT) return;
      after = blobIn(last, "key");
    }
  }

  due(before: number, countMax: number): readonly StoreKey[] {
    for (const [key, until] of this.#postponed) if (until <= before) this.#postponed.delete(key);
    const query =
      "SELECT key FROM entries WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?";
    const keys = rowsOf(this.#sql, query, before, countMax + this.#postponed.size).map(keyIn);
    return keys.filter((key) => !this.#postponed.has(key)).slice(0, countMax);
  }

  get arrivedThrough(): number {
    return this.#positions.last;
  }

  get lastArrival(): number {
    return this.#positions.last;
  }

  arrivals(after: number, countMax: number): readonly Arrival[] {
    return this.#positions.after(after, countMax);
  }

  postpone(key: StoreKey, until: number): void {
    this.#postponed.set(key, until);
  }

  /** The earliest `dueAt` of all entries, in ms since 1970; Infinity when none is ever due. */
  earliestDue(): number {
    const query = "SELECT due_at FROM entries WHERE due_at > 0 ORDER BY due_at LIMIT 1";
    const [row] = rowsOf(this.#sql, query);
    return row === undefined ? Infinity : numberIn(row, "due_at");
  }

  keysAfter(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    const query = `SELECT key FROM entries WHERE key >= ? AND key > ? AND key < ?
                   ORDER BY key LIMIT ?`;
    const range = [keyBlob(prefix), keyBlob(after), endOf(prefix)] as const;
    return rowsOf(this.#sql, query, ...range, countMax).map(keyIn);
  }

  readHint(target: string, key: StoreKey): Uint8Array | undefined {
    return this.#hints.read(target, key);
  }

  writeHint(target: string, key: StoreKey, bytes: Uint8Array): void {
    this.#hints.write(target, key, bytes);
    this.#unmeasuredBytes += bytes.length;
  }

  dropHint(target: string, key: StoreKey): void {
    this.#hints.drop(target, key);
  }

  hintCounts(): ReadonlyMap<string, number> {
    return this.#hints.counts;
  }

  hintedKeys(target: string, countMax: number): readonly StoreKey[] {
    return this.#hints.keysOf(target, countMax);
  }

  hintTargets(key: StoreKey): readonly string[] {
    return this.#hints.targetsOf(key);
  }

  readMeta(name: string): Uint8Array | undefined {
    const [row] = rowsOf(this.#sql, "SELECT bytes FROM meta WHERE name = ?", name);
    return row === undefined ? undefined : new Uint8Array(blobIn(row, "bytes"));
  }

  writeMeta(name: string, bytes: Uint8Array): void {
    const upsert = `INSERT INTO meta (name, bytes) VALUES (?, ?)
                    ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes`;
    this.#sql.exec(upsert, name, blobOf(bytes));
  }

  /** Keeps the totals for the next start: to be called now and then, for it is billed as a row. */
  keepTotals(): void {
    this.#usage.keep();
  }

  stats(): StoreStats {
    return this.#usage.totals;
  }

  usage(): ReadonlyMap<string, Usage> {
    return this.#usage.ofValues;
  }

  #find(key: StoreKey, columns: string): Row | undefined {
    const query = `SELECT ${columns} FROM entries WHERE key = ?`;
    const [row] = rowsOf(this.#sql, query, keyBlob(key));
    this.#recent.found(key, row === undefined ? null : placedIn(row));
    return row;
  }

  /** null: there is no record. */
  #placed(key: StoreKey): Placed | null {
    const known = this.#recent.placed(key);
    if (known !== undefined) return known;
    const row = this.#find(key, "part, digest, byte_count, due_at, position");
    return row === undefined ? null : placedIn(row);
  }

  /** The mark of the last object that had the storage; empty when it is new. @throws Error */
  #readFormat(): string {
    const stored = this.readMeta(FORMAT);
    if (stored === undefined) return "";
    const found = new TextDecoder().decode(stored);
    const [version] = found.split(" ");
    if (version === String(FORMAT_VERSION)) return found;
    const which = Number(version) > FORMAT_VERSION ? "newer" : "older";
    const mend = `deploy the ${which} version of the Worker again`;
    const has = `the storage has format ${version}; this version reads format ${FORMAT_VERSION}`;
    throw new Error(`${has}: ${mend}`);
  }

  /**
   * True when the storage is the one that this replica left: what was confirmed here is never
   * lost, so an object that finds its own mark goes on as it was. A point-in-time restore takes
   * the mark back with all the rest, and nothing inside can tell: the operator says so by another
   * generation.
   */
  #takeFor(generation: string, found: string): boolean {
    const mark = `${FORMAT_VERSION} ${generation}`;
    if (found !== mark) this.writeMeta(FORMAT, new TextEncoder().encode(mark));
    return found === mark;
  }
}

const unplacedIn = (row: Row): Omit<Placed, "partition"> => ({
  digest: numberIn(row, "digest"),
  position: numberIn(row, "position"),
  ...sizeIn(row),
});

const placedIn = (row: Row): Placed => ({ partition: numberIn(row, "part"), ...unplacedIn(row) });

function summaryOf(key: StoreKey, placed: Placed): EntrySummary {
  return { key, ...placed, holdsValue: holdsValue(placed.dueAt) };
}
