/**
 * What every store promises, whatever it stands on: memory, files or a Durable Object's SQLite.
 * It runs in Node and inside workerd, so it uses nothing but the language and vitest.
 */
import { describe, expect, it } from "vitest";
import { Pieces, wholeOf } from "../../core/pieces.ts";
import type { Store } from "../../core/store.ts";
import {
  bytesOf,
  entry,
  keysOf,
  live,
  nothingDead,
  plain,
  readText,
  type StoreMaker,
} from "./store-fixture.ts";
import { arrivalsContract, hintOrderContract } from "./store-orders.ts";

/** Keys that break what is built on paths, SQL text, property names or one-byte characters. */
const ODD_KEYS = [
  "demo\0__proto__",
  "demo\0a\0b",
  "demo\0../../etc/passwd",
  "demo\0😀 käse",
  "demo\0'; DROP TABLE entries; --",
  `demo\0${"k".repeat(512)}`,
  "demo\0%2F",
  "demo\0\uFFFF",
  "demo\0\u007f\u0080",
];

function entriesContract(make: StoreMaker): void {
  it("is empty and writable at first", () =>
    make(({ store }) => {
      expect(store.health()).toBe("writable");
      expect(store.readEntry("demo\0a")).toBeUndefined();
      expect(store.summary("demo\0a")).toBeUndefined();
      expect([store.digestOf("demo\0a"), store.byteCountOf("demo\0a")]).toEqual([0, 0]);
      expect(keysOf(store, 3)).toEqual([]);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: 0, byteCount: 0 });
      expect(store.recovery).toMatchObject({ tornByteCount: 0, corruptCount: 0, lostKeys: [] });
    }));

  it("shows a write to the next read", () =>
    make(({ store }) => {
      store.writeEntry("demo\0a", entry("one"));
      expect(readText(store, "demo\0a")).toBe("one");
      const digest = 2 ** 52 + 3;
      const position = store.arrivedThrough;
      const summary = { key: "demo\0a", partition: 3, digest, byteCount: 3, ...live, position };
      expect(store.summary("demo\0a")).toEqual(summary);
      expect([...store.entriesOf(3)]).toEqual([summary]);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: 1, byteCount: 3 });
    }));

  it("replaces a record, its digest and its partition", () =>
    make(({ store }) => {
      store.writeEntry("demo\0a", entry("one"));
      store.writeEntry("demo\0a", entry("three", { partition: 65_535, digest: 7 }));
      expect(readText(store, "demo\0a")).toBe("three");
      expect(store.summary("demo\0a")).toMatchObject({ partition: 65_535, digest: 7 });
      expect([store.digestOf("demo\0a"), store.digestOf("demo\0b")]).toEqual([7, 0]);
      expect([store.byteCountOf("demo\0a"), store.byteCountOf("demo\0b")]).toEqual([5, 0]);
      expect(keysOf(store, 3)).toEqual([]);
      expect(keysOf(store, 65_535)).toEqual(["demo\0a"]);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: 1, byteCount: 5 });
    }));

  it("forgets a dropped entry, and only that", () =>
    make(({ store }) => {
      store.writeEntry("demo\0a", entry("one"));
      store.writeEntry("demo\0b", entry("two"));
      store.dropEntry("demo\0a");
      store.dropEntry("demo\0never");
      expect(store.readEntry("demo\0a")).toBeUndefined();
      expect([store.digestOf("demo\0a"), store.byteCountOf("demo\0a")]).toEqual([0, 0]);
      expect(keysOf(store, 3)).toEqual(["demo\0b"]);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: 1, byteCount: 3 });
    }));

  it("keeps every odd key apart", () =>
    make(async ({ store, reopen }) => {
      for (const [i, key] of ODD_KEYS.entries()) store.writeEntry(key, entry(`value ${i}`));
      for (const [i, key] of ODD_KEYS.entries()) expect(readText(store, key)).toBe(`value ${i}`);
      const again = await reopen();
      for (const [i, key] of ODD_KEYS.entries()) expect(readText(again, key)).toBe(`value ${i}`);
      expect(keysOf(again, 3)).toEqual([...ODD_KEYS].sort());
    }));

  it("keeps empty and large bytes as they are", () =>
    make(async ({ store, reopen }) => {
      const large = new Uint8Array(5_000_000).map((_, i) => (i * 31) ^ (i >> 8));
      store.writeEntry("demo\0large", entry("", { bytes: large.slice() }));
      store.writeEntry("demo\0empty", entry(""));
      const same = (store: Store): boolean => {
        const found = store.readEntry("demo\0large");
        const bytes = found && wholeOf(found);
        return bytes?.length === large.length && bytes.every((byte, i) => byte === large[i]);
      };
      expect(same(store)).toBe(true);
      expect(plain(store.readEntry("demo\0empty"))).toEqual([]);
      const again = await reopen();
      expect(same(again)).toBe(true);
      expect(plain(again.readEntry("demo\0empty"))).toEqual([]);
    }));

  it("keeps bytes in pieces as if they were in one", () =>
    make(async ({ store, reopen }) => {
      const parts = [10, 100_000, 7, 300_000].map((length, i) =>
        new Uint8Array(length).fill(i + 1),
      );
      const some = [2, 3, 4].map((count) => new Pieces(parts.slice(0, count)));
      for (const [i, bytes] of some.entries()) store.writeEntry(`demo\0${i}`, entry("", { bytes }));
      const areSame = (store: Store): readonly boolean[] =>
        some.map((bytes, i) => {
          const found = store.readEntry(`demo\0${i}`);
          return found !== undefined && Buffer.compare(wholeOf(found), bytes.whole()) === 0;
        });
      expect(some.map((_, i) => store.byteCountOf(`demo\0${i}`))).toEqual([
        100_010, 100_017, 400_017,
      ]);
      expect(areSame(store)).toEqual([true, true, true]);
      expect(areSame(await reopen())).toEqual([true, true, true]);
    }));
}

function orderContract(make: StoreMaker): void {
  it("may be written while a partition is iterated", () =>
    make(({ store }) => {
      for (let i = 0; i < 100; i++) store.writeEntry(`demo\0${i}`, entry("x"));
      const seen: string[] = [];
      for (const { key } of store.entriesOf(3)) {
        seen.push(key);
        store.dropEntry(key);
        store.writeEntry(`other\0${key.slice(5)}`, entry("y", { partition: 4 }));
      }
      expect(seen.toSorted()).toEqual(Array.from({ length: 100 }, (_, i) => `demo\0${i}`).sort());
      expect(keysOf(store, 3)).toEqual([]);
      expect(keysOf(store, 4)).toHaveLength(100);
    }));

  it("lists what is due, earliest first, and nothing else", () =>
    make(async ({ store, reopen }) => {
      store.writeEntry("demo\0late", entry("x", { dueAt: 1_900_000_000_300 }));
      store.writeEntry("demo\0early", entry("x", { dueAt: 1_900_000_000_100 }));
      store.writeEntry("demo\0middle", entry("x", { dueAt: 1_900_000_000_200 }));
      store.writeEntry("demo\0never", entry("x"));
      store.writeEntry("demo\0changed", entry("x", { dueAt: 1 }));
      store.writeEntry("demo\0changed", entry("x"));
      store.writeEntry("demo\0dropped", entry("x", { dueAt: 2 }));
      store.dropEntry("demo\0dropped");
      const expectDue = (store: Store): void => {
        expect(store.due(1_900_000_000_099, 10)).toEqual([]);
        expect(store.due(1_900_000_000_200, 10)).toEqual(["demo\0early", "demo\0middle"]);
        expect(store.due(2e12, 2)).toEqual(["demo\0early", "demo\0middle"]);
        expect(store.due(2e12, 10)).toEqual(["demo\0early", "demo\0middle", "demo\0late"]);
        expect(store.earliestDue()).toBe(1_900_000_000_100);
      };
      expect(store.earliestDue()).toBe(1_900_000_000_100);
      expectDue(store);
      expectDue(store);
      expectDue(await reopen());
    }));

  it("says when the first is due, whatever became of those before it", () =>
    make(({ store }) => {
      expect(store.earliestDue()).toBe(Infinity);
      store.writeEntry("demo\0never", entry("x"));
      expect(store.earliestDue()).toBe(Infinity);
      store.writeEntry("demo\0a", entry("x", { dueAt: 1000.75 }));
      store.writeEntry("demo\0b", entry("x", { dueAt: 2000 }));
      expect(store.earliestDue()).toBe(1000.75);
      store.dropEntry("demo\0a");
      expect(store.earliestDue()).toBe(2000);
      store.writeEntry("demo\0b", entry("y", { dueAt: 3000 }));
      expect(store.earliestDue()).toBe(3000);
      store.writeEntry("demo\0b", entry("z"));
      expect(store.earliestDue()).toBe(Infinity);
    }));

  it("lists what was put off later, until it is written again", () =>
    make(({ store }) => {
      store.writeEntry("demo\0a", entry("x", { dueAt: 1_900_000_000_100.75 }));
      store.writeEntry("demo\0b", entry("x", { dueAt: 1_900_000_000_200 }));
      store.postpone("demo\0a", 1_900_000_000_300);
      store.postpone("demo\0nothing", 1_900_000_000_300);
      expect(store.due(1_900_000_000_200, 1)).toEqual(["demo\0b"]);
      expect(store.summary("demo\0a")).toMatchObject({ holdsValue: false });
      expect(store.due(1_900_000_000_301, 10).toSorted()).toEqual(["demo\0a", "demo\0b"]);
      store.postpone("demo\0a", 1_900_000_000_900);
      store.writeEntry("demo\0a", entry("y", { dueAt: 1_900_000_000_150 }));
      expect(store.due(1_900_000_000_160, 10)).toEqual(["demo\0a"]);
      store.postpone("demo\0a", 1_900_000_000_900);
      store.dropEntry("demo\0a");
      store.writeEntry("demo\0a", entry("z", { dueAt: 1_900_000_000_150 }));
      expect(store.due(1_900_000_000_160, 10)).toEqual(["demo\0a"]);
    }));

  it("tells the dead, and their bytes, from what has a body", () =>
    make(async ({ store, reopen }) => {
      store.writeEntry("a\0value", entry("12345"));
      store.writeEntry("a\0ends", entry("123", { dueAt: 7000.25 }));
      store.writeEntry("b\0gone", entry("1234567", { dueAt: 7000.5 }));
      store.writeEntry("b\0loose", entry("12", { dueAt: 7000.75 }));
      const stats = { keyCount: 4, byteCount: 17, deadKeyCount: 2, deadByteCount: 9 };
      expect(store.stats()).toEqual(stats);
      const again = await reopen();
      expect(again.stats()).toEqual(stats);
      again.writeEntry("b\0loose", entry("back"));
      again.dropEntry("b\0gone");
      expect(again.stats()).toEqual({ ...nothingDead, keyCount: 3, byteCount: 12 });
    }));
}

function hintsContract(make: StoreMaker): void {
  it("keeps hints apart from entries and from each other's targets", () =>
    make(({ store }) => {
      store.writeEntry("demo\0a", entry("entry"));
      store.writeHint("r2", "demo\0a", bytesOf("for r2"));
      store.writeHint("r3", "demo\0a", bytesOf("for r3"));
      expect(plain(store.readHint("r2", "demo\0a"))).toEqual(plain(bytesOf("for r2")));
      expect(plain(store.readHint("r3", "demo\0a"))).toEqual(plain(bytesOf("for r3")));
      expect(store.readHint("r4", "demo\0a")).toBeUndefined();
      expect(store.hintTargets("demo\0a").toSorted()).toEqual(["r2", "r3"]);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: 1, byteCount: 5 });
      store.dropHint("r2", "demo\0a");
      store.dropHint("r9", "demo\0a");
      expect(store.readHint("r2", "demo\0a")).toBeUndefined();
      expect(new Map(store.hintCounts())).toEqual(new Map([["r3", 1]]));
      expect(readText(store, "demo\0a")).toBe("entry");
    }));

  it("lists a target's hints, oldest first", () =>
    make(async ({ store, reopen }) => {
      for (let i = 9; i >= 0; i--) store.writeHint("r2", `demo\0${i}`, bytesOf(`${i}`));
      store.dropHint("r2", "demo\x008");
      const expectHints = (store: Store): void => {
        expect(store.hintedKeys("r2", 3)).toEqual(["demo\x009", "demo\x007", "demo\x006"]);
        expect(store.hintedKeys("r2", 100)).toHaveLength(9);
        expect(store.hintedKeys("r3", 100)).toEqual([]);
        expect(new Map(store.hintCounts())).toEqual(new Map([["r2", 9]]));
      };
      expectHints(store);
      expectHints(await reopen());
    }));
}

function reopenContract(make: StoreMaker): void {
  it("keeps and replaces meta documents", () =>
    make(async ({ store, reopen }) => {
      expect(store.readMeta("actor")).toBeUndefined();
      store.writeMeta("actor", bytesOf("one"));
      store.writeMeta("cluster", bytesOf("two"));
      store.writeMeta("actor", bytesOf("three"));
      expect(plain(store.readMeta("actor"))).toEqual(plain(bytesOf("three")));
      const again = await reopen();
      expect(plain(again.readMeta("actor"))).toEqual(plain(bytesOf("three")));
      expect(plain(again.readMeta("cluster"))).toEqual(plain(bytesOf("two")));
    }));

  it("agrees with a plain Map over a long random run with restarts", () =>
    make(async (fixture) => {
      let store = fixture.store;
      const model = new Map<string, string>();
      let state = 12345;
      const below = (bound: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % bound;
      };
      for (let step = 0; step < 3000; step++) {
        const key = `demo\0${below(60)}`;
        if (below(4) === 0) {
          store.dropEntry(key);
          model.delete(key);
        } else {
          const text = `${step} ${"x".repeat(below(300))}`;
          store.writeEntry(key, entry(text, { partition: below(8), dueAt: below(2) * step }));
          model.set(key, text);
        }
        if (step === 1500) store = await fixture.reopen();
      }
      for (let i = 0; i < 60; i++) {
        expect(readText(store, `demo\0${i}`)).toBe(model.get(`demo\0${i}`));
      }
      const all = Array.from({ length: 8 }, (_, partition) => keysOf(store, partition)).flat();
      expect(all.sort()).toEqual([...model.keys()].sort());
      const byteCount = [...model.values()].reduce((sum, text) => sum + text.length, 0);
      expect(store.stats()).toEqual({ ...nothingDead, keyCount: model.size, byteCount });
    }));

  it("counts by namespace what values take up, tombstones left out", () =>
    make(async (fixture) => {
      const { store } = fixture;
      const usage = (of: Store): object => Object.fromEntries(of.usage());
      expect(usage(store)).toEqual({});
      store.writeEntry("a\0one", entry("12345"));
      store.writeEntry("a\0two", entry("123", { dueAt: 7000 }));
      store.writeEntry("b\0one", entry("1"));
      store.writeEntry("b\0gone", entry("1", { dueAt: 7000.5 }));
      const both = { a: { keyCount: 2, byteCount: 18 }, b: { keyCount: 1, byteCount: 6 } };
      expect(usage(store)).toEqual(both);
      store.writeEntry("a\0one", entry("1234567"));
      store.writeEntry("a\0two", entry("tombstone", { dueAt: 8000.5 }));
      store.dropEntry("b\0one");
      const less = { a: { keyCount: 1, byteCount: 12 } };
      expect(usage(store)).toEqual(less);
      const again = await fixture.reopen();
      expect(usage(again)).toEqual(less);
      again.writeEntry("a\0two", entry("back", { dueAt: 0 }));
      expect(usage(again)).toEqual({ a: { keyCount: 2, byteCount: 21 } });
      again.dropEntry("a\0one");
      again.dropEntry("a\0two");
      again.dropEntry("b\0gone");
      expect(usage(again)).toEqual({});
      expect(again.stats()).toEqual({ ...nothingDead, keyCount: 0, byteCount: 0 });
    }));
}

/** Registers the suite for one implementation. */
export function storeContract(name: string, make: StoreMaker): void {
  describe(`store contract: ${name}`, () => {
    entriesContract(make);
    orderContract(make);
    arrivalsContract(make);
    hintsContract(make);
    hintOrderContract(make);
    reopenContract(make);
  });
}
