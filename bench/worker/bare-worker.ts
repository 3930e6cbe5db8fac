/**
 * The baseline on Miniflare: as many calls to Durable Objects as a request to Starling makes, and
 * the same SQL in each, with no logic of its own. Three replicas; a key's first one is found by the
 * last digit of its name.
 *
 * The statements are those that worker/sqlite-store.ts and its neighbours make for a key that is
 * there already: found by logging them.
 */
import { DurableObject } from "cloudflare:workers";

interface BareEnv {
  readonly REPLICAS: DurableObjectNamespace<BareReplica>;
}

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS entries (
     key BLOB PRIMARY KEY, part INTEGER NOT NULL, digest INTEGER NOT NULL,
     due_at INTEGER NOT NULL, byte_count INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS entries_part ON entries (part)",
  "CREATE INDEX IF NOT EXISTS entries_due ON entries (due_at) WHERE due_at > 0",
  `CREATE TABLE IF NOT EXISTS leaf_sums (
     tree INTEGER NOT NULL, leaf INTEGER NOT NULL, sum INTEGER NOT NULL,
     PRIMARY KEY (tree, leaf)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS usage (
     namespace TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL,
     value_keys INTEGER NOT NULL, value_bytes INTEGER NOT NULL) WITHOUT ROWID`,
];
const REPLICAS = ["r1", "r2", "r3"];
const encoder = new TextEncoder();
const blobOf = (key: string): ArrayBuffer => encoder.encode(key).buffer as ArrayBuffer;

export class BareReplica extends DurableObject<BareEnv> {
  #writeCount = 0;

  constructor(ctx: DurableObjectState, env: BareEnv) {
    super(ctx, env);
    for (const statement of SCHEMA) ctx.storage.sql.exec(statement);
  }

  #rows(query: string, ...bindings: (ArrayBuffer | number | string)[]): Row[] {
    return this.ctx.storage.sql.exec<Row>(query, ...bindings).toArray();
  }

  read(key: string): Promise<ArrayBuffer | null> {
    const [row] = this.#rows("SELECT byte_count, bytes FROM entries WHERE key = ?", blobOf(key));
    return Promise.resolve(row === undefined ? null : (row["bytes"] as ArrayBuffer));
  }

  digest(key: string): Promise<number> {
    const query = "SELECT part, digest, byte_count, due_at FROM entries WHERE key = ?";
    const [row] = this.#rows(query, blobOf(key));
    return Promise.resolve(Number(row?.["digest"] ?? 0));
  }

  /** Stores it here and at the others, and answers when one of them has it too. */
  async coordinate(self: string, key: string, bytes: ArrayBuffer): Promise<void> {
    await this.store(key, bytes);
    const usage = `INSERT INTO usage VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT (namespace) DO UPDATE SET keys = excluded.keys,
                   bytes = excluded.bytes, value_keys = excluded.value_keys,
                   value_bytes = excluded.value_bytes`;
    const count = ++this.#writeCount;
    this.#rows(usage, "bench", count, count, count, count);
    const { REPLICAS: replicas } = this.env;
    const others = REPLICAS.filter((id) => id !== self).map((id) =>
      replicas.get(replicas.idFromName(id)).store(key, bytes),
    );
    this.ctx.waitUntil(Promise.all(others));
    await Promise.any(others);
  }

  store(key: string, bytes: ArrayBuffer): Promise<void> {
    const blob = blobOf(key);
    this.#rows("SELECT byte_count, bytes FROM entries WHERE key = ?", blob);
    this.#rows("SELECT part, digest, byte_count, due_at FROM entries WHERE key = ?", blob);
    const found = this.#rows("SELECT part, due_at, byte_count FROM entries WHERE key = ?", blob);
    const part = (blob.byteLength * 31 + key.charCodeAt(key.length - 1)) % 256;
    const leaf = key.charCodeAt(key.length - 2);
    const digest = ++this.#writeCount;
    if (found.length === 0) {
      const insert = `INSERT INTO entries (digest, byte_count, bytes, part, due_at, key)
                      VALUES (?, ?, ?, ?, ?, ?)`;
      this.#rows(insert, digest, bytes.byteLength, bytes, part, 0, blob);
    } else {
      const update = "UPDATE entries SET digest = ?, byte_count = ?, bytes = ? WHERE key = ?";
      this.#rows(update, digest, bytes.byteLength, bytes, blob);
    }
    this.#rows("SELECT sum FROM leaf_sums WHERE tree = ? AND leaf = ?", part, leaf);
    const upsert = `INSERT INTO leaf_sums (tree, leaf, sum) VALUES (?, ?, ?)
                    ON CONFLICT (tree, leaf) DO UPDATE SET sum = excluded.sum`;
    this.#rows(upsert, part, leaf, digest);
    return Promise.resolve();
  }
}

type Row = Record<string, ArrayBuffer | string | number | null>;

/** The key's replicas, its first one first. */
function stubsOf(env: BareEnv, key: string): readonly DurableObjectStub<BareReplica>[] {
  const first = key.charCodeAt(key.length - 1) % REPLICAS.length;
  return REPLICAS.map((_, i) => {
    const name = REPLICAS[(first + i) % REPLICAS.length] ?? "";
    return env.REPLICAS.get(env.REPLICAS.idFromName(name));
  });
}

async function answer(request: Request, env: BareEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const [first, second] = stubsOf(env, pathname);
  if (first === undefined || second === undefined) throw new Error("there are three replicas");
  if (request.method === "PUT") {
    const self = REPLICAS[pathname.charCodeAt(pathname.length - 1) % REPLICAS.length] ?? "";
    await first.coordinate(self, pathname, await request.arrayBuffer());
    return new Response(null, { status: 204 });
  }
  const isAlone = searchParams.get("r") === "1";
  const asked = [first.read(pathname), ...(isAlone ? [] : [second.digest(pathname)])] as const;
  const [bytes] = await Promise.all(asked);
  if (!(bytes instanceof ArrayBuffer)) return new Response(null, { status: 404 });
  return new Response(bytes, { headers: { "Content-Type": "text/plain" } });
}

export default { fetch: answer } satisfies ExportedHandler<BareEnv>;
