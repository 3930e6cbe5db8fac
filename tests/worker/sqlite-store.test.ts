import { describe, expect, it } from "vitest";
import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import type { Content } from "../../core/entry.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { Prng } from "../../core/prng.ts";
import { Keeper } from "../../replica/keeper.ts";
import type { Place } from "../../replica/keeper-parts.ts";
import { SqliteLeafSums } from "../../worker/sqlite-leaf-sums.ts";
import type { Sql } from "../../worker/sqlite-rows.ts";
import { SqliteStore } from "../../worker/sqlite-store.ts";
import type { StoreFixture } from "../contract/store-fixture.ts";
import { storeContract } from "../contract/store-suite.ts";
import { inObject, metered, writeRecord as write } from "./support.ts";

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

  it("bills one row for a read and few for a write", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const store = new SqliteStore(sql);
      for (let i = 0; i < 50; i++) write(store, `n\0other ${i}`, { byteCount: 100 });
      take();
      write(store, "n\0k", { byteCount: 100 });
      expect(take().written).toBe(3); // the record, its place in two indexes
      write(store, "n\0k", { byteCount: 100 });
      expect(take()).toEqual({ read: 1, written: 2 });
      write(store, "n\0k", { byteCount: 200 });
      expect(take()).toEqual({ read: 1, written: 2 });
      write(store, "n\0k", { byteCount: 200, dueAt: 1000 });
      expect(take().written).toBeLessThanOrEqual(4);
      store.readEntry("n\0k");
      expect(take()).toEqual({ read: 0, written: 0 });
      expect(store.hintTargets("n\0k")).toEqual([]);
      expect(take()).toEqual({ read: 0, written: 0 });
      expect(store.stats()).toMatchObject({ keyCount: 51, byteCount: 5200 });
      expect(take()).toEqual({ read: 0, written: 0 });
    }));

  it("reads a record once, whatever is asked of it, and again when it is not of lately", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const before = new SqliteStore(sql);
      write(before, "n\0small", { byteCount: 100 });
      write(before, "n\0large", { byteCount: 1_000_000 });
      write(before, "n\0other", { byteCount: 1_000_000 });
      const store = new SqliteStore(sql);
      for (const key of ["n\0small", "n\0other", "n\0large"]) {
        const summary = before.summary(key);
        take();
        const bytes = store.readEntry(key);
        expect(store.summary(key)).toEqual(summary);
        expect(take()).toEqual({ read: 1, written: 0 });
        expect(store.readEntry(key)).toEqual(bytes);
        expect(take()).toEqual({ read: 0, written: 0 });
      }
      // Of long ones the last is kept.
      store.readEntry("n\0other");
      expect(take()).toEqual({ read: 1, written: 0 });
      expect(store.readEntry("n\0none")).toBeUndefined();
      expect(store.summary("n\0none")).toBeUndefined();
      write(store, "n\0none", { byteCount: 100 });
      expect(store.readEntry("n\0none")).toEqual(new Uint8Array(100));
      store.dropEntry("n\0none");
      expect(store.readEntry("n\0none")).toBeUndefined();
      expect(store.summary("n\0none")).toBeUndefined();
    }));

  it("bills a replica for what a read or a write is billed", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const keeper = keeperOn(sql, { partition: 1, n: 3, leaf: 2 });
      const mint = { op: "op", ttlMs: 0, covers: null, isRetry: false, hintFor: null } as const;
      const put = (value: string, more: { ttlMs?: number; hintFor?: string } = {}): void => {
        const request = { ...mint, key: "n\0k", content: contentOf(value), ...more };
        keeper.keepMinted("n\0k", request.hintFor, keeper.mint(request, Date.now()));
      };
      take();
      put("one");
      expect(take().written).toBe(4); // the record, two indexes, a leaf's sum
      keeper.hold("n\0k");
      expect(take()).toEqual({ read: 0, written: 0 });
      put("two");
      expect(take().written).toBe(3);
      put("six", { ttlMs: 60_000 });
      expect(take().written).toBeLessThanOrEqual(5);
      put("hint", { hintFor: "r2" });
      expect(take().written).toBe(3);
    }));

  it("does not read other partitions, nor all hints, to find its own", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const store = new SqliteStore(sql);
      for (let i = 0; i < 1200; i++) write(store, `n\0${i}`, { partition: i % 2 });
      for (let i = 0; i < 300; i++) store.writeHint("r2", `n\0${i}`, new Uint8Array([1]));
      take();
      expect([...store.entriesOf(1)]).toHaveLength(600);
      expect(take().read).toBeLessThanOrEqual(1300);
      expect(store.hintedKeys("r2", 10)).toHaveLength(10);
      expect(take().read).toBeLessThanOrEqual(20);
      store.readHint("r2", "n\x007");
      expect(take().read).toBeLessThanOrEqual(2);
      expect(store.due(Date.now(), 10)).toEqual([]);
      expect(take().read).toBeLessThanOrEqual(1);
    }));

  it("refuses a newer version's storage by a line, and leaves it as it is", () =>
    inObject((sql) => {
      sql.exec("CREATE TABLE meta (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID");
      const mark = new TextEncoder().encode("2 g").buffer;
      sql.exec("INSERT INTO meta (name, bytes) VALUES ('format', ?)", mark);
      const tables = (): unknown => sql.exec("SELECT name, sql FROM sqlite_master").toArray();
      const before = tables();
      const mend = "deploy the newer version of the Worker again";
      expect(() => new SqliteStore(sql)).toThrow(
        `the storage has format 2; this version reads format 1: ${mend}`,
      );
      expect(tables()).toEqual(before);
    }));

  it("is full above its size, and takes writes again when there is room", () =>
    inObject((sql) => {
      const byteCountMax = sql.databaseSize + 3_000_000;
      const store = new SqliteStore(sql, { byteCountMax });
      let count = 0;
      while (store.health() === "writable" && count < 20) {
        write(store, `n\0${count++}`, { byteCount: 500_000 });
      }
      expect(store.health()).toBe("full");
      expect(count).toBeGreaterThan(3);
      expect(new SqliteStore(sql, { byteCountMax }).health()).toBe("full");
      expect(store.readEntry("n\x000")).toHaveLength(500_000);
      for (let i = 0; i < 3; i++) store.dropEntry(`n\0${i}`);
      expect(store.health()).toBe("writable");
    }));

  it("knows its own past, and forgets it when the operator says so", () =>
    inObject((sql) => {
      const isClean = (generation?: string): boolean =>
        new SqliteStore(sql, generation === undefined ? {} : { generation }).recovery.clean;
      expect(isClean()).toBe(false);
      expect(isClean()).toBe(true);
      expect(isClean("restored on Monday")).toBe(false);
      expect(isClean("restored on Monday")).toBe(true);
    }));

  it("refuses storage of a format that it does not know", () =>
    inObject((sql) => {
      new SqliteStore(sql).writeMeta("format", new TextEncoder().encode("2 "));
      expect(() => new SqliteStore(sql)).toThrow("format 2");
    }));

  it("gives an order, once, to what was stored before there was one", () =>
    inObject((sql) => {
      const before = new SqliteStore(sql);
      for (const name of ["b", "a"]) write(before, `n\0${name}`, { byteCount: 5 });
      sql.exec("DROP INDEX entries_position");
      sql.exec("ALTER TABLE entries DROP COLUMN position");
      const store = new SqliteStore(sql);
      write(store, "n\0b", { byteCount: 6 });
      const order = (of: SqliteStore) => of.arrivals(0, 9).map(({ key }) => key);
      expect(order(store)).toEqual(["n\0a", "n\0b"]);
      expect(order(new SqliteStore(sql))).toEqual(["n\0a", "n\0b"]);
    }));

  // docs/deploy.md says so; a leaf's sum is one more.
  it("writes two rows to forget a key that had a deadline", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const store = new SqliteStore(sql);
      for (const name of ["a", "b"]) write(store, `n\0${name}`, { byteCount: 100, dueAt: 1000.25 });
      take();
      store.postpone("n\0a", 5000);
      expect(take()).toEqual({ read: 0, written: 0 });
      store.dropEntry("n\0a");
      expect(take().written).toBe(2);
    }));

  it("finds what is due earliest", () =>
    inObject((sql) => {
      const store = new SqliteStore(sql);
      expect(store.earliestDue()).toBe(Infinity);
      write(store, "n\0a", {});
      write(store, "n\0b", { dueAt: 2000 });
      write(store, "n\0c", { dueAt: 1000 });
      expect(store.earliestDue()).toBe(1000);
      store.dropEntry("n\0c");
      expect(store.earliestDue()).toBe(2000);
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

  it("adds to a leaf's sum in one statement, as exactly as in memory", () =>
    inObject((sql) => {
      let statementCount = 0;
      const exec = ((query: string, ...bindings: unknown[]) => {
        statementCount++;
        return sql.exec(query, ...bindings);
      }) as Sql["exec"];
      const prng = new Prng([1, 2, 3, 4]);
      const tree = { partition: 9, n: 3 };
      const inMemory = new MerkleForest(new MemoryLeafSums());
      const digest = (): number => prng.below(2 ** 26) * 2 ** 27 + prng.below(2 ** 27);
      const updateAll = (stored: MerkleForest): void => {
        for (let i = 0; i < 300; i++) {
          const change = { from: digest(), to: digest() };
          for (const forest of [inMemory, stored]) forest.update(tree, i % 7, change);
        }
        expect(stored.leavesOf(tree, 0)).toEqual(inMemory.leavesOf(tree, 0));
      };
      const unread = new MerkleForest(new SqliteLeafSums({ exec, databaseSize: 0 }));
      statementCount = 0;
      for (let i = 0; i < 9; i++) {
        for (const forest of [inMemory, unread]) forest.update(tree, i % 3, { from: 0, to: 5 });
      }
      expect(statementCount).toBe(9);
      updateAll(unread);
      updateAll(new MerkleForest(new SqliteLeafSums(sql)));
    }));
});

function keeperOn(sql: Sql, place: Place): Keeper {
  const store = new SqliteStore(sql);
  const forest = new MerkleForest(new SqliteLeafSums(sql));
  return new Keeper({
    store,
    hash: new KeyedHash(new Uint8Array(16)),
    prng: new Prng([1, 2, 3, 4]),
    placeOf: () => place,
    partitionCount: () => 256,
    onChange: (at, change) => forest.update(at, at.leaf, change),
  });
}

function contentOf(text: string): Content {
  const none = { contentEncoding: null, contentLanguage: null, contentDisposition: null };
  const value = new TextEncoder().encode(text);
  return { ...none, value, contentType: "text/plain", metadata: null, tags: [] };
}

/** Far faster than a deep comparison of millions of numbers. */
const sameBytes = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a?.length === b.length && a.every((byte, i) => byte === b[i]);
