/**
 * What is stored, by namespace: a row each in a table of its own, and the same in memory. Counting
 * when it is asked for would be a scan of up to 10 GB, billed by the row and longer than an object
 * is given.
 */
import { assert } from "../core/assert.ts";
import { holdsValue } from "../core/expiry.ts";
import { namespaceOf } from "../core/keys.ts";
import type { StoreKey, StoreStats, Usage } from "../core/store.ts";
import { usedBytes } from "../replica/usage.ts";
import { keyIn, numberIn, type Row, rowsOf, type Sql } from "./sqlite-rows.ts";

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

const areEqual = (a: Usage, b: Usage): boolean =>
  a.keyCount === b.keyCount && a.byteCount === b.byteCount;

export class SqliteUsage {
  readonly #sql: Sql;
  readonly #counts = new Map<string, Counts>();
  readonly #values = new Map<string, Usage>();
  #totals = { ...nothing, deadKeyCount: 0, deadByteCount: 0 };

  constructor(sql: Sql) {
    this.#sql = sql;
    if (this.#lacksColumn()) sql.exec("DROP TABLE usage");
    const isNew = !hasTable(sql, "usage");
    sql.exec(`CREATE TABLE IF NOT EXISTS usage (
      namespace TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL,
      value_keys INTEGER NOT NULL, value_bytes INTEGER NOT NULL,
      dead_bytes INTEGER NOT NULL) WITHOUT ROWID`);
    if (isNew) this.#countOnce();
    for (const row of rowsOf(sql, "SELECT * FROM usage")) {
      const records = { keyCount: numberIn(row, "keys"), byteCount: numberIn(row, "bytes") };
      const keyCount = numberIn(row, "value_keys");
      const values = { keyCount, byteCount: numberIn(row, "value_bytes") };
      this.#set(nameIn(row), { records, values, deadByteCount: numberIn(row, "dead_bytes") });
    }
  }

  /** All records. */
  get totals(): StoreStats {
    return this.#totals;
  }

  get ofValues(): ReadonlyMap<string, Usage> {
    return this.#values;
  }

  /** A record was written, replaced or dropped; null where there is none. */
  change(key: StoreKey, from: RecordSize | null, to: RecordSize | null): void {
    const namespace = namespaceOf(key);
    const before = this.#counts.get(namespace) ?? uncounted;
    const after = this.#countsAfter(key, from, to);
    const isSame = areEqual(after.records, before.records) && areEqual(after.values, before.values);
    if (isSame) return;
    this.#set(namespace, after);
    this.#keep(namespace, after);
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

  #keep(namespace: string, { records, values, deadByteCount }: Counts): void {
    if (records.keyCount === 0) {
      this.#sql.exec("DELETE FROM usage WHERE namespace = ?", namespace);
      return;
    }
    const upsert = `INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (namespace) DO UPDATE SET
      keys = excluded.keys, bytes = excluded.bytes,
      value_keys = excluded.value_keys, value_bytes = excluded.value_bytes,
      dead_bytes = excluded.dead_bytes`;
    const numbers = [records, values].flatMap(({ keyCount, byteCount }) => [keyCount, byteCount]);
    this.#sql.exec(upsert, namespace, ...numbers, deadByteCount);
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

  #lacksColumn(): boolean {
    const query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'usage'";
    const [row] = rowsOf(this.#sql, query);
    return row !== undefined && !String(row["sql"]).includes("dead_bytes");
  }

  /** For storage that is older than these totals: the one scan that there ever is. */
  #countOnce(): void {
    const sql = this.#sql;
    for (const row of sql.exec<Row>("SELECT key, byte_count, due_at FROM entries")) {
      const key = keyIn(row);
      this.#set(namespaceOf(key), this.#countsAfter(key, null, sizeIn(row)));
    }
    for (const [namespace, counts] of this.#counts) this.#keep(namespace, counts);
    sql.exec("DROP TABLE IF EXISTS totals");
  }
}

const deadCount = ({ records, values }: Counts): number => records.keyCount - values.keyCount;

const hasTable = (sql: Sql, name: string): boolean =>
  rowsOf(sql, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).length > 0;

export const sizeIn = (row: Row): RecordSize => ({
  byteCount: numberIn(row, "byte_count"),
  dueAt: numberIn(row, "due_at"),
});

function nameIn(row: Row): string {
  const name = row["namespace"];
  assert(typeof name === "string", "a namespace is a text");
  return name;
}
