/**
 * The order in which entries last changed, an indexed column of their table. The last number is
 * that of the newest entry; when that one is dropped it is noted, so as not to be given again.
 */
import type { Arrival } from "../core/store.ts";
import { columnsOf, keyIn, numberIn, rowsOf, type Sql } from "./sqlite-rows.ts";

export class SqlitePositions {
  readonly #sql: Sql;
  #last: number;

  /** @param sql with the table of entries; one of an older version gets the column */
  constructor(sql: Sql) {
    this.#sql = sql;
    if (!columnsOf(sql, "entries").has("position")) addColumn(sql);
    sql.exec("CREATE INDEX IF NOT EXISTS entries_position ON entries (position)");
    sql.exec("CREATE TABLE IF NOT EXISTS dropped (id INTEGER PRIMARY KEY, position INTEGER)");
    const newest = rowsOf(sql, "SELECT position FROM entries ORDER BY position DESC LIMIT 1");
    const dropped = rowsOf(sql, "SELECT position FROM dropped");
    this.#last = Math.max(0, ...[...newest, ...dropped].map((row) => numberIn(row, "position")));
  }

  get last(): number {
    return this.#last;
  }

  next(): number {
    return ++this.#last;
  }

  dropped(position: number): void {
    if (position < this.#last) return;
    this.#sql.exec("INSERT OR REPLACE INTO dropped (id, position) VALUES (1, ?)", this.#last);
  }

  after(position: number, countMax: number): readonly Arrival[] {
    const query = `SELECT key, part, position FROM entries INDEXED BY entries_position
                   WHERE position > ? ORDER BY position LIMIT ?`;
    return rowsOf(this.#sql, query, position, countMax).map((row) => ({
      key: keyIn(row),
      partition: numberIn(row, "part"),
      position: numberIn(row, "position"),
    }));
  }
}

/** What an older version stored has no order: any will do, as nobody was told another. */
function addColumn(sql: Sql): void {
  sql.exec("ALTER TABLE entries ADD COLUMN position INTEGER NOT NULL DEFAULT 0");
  sql.exec(`UPDATE entries SET position = numbered.n FROM
    (SELECT key AS k, ROW_NUMBER() OVER (ORDER BY key) AS n FROM entries) AS numbered
    WHERE entries.key = numbered.k`);
}
