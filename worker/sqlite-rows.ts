/**
 * What the tables share: keys and values as blobs, and records that are larger than a row.
 *
 * A row of a Durable Object's SQLite holds at most 2 MB. A record's first piece stays in its own
 * row and any further ones go to `overflow`, so that a small value, which is nearly every value,
 * costs exactly one row to read and to write.
 */
import { assert } from "../core/assert.ts";

/** The part of a Durable Object's SQL that is used: a test may stand in between and count. */
export type Sql = Pick<SqlStorage, "exec" | "databaseSize">;

export type Row = Record<string, ArrayBuffer | string | number | null>;
type Binding = ArrayBuffer | string | number;

/** Below the 2 MB of a row, with room for its other columns: a key has at most 577 bytes. */
export const PIECE_BYTES_MAX = 1_900_000;

const encoder = new TextEncoder();
// Keys are exactly the bytes that went in: a byte order mark is one of them.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const rowsOf = (sql: Sql, query: string, ...bindings: Binding[]): Row[] =>
  sql.exec<Row>(query, ...bindings).toArray();

/** Empty where there is no such table. */
export const columnsOf = (sql: Sql, table: string): ReadonlySet<unknown> =>
  new Set(rowsOf(sql, "SELECT name FROM pragma_table_info(?)", table).map((row) => row["name"]));

/** SQL takes whole buffers: a view of a larger one is copied. */
export function blobOf(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const isWhole = byteOffset === 0 && byteLength === buffer.byteLength;
  return (isWhole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)) as ArrayBuffer;
}

/** A key as a blob: SQLite then orders by its bytes, and a NUL is a byte like any other. */
export const keyBlob = (key: string): ArrayBuffer => blobOf(encoder.encode(key));

export function blobIn(row: Row, name: string): ArrayBuffer {
  const value = row[name];
  assert(value instanceof ArrayBuffer, "the column holds a blob");
  return value;
}

export function numberIn(row: Row | undefined, name: string): number {
  const value = row?.[name];
  assert(typeof value === "number", "the column holds a number");
  return value;
}

export const keyIn = (row: Row): string => decoder.decode(blobIn(row, "key"));

/** The first key in order that does not start with the prefix: no byte of UTF-8 is 0xff. */
export function endOf(prefix: string): ArrayBuffer {
  const bytes = encoder.encode(prefix);
  const end = new Uint8Array(bytes.length + 1);
  end.set(bytes);
  end[bytes.length] = 0xff;
  return end.buffer;
}

/** The pieces of one record beyond the first. */
export class Overflow {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS overflow (
      owner BLOB NOT NULL, piece INTEGER NOT NULL, bytes BLOB NOT NULL,
      PRIMARY KEY (owner, piece)) WITHOUT ROWID`);
  }

  /**
   * Stores what does not fit beside the record's other columns.
   *
   * @param beforeCount the length of the record that this one replaces; 0 for none
   * @returns the first piece, for the record's own row
   */
  write(owner: string, bytes: Uint8Array, beforeCount: number): ArrayBuffer {
    this.drop(owner, beforeCount);
    if (bytes.length <= PIECE_BYTES_MAX) return blobOf(bytes);
    const insert = "INSERT INTO overflow (owner, piece, bytes) VALUES (?, ?, ?)";
    for (let at = PIECE_BYTES_MAX, piece = 1; at < bytes.length; at += PIECE_BYTES_MAX, piece++) {
      const part = blobOf(bytes.subarray(at, at + PIECE_BYTES_MAX));
      this.#sql.exec(insert, keyBlob(owner), piece, part);
    }
    return blobOf(bytes.subarray(0, PIECE_BYTES_MAX));
  }

  /** @param byteCount the length of the whole record */
  drop(owner: string, byteCount: number): void {
    if (byteCount <= PIECE_BYTES_MAX) return;
    this.#sql.exec("DELETE FROM overflow WHERE owner = ?", keyBlob(owner));
  }

  /** The whole record again, from its row's columns `byte_count` and `bytes`. */
  whole(owner: string, row: Row): Uint8Array {
    const first = new Uint8Array(blobIn(row, "bytes"));
    const byteCount = numberIn(row, "byte_count");
    if (first.length === byteCount) return first;
    const whole = new Uint8Array(byteCount);
    whole.set(first);
    let at = first.length;
    const query = "SELECT bytes FROM overflow WHERE owner = ? ORDER BY piece";
    for (const piece of rowsOf(this.#sql, query, keyBlob(owner))) {
      const bytes = new Uint8Array(blobIn(piece, "bytes"));
      whole.set(bytes, at);
      at += bytes.length;
    }
    assert(at === byteCount, "all pieces of a record are there");
    return whole;
  }
}
