import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DueHeap } from "../../replica/due-heap.ts";
import { IndexTable } from "../../replica/index-table.ts";
import { NO_SLOT } from "../../replica/key-map.ts";

const row = (list: number, dueAt: number, bodyByteCount: number) => ({
  segment: 4_000_000_000,
  offset: 4_000_000_001,
  keyByteCount: 3,
  bodyByteCount,
  list,
  digest: 2 ** 53 - 1,
  dueAt,
  position: 0,
});

interface Step {
  readonly key: string;
  readonly list: number;
  readonly dueAt: number;
  readonly remove: boolean;
}
type Steps = readonly Step[];

const operations: fc.Arbitrary<Steps> = fc.array(
  fc.record({
    key: fc.integer({ min: 0, max: 30 }).map((i) => `k${i}`),
    list: fc.integer({ min: 0, max: 3 }),
    dueAt: fc.integer({ min: 0, max: 20 }),
    remove: fc.boolean(),
  }),
  { maxLength: 300 },
);

type Model = Map<string, { list: number; dueAt: number; size: number }>;

/** The same steps on the table and on a plain Map, in whose order the lists are. */
function play(steps: Steps): { table: IndexTable; model: Model } {
  const table = new IndexTable(7);
  const model: Model = new Map();
  for (const [size, { key, list, dueAt, remove }] of steps.entries()) {
    const slot = table.find(key);
    expect(slot !== NO_SLOT).toBe(model.has(key));
    if (remove) {
      if (slot !== NO_SLOT) table.remove(slot);
      model.delete(key);
      continue;
    }
    if (slot === NO_SLOT) table.insert(key, row(list, dueAt, size));
    else table.replace(slot, row(list, dueAt, size));
    // A key that changes its list goes to the end of the new one.
    if (model.get(key)?.list !== list) model.delete(key);
    model.set(key, { list, dueAt, size });
  }
  return { table, model };
}

describe("IndexTable", () => {
  it("agrees with a plain Map, lists in order of first insertion, due in order of time", () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const { table, model } = play(steps);
        expect(table.count).toBe(model.size);
        const sizes = [...model.values()].reduce((sum, { size }) => sum + size, 0);
        expect(table.bodyByteCount).toBe(sizes);
        for (let list = 0; list < 4; list++) {
          const keys = Array.from(table.listSlots(list), (slot) => table.keyOf(slot));
          expect(keys).toEqual([...model].filter(([, v]) => v.list === list).map(([k]) => k));
        }
        const due = table.due(10, 1000).map((key) => model.get(key)?.dueAt ?? 0);
        const expected = [...model.values()].map(({ dueAt }) => dueAt);
        const inOrder = expected.filter((at) => at > 0 && at <= 10).sort((a, b) => a - b);
        expect(due).toEqual(inOrder);
        expect(table.due(10, 3)).toHaveLength(Math.min(3, inOrder.length));
      }),
    );
  });

  it("finds every key of many that come and go, in any order", () => {
    const table = new IndexTable(99);
    table.reserve(3000);
    const there = new Set<number>();
    for (let i = 0; i < 60_000; i++) {
      const number = Math.imul(i, 2_654_435_761) >>> 18;
      const slot = table.find(`key ${number}`);
      expect(slot !== NO_SLOT).toBe(there.has(number));
      if (slot === NO_SLOT) table.insert(`key ${number}`, row(1, 0, 1));
      else if (i % 3 === 0) table.remove(slot);
      if (slot === NO_SLOT) there.add(number);
      else if (i % 3 === 0) there.delete(number);
    }
    for (let number = 0; number < 2 ** 14; number++) {
      const slot = table.find(`key ${number}`);
      expect(slot !== NO_SLOT && table.keyOf(slot) === `key ${number}`).toBe(there.has(number));
    }
    expect(table.count).toBe(there.size);
  });

  it("keeps numbers of 32 and 53 bits", () => {
    const table = new IndexTable(7);
    const slot = table.insert("key", row(65_535, 1_900_000_000_000, 4_000_000_002));
    expect(table.row(slot)).toEqual(row(65_535, 1_900_000_000_000, 4_000_000_002));
    expect(table.isAt(slot, 4_000_000_000, 4_000_000_001)).toBe(true);
    expect(table.isAt(slot, 4_000_000_000, 4_000_000_002)).toBe(false);
  });
});

describe("DueHeap", () => {
  it("is a priority queue whose members can be moved and removed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(40), fc.nat(50)), { maxLength: 400 }), (steps) => {
        const heap = new DueHeap();
        const model = new Map<number, number>();
        for (const [slot, dueAt] of steps) {
          if (dueAt === 0) heap.remove(slot);
          else heap.set(slot, dueAt);
          if (dueAt === 0) model.delete(slot);
          else model.set(slot, dueAt);
        }
        expect(heap.size).toBe(model.size);
        for (const [slot, dueAt] of model) expect(heap.dueAt(slot)).toBe(dueAt);
        const first = heap.first(25, 10).map((slot) => model.get(slot));
        const all = [...model.values()].filter((at) => at <= 25).sort((a, b) => a - b);
        expect(first).toEqual(all.slice(0, 10));
        expect(heap.size).toBe(model.size);
      }),
    );
  });
});
