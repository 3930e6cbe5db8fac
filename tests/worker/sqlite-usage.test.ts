/** The totals of a replica in its Durable Object, over starts, and what they cost. */
import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import type { Sql } from "../../worker/sqlite-rows.ts";
import { SqliteStore } from "../../worker/sqlite-store.ts";
import { SqliteUsage } from "../../worker/sqlite-usage.ts";
import { inObject, type Meter, metered, writeRecord as write } from "./support.ts";

/** Rows that a start reads to know the totals. */
function readAtStart(store: SqliteStore, sql: Sql, take: Meter["take"]): number {
  take();
  const { totals } = new SqliteUsage(sql, { last: store.arrivedThrough });
  expect(totals).toEqual(store.stats());
  return take().read;
}

describe("the totals of an object", () => {
  it("knows its totals at each start, whatever was written since they were kept", () =>
    inObject((sql) => {
      const shown = (of: SqliteStore) => [of.stats(), new Map([...of.usage()].sort())];
      const prng = Prng.fromSeed(7);
      let store = new SqliteStore(sql);
      const reopen = (): void => {
        const before = shown(store);
        store = new SqliteStore(sql);
        expect(shown(store)).toEqual(before);
      };
      for (let i = 0; i < 3000; i++) {
        const key = `${prng.below(3)}\0${prng.below(3)}`;
        const [choice, byteCount] = [prng.below(20), 1 + prng.below(50)];
        const dueAt = [0, 1000, 1000.5][prng.below(3)] ?? 0;
        if (choice < 10) write(store, key, { byteCount, dueAt });
        else if (choice < 16) store.dropEntry(key);
        else if (choice < 18) store.keepTotals();
        else reopen();
      }
      const rows = sql.exec("SELECT COUNT(*) AS n, SUM(byte_count) AS bytes FROM entries").one();
      const { keyCount, byteCount } = store.stats();
      expect({ n: keyCount, bytes: byteCount }).toEqual(rows);
    }));

  it("keeps its totals with a few rows, and by itself before there is much to read", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const store = new SqliteStore(sql);
      for (let i = 0; i < 20; i++) write(store, `a\0${i}`, { byteCount: 9 });
      write(store, "b\0k", { byteCount: 9 });
      take();
      store.keepTotals();
      expect(take().written).toBe(2); // two namespaces
      store.keepTotals();
      expect(take()).toEqual({ read: 0, written: 0 });
      for (let i = 0; i < 12_000; i++) write(store, `b\0${i}`, { byteCount: 9 });
      expect(readAtStart(store, sql, take)).toBeLessThan(5000);
    }));

  it("has little to read at a start also where something is dropped after each write", () =>
    inObject((real) => {
      const { sql, take } = metered(real);
      const store = new SqliteStore(sql);
      for (let i = 0; i < 6000; i++) {
        write(store, "n\0dropped", { byteCount: 9 });
        write(store, `n\0${i}`, { byteCount: 9 });
        store.dropEntry("n\0dropped");
        if (i % 100 === 0) store.keepTotals();
      }
      expect(readAtStart(store, sql, take)).toBeLessThan(2000);
    }));

  it("counts once what was stored before namespaces were counted", () =>
    inObject((sql) => {
      const before = new SqliteStore(sql);
      write(before, "n\0k", { byteCount: 200 });
      write(before, "m\0😀", { byteCount: 5 });
      write(before, "n\0gone", { byteCount: 9, dueAt: 1000.5 });
      const expected = [before.stats(), Object.fromEntries(before.usage())];
      sql.exec("DROP TABLE usage");
      sql.exec("CREATE TABLE totals (id INTEGER)");
      for (let i = 0; i < 2; i++) {
        const store = new SqliteStore(sql);
        expect([store.stats(), Object.fromEntries(store.usage())]).toEqual(expected);
      }
    }));

  it("counts once what was stored before the dead were counted", () =>
    inObject((sql) => {
      const before = new SqliteStore(sql);
      write(before, "n\0k", { byteCount: 200 });
      write(before, "n\0gone", { byteCount: 9, dueAt: 1000.5 });
      const expected = [before.stats(), Object.fromEntries(before.usage())];
      sql.exec("ALTER TABLE usage DROP COLUMN dead_bytes");
      for (let i = 0; i < 2; i++) {
        const store = new SqliteStore(sql);
        expect([store.stats(), Object.fromEntries(store.usage())]).toEqual(expected);
      }
      expect(before.stats()).toMatchObject({ deadKeyCount: 1, deadByteCount: 9 });
    }));

  it("takes over totals of before they were kept now and then", () =>
    inObject((sql) => {
      const before = new SqliteStore(sql);
      write(before, "n\0k", { byteCount: 200 });
      write(before, "n\0gone", { byteCount: 9, dueAt: 1000.5 });
      write(before, "n\0k", { byteCount: 300 });
      before.keepTotals();
      const expected = [before.stats(), Object.fromEntries(before.usage())];
      for (const column of ["through", "counted"]) {
        sql.exec(`ALTER TABLE usage DROP COLUMN ${column}`);
      }
      for (const column of ["was_bytes", "was_due"]) {
        sql.exec(`ALTER TABLE entries DROP COLUMN ${column}`);
      }
      const store = new SqliteStore(sql);
      expect([store.stats(), Object.fromEntries(store.usage())]).toEqual(expected);
      write(store, "n\0k", { byteCount: 5 });
      write(store, "n\0k", { byteCount: 6 });
      expect(new SqliteStore(sql).stats()).toEqual(store.stats());
      expect(store.stats()).toMatchObject({ keyCount: 2, byteCount: 15 });
    }));
});
