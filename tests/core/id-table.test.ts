import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IdTable } from "../../core/id-table.ts";

describe("IdTable", () => {
  it("is a map of numbers that only grow, whatever stays open for how long", () => {
    const step = fc.record({ skip: fc.integer({ min: 1, max: 600 }), close: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = new IdTable<string>();
        const model = new Map<number, string>();
        let id = 0;
        for (const { skip, close } of steps) {
          id += skip;
          table.add(id, `item ${id}`);
          model.set(id, `item ${id}`);
          const closing = [...model.keys()][close];
          if (closing !== undefined) {
            expect(table.delete(closing)).toBe(true);
            expect(table.delete(closing)).toBe(false);
            model.delete(closing);
          }
          expect(table.size).toBe(model.size);
        }
        for (let known = 0; known <= id; known++) expect(table.get(known)).toBe(model.get(known));
        expect([...table.values()].sort()).toEqual([...model.values()].sort());
      }),
      { numRuns: 50 },
    );
  });
});
