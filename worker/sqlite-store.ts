/**
 * The store of a replica in its Durable Object: SQLite, one row a key. The platform's own log and
 * output gate are the write-ahead log: nothing leaves the object before the writes that led to it
 * are confirmed, and all writes of one turn are one transaction.
 *
 * A row holds at most 2 MB, so a larger record goes on in rows of `overflow`. Keys are blobs: SQLite
 * then orders them by their UTF-8 bytes, and a NUL is a byte like any other. Nothing is kept in
 * memory but the number of hints, so that a read without any costs one row.
 */
import type {
  EntryRecord,
  EntrySummary,
  Recovery,
  Store,
  StoreHealth,
  StoreKey,
} from "../core/store.ts";

/** Below the 2 MB of a row, with room for its other columns. */
const CHUNK_BYTES_MAX = 1_900_000;

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS entries (
     key BLOB PRIMARY KEY, part INTEGER NOT NULL, digest INTEGER NOT NULL,
     due_at INTEGER NOT NULL, byte_count INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS entries_part ON entries (part)",
  "CREATE INDEX IF NOT EXISTS entries_due ON entries (due_at) WHERE due_at > 0",
  `CREATE TABLE IF NOT EXISTS hints (
     target TEXT NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL,
     PRIMARY KEY (target, key)) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS hints_key ON hints (key)",
  `CREATE TABLE IF NOT EXISTS overflow (
     owner BLOB NOT NULL, piece INTEGER NOT NULL, bytes BLOB NOT NULL,
     PRIMARY KEY (owner, piece)) WITHOUT ROWID`,
  "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS leaf_sums (
     tree INTEGER NOT NULL, leaf INTEGER NOT NULL, sum INTEGER NOT NULL,
     PRIMARY KEY (tree, leaf)) WITHOUT ROWID`,
];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const blobOf = (bytes: Uint8Array): ArrayBuffer =>
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
const keyBlob = (key: string): ArrayBuffer => blobOf(encoder.encode(key));
const keyText = (blob: ArrayBuffer): string => decoder.decode(blob);

type Row = Record<string, ArrayBuffer | string | number | null>;

/** Where the pieces of a record beyond its first are kept; entries and hints do not collide. */
const ownerOf = (space: string, key: StoreKey): ArrayBuffer => keyBlob(`${space}\0${key}`);

export class SqliteStore implements Store {
  readonly recovery: Recovery;
  readonly #sql: SqlStorage;
  #hintCount: number;
  #hintSequence: number;
  #health: StoreHealth = "writable";

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const statement of SCHEMA) sql.exec(statement);
    // What is confirmed here is never lost: whoever finds its own records goes on as it was.
    const clean = this.#rows("SELECT 1 FROM meta LIMIT 1").length > 0;
    this.recovery = { clean, tornByteCount: 0, corruptCount: 0, lostKeys: [] };
    const [hints] = this.#rows("SELECT COUNT(*) AS n, COALESCE(MAX(seq), 0) AS seq FROM hints");
    this.#hintCount = Number(hints?.["n"] ?? 0);
    this.#hintSequence = Number(hints?.["seq"] ?? 0);
  }

  health(): StoreHealth {
    return this.#health;
  }

  readEntry(key: StoreKey): Uint8Array | undefined {
    const [row] = this.#rows("SELECT byte_count, bytes FROM entries WHERE key = ?", keyBlob(key));
    if (row === undefined) return undefined;
    return this.#whole(row["bytes"] as ArrayBuffer, Number(row["byte_count"]), ["", key]);
  }

  summary(key: StoreKey): EntrySummary | undefined {
    const [row] = this.#rows(
      "SELECT part, digest, byte_count FROM entries WHERE key = ?",
      keyBlob(key),
    );
    return row === undefined ? undefined : summaryOf(key, row);
  }

  writeEntry(key: StoreKey, record: EntryRecord): void {
    const { bytes, partition, digest, dueAt } = record;
    const first = this.#split(bytes, ["", key]);
    this.#write(
      `INSERT INTO entries (key, part, digest, due_at, byte_count, bytes) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET part = excluded.part, digest = excluded.digest,
       due_at = excluded.due_at, byte_count = excluded.byte_count, bytes = excluded.bytes`,
      keyBlob(key),
      partition,
      digest,
      dueAt,
      bytes.length,
      first,
    );
  }

  dropEntry(key: StoreKey): void {
    this.#dropPieces(["", key]);
    this.#write("DELETE FROM entries WHERE key = ?", keyBlob(key));
  }

  entriesOf(partition: number): Iterable<EntrySummary> {
    return this.#rows(
      "SELECT key, part, digest, byte_count FROM entries WHERE part = ?",
      partition,
    ).map((row) => summaryOf(keyText(row["key"] as ArrayBuffer), row));
  }

  due(before: number, countMax: number): readonly StoreKey[] {
    const query =
      "SELECT key FROM entries WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?";
    return this.#rows(query, before, countMax).map((row) => keyText(row["key"] as ArrayBuffer));
  }

  keysAfter(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    const query = `SELECT key FROM entries WHERE key >= ? AND key > ? AND key < ?
                   ORDER BY key LIMIT ?`;
    const rows = this.#rows(query, keyBlob(prefix), keyBlob(after), endOf(prefix), countMax);
    return rows.map((row) => keyText(row["key"] as ArrayBuffer));
  }

  readHint(target: string, key: StoreKey): Uint8Array | undefined {
    if (this.#hintCount === 0) return undefined;
    const query = "SELECT seq, bytes FROM hints WHERE target = ? AND key = ?";
    const [row] = this.#rows(query, target, keyBlob(key));
    if (row === undefined) return undefined;
    return this.#whole(row["bytes"] as ArrayBuffer, null, [target, key]);
  }

  writeHint(target: string, key: StoreKey, bytes: Uint8Array): void {
    const isNew = this.readHint(target, key) === undefined;
    const first = this.#split(bytes, [target, key]);
    if (isNew) this.#hintCount++;
    this.#hintSequence++;
    this.#write(
      `INSERT INTO hints (target, key, seq, bytes) VALUES (?, ?, ?, ?)
       ON CONFLICT (target, key) DO UPDATE SET bytes = excluded.bytes`,
      target,
      keyBlob(key),
      this.#hintSequence,
      first,
    );
  }

  dropHint(target: string, key: StoreKey): void {
    if (this.readHint(target, key) === undefined) return;
    this.#hintCount--;
    this.#dropPieces([target, key]);
    this.#write("DELETE FROM hints WHERE target = ? AND key = ?", target, keyBlob(key));
  }

  hintCounts(): ReadonlyMap<string, number> {
    if (this.#hintCount === 0) return new Map();
    const rows = this.#rows("SELECT target, COUNT(*) AS n FROM hints GROUP BY target");
    return new Map(rows.map((row) => [String(row["target"]), Number(row["n"])]));
  }

  hintedKeys(target: string, countMax: number): readonly StoreKey[] {
    const query = "SELECT key FROM hints WHERE target = ? ORDER BY seq LIMIT ?";
    return this.#rows(query, target, countMax).map((row) => keyText(row["key"] as ArrayBuffer));
  }

  hintTargets(key: StoreKey): readonly string[] {
    if (this.#hintCount === 0) return [];
    const rows = this.#rows("SELECT target FROM hints WHERE key = ?", keyBlob(key));
    return rows.map((row) => String(row["target"]));
  }

  readMeta(name: string): Uint8Array | undefined {
    const [row] = this.#rows("SELECT bytes FROM meta WHERE name = ?", name);
    return row === undefined ? undefined : new Uint8Array(row["bytes"] as ArrayBuffer);
  }

  writeMeta(name: string, bytes: Uint8Array): void {
    this.#write(
      `INSERT INTO meta (name, bytes) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes`,
      name,
      blobOf(bytes),
    );
  }

  /** A scan, billed by the row: for operators, not for requests. */
  stats(): { readonly keyCount: number; readonly byteCount: number } {
    const query = "SELECT COUNT(*) AS n, COALESCE(SUM(byte_count), 0) AS bytes FROM entries";
    const [row] = this.#rows(query);
    return { keyCount: Number(row?.["n"] ?? 0), byteCount: Number(row?.["bytes"] ?? 0) };
  }

  #rows(query: string, ...bindings: (ArrayBuffer | string | number)[]): Row[] {
    return this.#sql.exec<Row>(query, ...bindings).toArray();
  }

  /** A statement that fails undoes the object's whole turn; the store takes no more until then. */
  #write(query: string, ...bindings: (ArrayBuffer | string | number)[]): void {
    try {
      this.#sql.exec(query, ...bindings);
    } catch (error) {
      const isFull = error instanceof Error && /full|SQLITE_FULL|too big/i.test(error.message);
      this.#health = isFull ? "full" : "failed";
      throw error;
    }
  }

  /** The first piece of a record; further ones are written to their own rows. */
  #split(bytes: Uint8Array, of: readonly [space: string, key: StoreKey]): ArrayBuffer {
    this.#dropPieces(of);
    if (bytes.length <= CHUNK_BYTES_MAX) return blobOf(bytes);
    const owner = ownerOf(...of);
    for (let at = CHUNK_BYTES_MAX, piece = 1; at < bytes.length; at += CHUNK_BYTES_MAX, piece++) {
      const chunk = blobOf(bytes.subarray(at, at + CHUNK_BYTES_MAX));
      this.#write(
        "INSERT INTO overflow (owner, piece, bytes) VALUES (?, ?, ?)",
        owner,
        piece,
        chunk,
      );
    }
    return blobOf(bytes.subarray(0, CHUNK_BYTES_MAX));
  }

  #dropPieces(of: readonly [space: string, key: StoreKey]): void {
    this.#write("DELETE FROM overflow WHERE owner = ?", ownerOf(...of));
  }

  /** @param byteCount null when only the first piece's length can tell */
  #whole(
    first: ArrayBuffer,
    byteCount: number | null,
    of: readonly [space: string, key: StoreKey],
  ): Uint8Array {
    const isWhole = byteCount === null ? first.byteLength < CHUNK_BYTES_MAX : false;
    if (isWhole || first.byteLength === byteCount) return new Uint8Array(first);
    const query = "SELECT bytes FROM overflow WHERE owner = ? ORDER BY piece";
    const rest = this.#rows(query, ownerOf(...of)).map((row) => row["bytes"] as ArrayBuffer);
    const pieces = [first, ...rest];
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(new Uint8Array(piece), at);
      at += piece.byteLength;
    }
    return whole;
  }
}

function summaryOf(key: StoreKey, row: Row): EntrySummary {
  const digest = Number(row["digest"]);
  const byteCount = Number(row["byte_count"]);
  return { key, partition: Number(row["part"]), digest, byteCount };
}

/** The first key in order that does not start with the prefix; bytes of UTF-8 are below 0xff. */
function endOf(prefix: StoreKey): ArrayBuffer {
  const bytes = encoder.encode(prefix);
  const end = new Uint8Array(bytes.length + 1);
  end.set(bytes);
  end[bytes.length] = 0xff;
  return blobOf(end);
}
