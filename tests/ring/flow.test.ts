import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FlowNetwork } from "../../ring/flow.ts";

/** Rows that each choose one column, at a cost of 0 or 1, where columns have room for a few. */
const choices = fc.integer({ min: 1, max: 4 }).chain((columns) =>
  fc.record({
    rooms: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: columns, maxLength: columns }),
    rows: fc.array(
      fc.array(fc.constantFrom(0, 1, null), { minLength: columns, maxLength: columns }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
);

type Choices = typeof choices extends fc.Arbitrary<infer T> ? T : never;

function build({ rows, rooms }: Choices) {
  const network = new FlowNetwork(2 + rows.length + rooms.length, 60);
  const column = (i: number): number => 2 + rows.length + i;
  const arcs = rows.map((row, r) => {
    network.arc(network.source, 2 + r, { capacity: 1 });
    return row.flatMap((cost, c) =>
      cost === null
        ? []
        : [{ c, cost, arc: network.arc(2 + r, column(c), { capacity: 1, cost: cost as 0 | 1 }) }],
    );
  });
  rooms.forEach((capacity, c) => {
    network.arc(column(c), network.sink, { capacity });
  });
  return { network, arcs };
}

/** The most rows that find room, and the least that this costs, by trying everything. */
function bySearch({ rows, rooms }: Choices): { value: number; cost: number } {
  const room = [...rooms];
  let best = { value: -1, cost: 0 };
  const search = (r: number, value: number, cost: number): void => {
    const row = rows[r];
    if (row === undefined) {
      if (value > best.value || (value === best.value && cost < best.cost)) best = { value, cost };
      return;
    }
    search(r + 1, value, cost);
    for (const [c, price] of row.entries()) {
      if (price === null || room[c] === 0) continue;
      room[c] = (room[c] ?? 0) - 1;
      search(r + 1, value + 1, cost + price);
      room[c] = (room[c] ?? 0) + 1;
    }
  };
  search(0, 0, 0);
  return best;
}

describe("FlowNetwork", () => {
  it("finds the greatest flow and its least cost, and proves it by the dual", () => {
    fc.assert(
      fc.property(choices, (problem) => {
        const { network } = build(problem);
        const result = network.solve();
        expect(result).toEqual(bySearch(problem));
        expect(network.costLowerBound()).toBe(result.cost);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves a flow on its arcs that is one", () => {
    fc.assert(
      fc.property(choices, (problem) => {
        const { network, arcs } = build(problem);
        const { value, cost } = network.solve();
        const taken = arcs.map((row) => row.filter(({ arc }) => network.flowOn(arc) === 1));
        expect(taken.every((row) => row.length <= 1)).toBe(true);
        const flat = taken.flat();
        expect(flat.length).toBe(value);
        expect(flat.reduce((sum, arc) => sum + arc.cost, 0)).toBe(cost);
        problem.rooms.forEach((room, c) => {
          expect(flat.filter((arc) => arc.c === c).length).toBeLessThanOrEqual(room);
        });
      }),
      { numRuns: 500 },
    );
  });

  it("refuses arcs that lead nowhere and to be solved twice", () => {
    const network = new FlowNetwork(3, 2);
    expect(() => network.arc(0, 3, { capacity: 1 })).toThrow("joins two nodes");
    expect(() => network.arc(0, 2, { capacity: -1 })).toThrow("not negative");
    expect(() => network.costLowerBound()).toThrow("solved before");
    expect(network.solve()).toEqual({ value: 0, cost: 0 });
    expect(() => network.solve()).toThrow("solved once");
  });
});
