/**
 * Copies kept for another replica, one row a (target, key). Their numbers are counted once, when
 * the object wakes up, and kept in memory: as long as there is no hint a read does not look for
 * one.
 */
import {
  keyBlob,
  keyIn,
  numberIn,
  type Overflow,
  type Row,
  rowsOf,
  type Sql,
} from "./sqlite-rows.ts";

/** `seq` puts a target's hints in order; every index of the table ends with it. */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS hints (
     seq INTEGER PRIMARY KEY, target TEXT NOT NULL, key BLOB NOT NULL,
     byte_count INTEGER NOT NULL, bytes BLOB NOT NULL)`,
  "CREATE UNIQUE INDEX IF NOT EXISTS hints_of_key ON hints (key, target)",
  "CREATE INDEX IF NOT EXISTS hints_in_order ON hints (target)",
];

/** Where the further pieces of a hint are; never equal to an entry's, which begins with a NUL. */
const ownerOf = (target: string, key: string): string => `${target}\0${key}`;

export class SqliteHints {
  readonly #sql: Sql;
  readonly #overflow: Overflow;
  readonly #counts = new Map<string, number>();

  constructor(sql: Sql, overflow: Overflow) {
    this.#sql = sql;
    this.#overflow = overflow;
    for (const statement of SCHEMA) sql.exec(statement);
    const query = "SELECT target, COUNT(*) AS n FROM hints GROUP BY target";
    for (const row of rowsOf(sql, query)) this.#add(String(row["target"]), numberIn(row, "n"));
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  read(target: string, key: string): Uint8Array | undefined {
    const row = this.#find(target, key, "byte_count, bytes");
    return row === undefined ? undefined : this.#overflow.whole(ownerOf(target, key), row);
  }

  /** A hint that is replaced keeps its place in the order. */
  write(target: string, key: string, bytes: Uint8Array): void {
    const before = this.#find(target, key, "byte_count");
    const beforeCount = before === undefined ? 0 : numberIn(before, "byte_count");
    const first = this.#overflow.write(ownerOf(target, key), bytes, beforeCount);
    const blob = keyBlob(key);
    if (before === undefined) {
      const insert = "INSERT INTO hints (target, key, byte_count, bytes) VALUES (?, ?, ?, ?)";
      this.#sql.exec(insert, target, blob, bytes.length, first);
      this.#add(target, 1);
    } else {
      const update = "UPDATE hints SET byte_count = ?, bytes = ? WHERE target = ? AND key = ?";
      this.#sql.exec(update, bytes.length, first, target, blob);
    }
  }

  drop(target: string, key: string): void {
    const before = this.#find(target, key, "byte_count");
    if (before === undefined) return;
    this.#overflow.drop(ownerOf(target, key), numberIn(before, "byte_count"));
    this.#sql.exec("DELETE FROM hints WHERE target = ? AND key = ?", target, keyBlob(key));
    this.#add(target, -1);
  }

  keysOf(target: string, countMax: number): readonly string[] {
    const query = "SELECT key FROM hints WHERE target = ? ORDER BY seq LIMIT ?";
    return rowsOf(this.#sql, query, target, countMax).map(keyIn);
  }

  targetsOf(key: string): readonly string[] {
    if (this.#counts.size === 0) return [];
    const query = "SELECT target FROM hints WHERE key = ?";
    return rowsOf(this.#sql, query, keyBlob(key)).map((row) => String(row["target"]));
  }

  #find(target: string, key: string, columns: string): Row | undefined {
    if (!this.#counts.has(target)) return undefined;
    const query = `SELECT ${columns} FROM hints WHERE target = ? AND key = ?`;
    return rowsOf(this.#sql, query, target, keyBlob(key))[0];
  }

  #add(target: string, count: number): void {
    const total = (this.#counts.get(target) ?? 0) + count;
    if (total === 0) this.#counts.delete(target);
    else this.#counts.set(target, total);
  }
}
