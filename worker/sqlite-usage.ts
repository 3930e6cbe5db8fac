/**
 * What is stored, by namespace. Counting when it is asked for would be a scan of up to 10 GB,
 * billed by the row and longer than an object is given. A row for every write would be billed as
 * well, and a row written costs as much as a thousand that are read.
 *
 * So the totals are in memory, and each namespace has a row that is written now and then. It says
 * up to which position of arrival it counts. An entry that came later says beside itself what it
 * was until then (`was_bytes`, `was_due`; null for a key that was not there). A row also says from
 * where on there were such entries when it was written (`counted`): a start reads those few and
 * knows the totals. A dropped entry can say nothing, so with it its namespace's row is written.
 */
import { assert } from "../core/assert.ts";
import { holdsValue } from "../core/expiry.ts";
import { namespaceOf } from "../core/keys.ts";
import type { StoreKey, StoreStats, Usage } from "../core/store.ts";
import { usedBytes } from "../replica/usage.ts";
import type { SqlitePositions } from "./sqlite-positions.ts";
import { columnsOf, keyIn, numberIn, type Row, rowsOf, type Sql } from "./sqlite-rows.ts";

/** Entries that a start reads at most to know the totals, some milliseconds' work. */
const UNCOUNTED_MAX = 10_000;

/** The parts of a record that decide how it counts. */
export interface RecordSize {
  readonly byteCount: number;
  readonly dueAt: number;
}

interface Counts {
  /** All records, tombstones too. */
  readonly records: Usage;
  readonly values: Usage;
  /** Bytes of the records without a body. */
  readonly deadByteCount: number;
}

const nothing: Usage = { keyCount: 0, byteCount: 0 };
const uncounted: Counts = { records: nothing, values: nothing, deadByteCount: 0 };

const plus = (a: Usage, keys: number, bytes: number): Usage => {
  const sum = { keyCount: a.keyCount + keys, byteCount: a.byteCount + bytes };
  assert(sum.keyCount >= 0 && sum.byteCount >= 0, "no more goes than came");
  return sum;
};

export class SqliteUsage {
  readonly #sql: Sql;
  readonly #positions: Pick<SqlitePositions, "last">;
  readonly #counts = new Map<string, Counts>();
  readonly #values = new Map<string, Usage>();
  /** By namespace, up to which position its row counts; 0 without one. */
  readonly #through = new Map<string, number>();
  /** Namespaces whose row is behind. */
  readonly #behind = new Set<string>();
  /** Up to there all rows count, as one of them says. */
  #counted = 0;
  #totals = { ...nothing, deadKeyCount: 0, deadByteCount: 0 };

  /** @param sql with the table of entries; one of an older version gets its columns */
  constructor(sql: Sql, positions: Pick<SqlitePositions, "last">) {
    this.#sql = sql;
    this.#positions = positions;
    const ofEntries = columnsOf(sql, "entries");
    for (const column of ["was_bytes", "was_due"]) {
      if (!ofEntries.has(column)) sql.exec(`ALTER TABLE entries ADD COLUMN ${column} INTEGER`);
    }
    const columns = columnsOf(sql, "usage");
    const isKnown = columns.has("dead_bytes");
    if (!isKnown) sql.exec("DROP TABLE IF EXISTS usage");
    sql.exec(`CREATE TABLE IF NOT EXISTS usage (
      namespace TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL,
      value_keys INTEGER NOT NULL, value_bytes INTEGER NOT NULL,
      dead_bytes INTEGER NOT NULL, through INTEGER NOT NULL,
      counted INTEGER NOT NULL) WITHOUT ROWID`);
    if (isKnown && !columns.has("through")) this.#addThrough();
    if (isKnown) this.#read();
    else this.#countOnce();
  }

  #read(): void {
    for (const row of rowsOf(this.#sql, "SELECT * FROM usage")) {
      const records = { keyCount: numberIn(row, "keys"), byteCount: numberIn(row, "bytes") };
      const keyCount = numberIn(row, "value_keys");
      const values = { keyCount, byteCount: numberIn(row, "value_bytes") };
      this.#set(nameIn(row), { records, values, deadByteCount: numberIn(row, "dead_bytes") });
      this.#through.set(nameIn(row), numberIn(row, "through"));
      this.#counted = Math.max(this.#counted, numberIn(row, "counted"));
    }
    const query = `SELECT key, position, byte_count, due_at, was_bytes, was_due
                   FROM entries INDEXED BY entries_position WHERE position > ?`;
    for (const row of this.#sql.exec<Row>(query, this.#counted)) {
      const key = keyIn(row);
      if (numberIn(row, "position") <= this.throughOf(key)) continue;
      this.#count(key, formerSizeIn(row), sizeIn(row));
    }
  }

  /** An entry that came later has to say what it was until then. */
  throughOf(key: StoreKey): number {
    return this.#through.get(namespaceOf(key)) ?? 0;
  }

  /** All records. */
  get totals(): StoreStats {
    return this.#totals;
  }

  get ofValues(): ReadonlyMap<string, Usage> {
    return this.#values;
  }

  /**
   * Writes the rows that are behind; the last of them says that none is. To be called now and then,
   * while the object is awake.
   */
  keep(): void {
    const { last } = this.#positions;
    const names = [...this.#behind];
    const lastName = names.pop();
    if (lastName === undefined) return;
    for (const name of names) this.#keep(name, this.#counted);
    this.#keep(lastName, last);
    this.#counted = last;
  }

  /** A record was written, replaced or dropped; null where there is none. */
  change(key: StoreKey, from: RecordSize | null, to: RecordSize | null): void {
    this.#count(key, from, to);
    if (to === null) this.#keep(namespaceOf(key), this.#counted);
    if (this.#positions.last - this.#counted >= UNCOUNTED_MAX) this.keep();
  }

  #count(key: StoreKey, from: RecordSize | null, to: RecordSize | null): void {
    const namespace = namespaceOf(key);
    this.#set(namespace, this.#countsAfter(key, from, to));
    this.#behind.add(namespace);
  }

  #countsAfter(key: StoreKey, from: RecordSize | null, to: RecordSize | null): Counts {
    const known = this.#counts.get(namespaceOf(key)) ?? uncounted;
    let { records, values, deadByteCount } = known;
    for (const [size, sign] of [[from, -1] as const, [to, 1] as const]) {
      if (size === null) continue;
      records = plus(records, sign, sign * size.byteCount);
      if (!holdsValue(size.dueAt)) {
        deadByteCount += sign * size.byteCount;
        continue;
      }
      values = plus(values, sign, sign * usedBytes(key, size.byteCount));
    }
    assert(deadByteCount >= 0, "no more goes than came");
    return { records, values, deadByteCount };
  }

  #keep(namespace: string, counted: number): void {
    const { records, values, deadByteCount } = this.#counts.get(namespace) ?? uncounted;
    const { last } = this.#positions;
    if (records.keyCount === 0) {
      this.#sql.exec("DELETE FROM usage WHERE namespace = ?", namespace);
      this.#through.delete(namespace);
    } else {
      const upsert = `INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (namespace) DO UPDATE SET
        keys = excluded.keys, bytes = excluded.bytes,
        value_keys = excluded.value_keys, value_bytes = excluded.value_bytes,
        dead_bytes = excluded.dead_bytes, through = excluded.through,
        counted = excluded.counted`;
      const numbers = [records, values].flatMap(({ keyCount, byteCount }) => [keyCount, byteCount]);
      this.#sql.exec(upsert, namespace, ...numbers, deadByteCount, last, counted);
      this.#through.set(namespace, last);
    }
    this.#behind.delete(namespace);
  }

  #set(namespace: string, counts: Counts): void {
    const before = this.#counts.get(namespace) ?? uncounted;
    const { records, values } = counts;
    const { keyCount, byteCount, deadKeyCount, deadByteCount } = this.#totals;
    this.#totals = {
      keyCount: keyCount - before.records.keyCount + records.keyCount,
      byteCount: byteCount - before.records.byteCount + records.byteCount,
      deadKeyCount: deadKeyCount - deadCount(before) + deadCount(counts),
      deadByteCount: deadByteCount - before.deadByteCount + counts.deadByteCount,
    };
    if (records.keyCount === 0) this.#counts.delete(namespace);
    else this.#counts.set(namespace, counts);
    if (values.keyCount === 0) this.#values.delete(namespace);
    else this.#values.set(namespace, values);
  }

  /** The rows of an older version counted everything. */
  #addThrough(): void {
    const { last } = this.#positions;
    for (const column of ["through", "counted"]) {
      this.#sql.exec(`ALTER TABLE usage ADD COLUMN ${column} INTEGER NOT NULL DEFAULT ${last}`);
    }
  }

  /** For storage that is older than these totals: the one scan that there ever is. */
  #countOnce(): void {
    const sql = this.#sql;
    for (const row of sql.exec<Row>("SELECT key, byte_count, due_at FROM entries")) {
      this.#count(keyIn(row), null, sizeIn(row));
    }
    this.keep();
    sql.exec("DROP TABLE IF EXISTS totals");
  }
}

const deadCount = ({ records, values }: Counts): number => records.keyCount - values.keyCount;

export const sizeIn = (row: Row): RecordSize => ({
  byteCount: numberIn(row, "byte_count"),
  dueAt: numberIn(row, "due_at"),
});

/** What the entry was when its namespace's row was written; null: it was not there. */
const formerSizeIn = (row: Row): RecordSize | null =>
  row["was_bytes"] === null
    ? null
    : { byteCount: numberIn(row, "was_bytes"), dueAt: numberIn(row, "was_due") };

function nameIn(row: Row): string {
  const name = row["namespace"];
  assert(typeof name === "string", "a namespace is a text");
  return name;
}
