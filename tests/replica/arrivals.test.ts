import { beforeEach, describe, expect, it } from "vitest";
import type { Entry } from "../../core/entry.ts";
import { Prng } from "../../core/prng.ts";
import { Arrivals } from "../../replica/arrivals.ts";
import { MemoryStore } from "../../replica/memory-store.ts";

const KEY = "demo\0k";
const NOW = 50_000;
/** A value that is over, and one that its record has no body of. */
const WITH_BODY = 1000;
const WITHOUT_BODY = 1000.5;

let store: MemoryStore;

/** As the next process finds it. */
const reopened = (): Arrivals => new Arrivals(store, new Prng([1, 2, 3, 4]));

/** An entry of versions that are over since then; 0: one that is a delete. */
const entryOf = (...ends: readonly number[]): Entry =>
  ({ siblings: ends.map((expiresAt) => ({ expiresAt })) }) as unknown as Entry;

function arrive(dueAt: number): number {
  store.writeEntry(KEY, { bytes: new Uint8Array(1), partition: 0, digest: 1, dueAt });
  return store.arrivedThrough;
}

describe("what readers are to know of a key that is collected", () => {
  let arrivals: Arrivals;
  beforeEach(() => {
    store = new MemoryStore();
    arrivals = reopened();
  });
  const known = (): unknown => [
    arrivals.floorOf("demo"),
    arrivals.endedAfter(0)?.map(({ toldFrom }) => toldFrom),
  ];

  it("is that its delete may be missing", () => {
    const position = arrive(WITHOUT_BODY);
    arrivals.collecting(KEY, entryOf(0), NOW);
    expect(known()).toEqual([position, []]);
  });

  it("is that it is over, for those who have not come as far", () => {
    const position = arrive(WITHOUT_BODY);
    arrivals.collecting(KEY, entryOf(700, 900), NOW);
    expect(known()).toEqual([0, [position]]);
  });

  it("is that it is over, for everybody, if it still had a body", () => {
    arrive(WITH_BODY);
    arrivals.collecting(KEY, entryOf(900), NOW);
    expect(known()).toEqual([0, [Infinity]]);
  });

  it("is both, if a body was beside a delete", () => {
    const position = arrive(WITH_BODY);
    arrivals.collecting(KEY, entryOf(0, 900), NOW);
    expect(known()).toEqual([position, [Infinity]]);
  });
});

describe("the count of keys that ended", () => {
  beforeEach(() => {
    store = new MemoryStore();
  });

  it("is never less after a crash than what was dropped", () => {
    const arrivals = reopened();
    const before = arrivals.endedCount;
    arrivals.releasing(KEY, NOW);
    // The drop comes behind whatever is stored by now.
    expect(reopened().endedAfter(before)).toBeNull();
    arrivals.settle();
    expect(reopened().endedCount).toBe(before + 1);
  });

  it("is stored a few times for many keys", () => {
    let writeCount = 0;
    const { writeMeta } = store;
    store.writeMeta = (name, bytes) => {
      writeCount++;
      writeMeta.call(store, name, bytes);
    };
    const arrivals = reopened();
    for (let i = 0; i < 3000; i++) arrivals.releasing(`demo\0${i}`, NOW);
    arrivals.settle();
    expect(writeCount).toBeLessThan(8);
    expect(reopened().endedCount).toBe(3000);
  });
});
