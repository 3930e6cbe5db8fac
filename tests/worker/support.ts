/** Objects to test in, what their statements cost, and requests as a frontend would make them. */
import { runInDurableObject } from "cloudflare:test";
import { env as anyEnv } from "cloudflare:workers";
import xxhash from "xxhash-wasm";
import { messageFromList, type Reply, type Request } from "../../core/messages.ts";
import type { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { type Env, knowledgeOf } from "../../worker/config.ts";
import type { ReplicaObject } from "../../worker/replica-object.ts";
import type { Sql } from "../../worker/sqlite-rows.ts";
import type { SqliteStore } from "../../worker/sqlite-store.ts";
import { messageToWire } from "../../worker/wire.ts";

export const env = anyEnv as unknown as Env;
const { REPLICAS } = env;

export type Stub = DurableObjectStub<ReplicaObject>;
export const stubOf = (id: string): Stub => REPLICAS.get(REPLICAS.idFromName(id));

/** Makes objects do nothing more by themselves: it would go on while their Worker is taken down. */
export async function silence(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await runInDurableObject(stubOf(id), (_, { storage }) => storage.deleteAlarm());
  }
}

let objectCount = 0;

/** Runs inside a Durable Object of its own, with its SQLite. */
export function inObject(use: (sql: SqlStorage) => void | Promise<void>): Promise<void> {
  const stub = stubOf(`store-${++objectCount}`);
  return runInDurableObject(stub, (_, state) => use(state.storage.sql));
}

export interface Meter {
  readonly sql: Sql;
  /** What was billed since the last question. */
  take(): { readonly read: number; readonly written: number };
}

export function metered(real: SqlStorage): Meter {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const exec = ((query: string, ...bindings: unknown[]) => {
    const cursor = real.exec(query, ...bindings);
    cursors.push(cursor);
    return cursor;
  }) as SqlStorage["exec"];
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  return {
    sql: {
      exec,
      get databaseSize() {
        return real.databaseSize;
      },
    },
    take: () => {
      const done = cursors.splice(0);
      return {
        read: sum(done.map(({ rowsRead }) => rowsRead)),
        written: sum(done.map(({ rowsWritten }) => rowsWritten)),
      };
    },
  };
}

let known: Knowledge | null = null;

export async function knowledge(): Promise<Knowledge> {
  known ??= knowledgeOf(env, await xxhash(), () => "");
  return known;
}

/** One request to one replica, as a frontend that knows the ring would send it. */
export async function ask(id: string, body: Request): Promise<Reply> {
  const { stamp } = await knowledge();
  const message = { type: "request", call: 7, stamp, budgetMs: 2000, trace: "", body } as const;
  const reply = messageFromList(await stubOf(id).exchange(id, messageToWire(message)));
  if (reply.type !== "reply" || reply.call !== 7) throw new Error("a reply repeats its call");
  return reply.body;
}

/** A record of so many bytes, of one digest. */
export function writeRecord(
  store: Pick<SqliteStore, "writeEntry">,
  key: string,
  {
    byteCount = 1,
    partition = 1,
    dueAt = 0,
  }: Partial<Record<"byteCount" | "partition" | "dueAt", number>>,
): void {
  store.writeEntry(key, { partition, digest: 7, dueAt, bytes: new Uint8Array(byteCount) });
}
