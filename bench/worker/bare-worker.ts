/**
 * The baseline on Miniflare: as many calls to Durable Objects as a request to Starling makes, with
 * arguments and answers of the same shape and size, the same SQL in each, the same headers in the
 * response, and no logic of its own. Three replicas; a key's first one is found by the last digit
 * of its name.
 *
 * The statements are those that worker/sqlite-store.ts and its neighbours make for a key that is
 * there already, found by logging them; but a read asks SQL here, where Starling's object remembers
 * what it read or wrote lately.
 */
import { DurableObject } from "cloudflare:workers";

interface BareEnv {
  readonly REPLICAS: DurableObjectNamespace<BareReplica>;
}

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS entries (
     key BLOB PRIMARY KEY, part INTEGER NOT NULL, digest INTEGER NOT NULL,
     due_at INTEGER NOT NULL, byte_count INTEGER NOT NULL, bytes BLOB NOT NULL,
     position INTEGER NOT NULL, was_bytes INTEGER, was_due INTEGER) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS entries_part ON entries (part)",
  "CREATE INDEX IF NOT EXISTS entries_due ON entries (due_at) WHERE due_at > 0",
  "CREATE INDEX IF NOT EXISTS entries_position ON entries (position)",
  `CREATE TABLE IF NOT EXISTS leaf_sums (
     tree INTEGER NOT NULL, leaf INTEGER NOT NULL, sum INTEGER NOT NULL,
     PRIMARY KEY (tree, leaf)) WITHOUT ROWID`,
];
const REPLICAS = ["r1", "r2", "r3"];
const encoder = new TextEncoder();
const blobOf = (key: string): ArrayBuffer => encoder.encode(key).buffer as ArrayBuffer;

/** A message as lists: the call's number, a body, and for requests what travels beside it. */
type Plain = number | string | boolean | null | Uint8Array | ArrayBuffer;
type Wire = Plain[];
const nested = (...list: unknown[]): Plain => list as unknown as Plain;
const request = (...body: unknown[]): Wire => [1, nested(...body), 4_738_291_034, 2000, ""];
const reply = (...body: unknown[]): Wire => [1, nested(...body)];

/** What Starling stores beside a value of one sibling: context, dot, times, headers, tenure. */
const RECORD_BYTES = 120;
const CONTEXT = nested(nested("AAAAAAAA", 1, 37));
const RULES = nested(3, 2, 2, 0, 0, 2, 0, 2000, true, true, false, false, false);
const noHeaders = nested("text/plain", null, null, null, null, nested());

export class BareReplica extends DurableObject<BareEnv> {
  #writeCount = 0;

  constructor(ctx: DurableObjectState, env: BareEnv) {
    super(ctx, env);
    for (const statement of SCHEMA) ctx.storage.sql.exec(statement);
  }

  #rows(query: string, ...bindings: (ArrayBuffer | number | string)[]): Row[] {
    return this.ctx.storage.sql.exec<Row>(query, ...bindings).toArray();
  }

  read(_self: string, [, body]: Wire): Promise<Wire> {
    const [, key, digestOnly] = body as unknown as [number, string, boolean];
    const columns = digestOnly
      ? "part, digest, byte_count, due_at"
      : "part, digest, byte_count, due_at, bytes";
    const [row] = this.#rows(`SELECT ${columns} FROM entries WHERE key = ?`, blobOf(key));
    return Promise.resolve(reply(1, row?.["digest"] ?? 0, row?.["bytes"] ?? null, false));
  }

  /** Stores it here and at the others, and answers when one of them has it too. */
  async coordinate(self: string, [, body]: Wire): Promise<Wire> {
    const [, key, op, , content] = body as unknown as [number, string, string, boolean, unknown[]];
    const value = content.at(-1) as Uint8Array;
    const entry = new Uint8Array(value.length + RECORD_BYTES);
    entry.set(value, RECORD_BYTES);
    this.#store(key, entry);
    const { REPLICAS: replicas } = this.env;
    const others = REPLICAS.filter((id) => id !== self).map((id) =>
      replicas.get(idOf(replicas, id)).store(id, request(2, key, entry, "", 2)),
    );
    this.ctx.waitUntil(Promise.all(others));
    await Promise.any(others);
    const sibling = nested("AAAAAAAA", 37, 115_000_000_000_000, op, 0, noHeaders);
    return reply(4, false, sibling, CONTEXT, 1, nested(3, 2, 2, 2, 0, 2));
  }

  store(_self: string, [, body]: Wire): Promise<Wire> {
    const [, key, entry] = body as unknown as [number, string, Uint8Array];
    this.#store(key, entry);
    return Promise.resolve(reply(2, true));
  }

  #store(key: string, entry: Uint8Array): void {
    const blob = blobOf(key);
    const bytes = entry.buffer as ArrayBuffer;
    const part = (blob.byteLength * 31 + key.charCodeAt(key.length - 1)) % 256;
    const leaf = key.charCodeAt(key.length - 2);
    const count = ++this.#writeCount;
    const update = `UPDATE entries SET digest = ?, byte_count = ?, bytes = ?, position = ?,
                    was_bytes = iif(position > ?, was_bytes, byte_count),
                    was_due = iif(position > ?, was_due, due_at) WHERE key = ?`;
    const values = [count, bytes.byteLength, bytes, count] as const;
    const updated = this.ctx.storage.sql.exec(update, ...values, 1, 1, blob);
    if (updated.rowsWritten === 0) {
      const insert = `INSERT INTO entries (digest, byte_count, bytes, position, part, due_at, key)
                      VALUES (?, ?, ?, ?, ?, ?, ?)`;
      this.#rows(insert, ...values, part, 0, blob);
    }
    const add = `INSERT INTO leaf_sums (tree, leaf, sum) VALUES (?, ?, ?)
                 ON CONFLICT (tree, leaf) DO UPDATE
                 SET sum = (sum + CAST(excluded.sum AS INTEGER)) % 9007199254740992`;
    this.#rows(add, part, leaf, count);
  }
}

type Row = Record<string, ArrayBuffer | string | number | null>;

const ids = new Map<string, DurableObjectId>();

function idOf(replicas: BareEnv["REPLICAS"], name: string): DurableObjectId {
  const id = ids.get(name) ?? replicas.idFromName(name);
  ids.set(name, id);
  return id;
}

/** Of the key's replicas the one at that place. */
const nameAt = (key: string, place: number): string =>
  REPLICAS[(key.charCodeAt(key.length - 1) + place) % REPLICAS.length] ?? "";

const WRITE_HEADERS = {
  "Starling-Context": "AZGTqEFBQUFBQUFBASV8Wk2hZ0u3wA",
  "X-Content-Type-Options": "nosniff",
  Date: "Sat, 21 Nov 2026 10:00:00 GMT",
  "Server-Timing": "quorum;dur=1.0",
  "Content-Security-Policy": "sandbox; default-src 'none'",
  "Starling-Quorum": "n=3, w=2, acked=2, primaries=2, fallbacks=0, durable=2",
  ETag: '"0123456789abcdef"',
  "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT",
};
const READ_HEADERS = {
  ...WRITE_HEADERS,
  "Content-Type": "text/plain",
  "Accept-Ranges": "bytes",
  "Content-Length": "1024",
};

async function answer(asked: Request, env: BareEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(asked.url);
  const at = (place: number): [DurableObjectStub<BareReplica>, string] => {
    const name = nameAt(pathname, place);
    return [env.REPLICAS.get(idOf(env.REPLICAS, name)), name];
  };
  const [first, name] = at(0);
  if (asked.method === "PUT") {
    const value = new Uint8Array(await asked.arrayBuffer());
    const content = nested("text/plain", null, null, null, null, nested(), value);
    const none = nested();
    const body = [3, pathname, "0123456789", false, content, 0, null, none, none, RULES, ""];
    await first.coordinate(name, request(...body));
    return new Response(null, { status: 204, headers: WRITE_HEADERS });
  }
  const asks = [first.read(name, request(1, pathname, false, false))];
  if (searchParams.get("r") !== "1") {
    const [second, other] = at(1);
    asks.push(second.read(other, request(1, pathname, true, false)));
  }
  const [got] = await Promise.all(asks);
  const bytes = (got as unknown as [number, unknown[]])[1][2];
  if (!(bytes instanceof ArrayBuffer)) return new Response(null, { status: 404 });
  return new Response(bytes.slice(RECORD_BYTES), { headers: READ_HEADERS });
}

export default { fetch: answer } satisfies ExportedHandler<BareEnv>;
