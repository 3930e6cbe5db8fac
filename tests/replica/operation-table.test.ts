import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_ROW, OperationTable } from "../../replica/operation-table.ts";

const dotOf = (counter: number) => ({ actor: `actor${counter % 7}`, counter });

describe("a table of operations", () => {
  it("is a map, however it grows, and empty again when it was cleared", () => {
    const ops = fc.uniqueArray(fc.string({ maxLength: 12 }), { maxLength: 1200, size: "max" });
    fc.assert(
      fc.property(fc.array(ops, { minLength: 1, maxLength: 3 }), (rounds) => {
        const table = new OperationTable();
        for (const round of rounds) {
          for (const [i, op] of round.entries()) table.add(op, dotOf(i + 1), 2 ** 50 + i);
          expect(table.size).toBe(round.length);
          for (const [i, op] of round.entries()) {
            const row = table.rowOf(op);
            expect([table.dotAt(row), table.timeAt(row)]).toEqual([dotOf(i + 1), 2 ** 50 + i]);
          }
          expect(table.rowOf("none of these operations")).toBe(NO_ROW);
          table.clear();
          for (const op of round) expect(table.rowOf(op)).toBe(NO_ROW);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("tells two apart whose hashes are the same", () => {
    const [one, other] = ["operation 2ya8", "operation zki6"];
    const table = new OperationTable();
    table.add(one, dotOf(1), 1);
    expect(table.rowOf(other)).toBe(NO_ROW);
    table.add(other, dotOf(2), 2);
    expect([one, other].map((op) => table.timeAt(table.rowOf(op)))).toEqual([1, 2]);
  });

  it("has a flag for each, down at first, also in a row that had it up before", () => {
    const table = new OperationTable();
    for (const expected of ["a", "b"]) {
      table.add(expected, dotOf(1), 1);
      table.add("other", dotOf(2), 2);
      const row = table.rowOf(expected);
      expect(table.isFlagged(row)).toBe(false);
      table.setFlag(row, true);
      expect([table.isFlagged(row), table.isFlagged(table.rowOf("other"))]).toEqual([true, false]);
      table.clear();
    }
  });
});
