import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { MerkleForest } from "../../antientropy/merkle-tree.ts";
import type { Env } from "../../worker/config.ts";
import { SqliteLeafSums } from "../../worker/sqlite-leaf-sums.ts";
import { SqliteStore } from "../../worker/sqlite-store.ts";
import { type StoreFixture, storeContract } from "../contract/store-suite.ts";

const { REPLICAS } = env as unknown as Env;
let objectCount = 0;

/** Runs inside a Durable Object of its own, with its SQLite. */
function inObject(use: (sql: SqlStorage) => void | Promise<void>): Promise<void> {
  const stub = REPLICAS.get(REPLICAS.idFromName(`store-${++objectCount}`));
  return runInDurableObject(stub, (_, state) => use(state.storage.sql));
}

storeContract("SQLite in a Durable Object", (use) =>
  inObject((sql) => {
    const reopen = (): SqliteStore => new SqliteStore(sql);
    const fixture: StoreFixture = { store: new SqliteStore(sql), reopen };
    return use(fixture);
  }),
);

describe("the SQLite store", () => {
  it("keeps records and hints that are larger than a row", () =>
    inObject((sql) => {
      const store = new SqliteStore(sql);
      const large = Uint8Array.from({ length: 5_000_000 }, (_, i) => (i * 31) & 255);
      const record = { partition: 1, digest: 7, dueAt: 0 };
      store.writeEntry("n\0large", { ...record, bytes: large });
      store.writeHint("r2", "n\0large", large);
      expect(sameBytes(new SqliteStore(sql).readEntry("n\0large"), large)).toBe(true);
      expect(sameBytes(new SqliteStore(sql).readHint("r2", "n\0large"), large)).toBe(true);
      store.writeEntry("n\0large", { ...record, bytes: new Uint8Array([1]) });
      store.dropHint("r2", "n\0large");
      expect(store.readEntry("n\0large")).toEqual(new Uint8Array([1]));
      expect(sql.exec("SELECT COUNT(*) AS n FROM overflow").one()).toEqual({ n: 0 });
    }));

  it("lists keys in the order of their bytes", () =>
    inObject((sql) => {
      const store = new SqliteStore(sql);
      const names = ["b", "a\0", "a", "\u{1f600}", "\u{ff5e}", "ab"];
      for (const name of names) {
        const bytes = new Uint8Array([1]);
        store.writeEntry(`n\0${name}`, { partition: 1, digest: 7, dueAt: 0, bytes });
      }
      const all = store.keysAfter("n\0", "n\0", 10).map((key) => key.slice(2));
      expect(all).toEqual(["a", "a\0", "ab", "b", "\u{ff5e}", "\u{1f600}"]);
      expect(store.keysAfter("n\0a", "n\0a", 10)).toEqual(["n\0a\0", "n\0ab"]);
      expect(store.keysAfter("n\0", "n\0a", 2)).toEqual(["n\0a\0", "n\0ab"]);
    }));

  it("reads one row for a value and writes few for a change", () =>
    inObject((sql) => {
      const store = new SqliteStore(sql);
      const bytes = new Uint8Array(100);
      const write = (): void =>
        store.writeEntry("n\0k", { partition: 1, digest: 7, dueAt: 0, bytes });
      write();
      const cursor = sql.exec("SELECT bytes FROM entries WHERE key = ?", keyOf("n\0k"));
      cursor.toArray();
      expect(cursor.rowsRead).toBe(1);
    }));

  it("keeps the sums of Merkle leaves over a restart", () =>
    inObject((sql) => {
      new SqliteStore(sql);
      const tree = { partition: 9, n: 3 };
      const digest = 2 ** 53 - 5;
      new MerkleForest(new SqliteLeafSums(sql)).update(tree, 17, { from: 0, to: digest });
      const again = new MerkleForest(new SqliteLeafSums(sql));
      expect(again.root(tree)).toBe(digest);
      again.update(tree, 17, { from: digest, to: 0 });
      expect(again.root(tree)).toBe(0);
    }));
});

/** Far faster than a deep comparison of millions of numbers. */
const sameBytes = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a?.length === b.length && a.every((byte, i) => byte === b[i]);

const keyOf = (key: string): ArrayBuffer => new TextEncoder().encode(key).buffer as ArrayBuffer;
