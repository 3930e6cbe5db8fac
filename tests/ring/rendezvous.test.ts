import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Rendezvous } from "../../ring/rendezvous.ts";

const candidates = (weights: readonly number[]) =>
  weights.map((weight, i) => ({ id: `r${i}`, weight }));

describe("Rendezvous", () => {
  it("orders all candidates, and another partition otherwise", () => {
    const rendezvous = new Rendezvous(candidates(Array(8).fill(1)));
    const orders = Array.from({ length: 64 }, (_, p) => rendezvous.order(p));
    for (const order of orders) {
      expect([...order].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    }
    expect(new Set(orders.map((order) => order.join())).size).toBeGreaterThan(60);
  });

  it("does not reorder the others when a candidate goes", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(weights, fc.nat(), fc.nat({ max: 65_535 }), (list, where, partition) => {
        const all = candidates(list);
        const gone = where % all.length;
        const left = all.filter((_, i) => i !== gone);
        const idsIn = (of: typeof all) =>
          new Rendezvous(of).order(partition).map((i) => of[i]?.id ?? "");
        const without = idsIn(all).filter((id) => id !== `r${gone}`);
        expect(idsIn(left)).toEqual(without);
      }),
    );
  });

  it("puts candidates first in proportion to their weights", () => {
    const rendezvous = new Rendezvous(candidates([1, 2, 5, 1, 1]));
    const firsts = [0, 0, 0, 0, 0];
    for (let p = 0; p < 10_000; p++) {
      const first = rendezvous.order(p)[0] ?? 0;
      firsts[first] = (firsts[first] ?? 0) + 1;
    }
    [1000, 2000, 5000, 1000, 1000].forEach((expected, i) => {
      expect(Math.abs((firsts[i] ?? 0) - expected)).toBeLessThan(200);
    });
  });

  it("refuses weights that are none", () => {
    for (const weight of [0, -1, 1.5, Number.NaN]) {
      expect(() => new Rendezvous([{ id: "r1", weight }])).toThrow("positive integer");
    }
  });
});
