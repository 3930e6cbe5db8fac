import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArrivalOrder } from "../../replica/arrival-order.ts";

/** Slots with their positions, in order: what an order should be. */
class Model {
  readonly #positions = new Map<number, number>();

  set(slot: number, position: number): void {
    this.#positions.delete(slot);
    this.#positions.set(slot, position);
  }

  remove(slot: number): void {
    this.#positions.delete(slot);
  }

  between(after: number, through: number): number[] {
    const inside = [...this.#positions].filter(([, p]) => p > after && p <= through);
    return inside.map(([slot]) => slot);
  }

  get all(): readonly (readonly [number, number])[] {
    return [...this.#positions];
  }
}

const steps = fc.array(
  fc.record({
    slot: fc.nat({ max: 40 }),
    gap: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(2 ** 33)),
    remove: fc.boolean(),
  }),
  { maxLength: 400 },
);

describe("ArrivalOrder", () => {
  it("agrees with a plain list", () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 500 }), (all, after) => {
        const order = new ArrivalOrder();
        const model = new Model();
        let position = 0;
        for (const { slot, gap, remove } of all) {
          position += gap;
          if (remove) order.remove(slot);
          else order.set(slot, position);
          if (remove) model.remove(slot);
          else model.set(slot, position);
        }
        expect(order.between(0, Infinity, 1000)).toEqual(model.between(0, Infinity));
        expect(order.between(after, after + 50, 1000)).toEqual(model.between(after, after + 50));
        expect(order.between(after, Infinity, 3)).toEqual(
          model.between(after, Infinity).slice(0, 3),
        );
        for (const [slot, at] of model.all) expect(order.positionOf(slot)).toBe(at);
      }),
    );
  });

  it("costs at most 16 bytes a slot, however often they change", () => {
    const order = new ArrivalOrder();
    const model = new Model();
    const count = 50_000;
    let position = 0;
    const set = (slot: number): void => {
      order.set(slot, ++position);
      model.set(slot, position);
    };
    for (let slot = 0; slot < count; slot++) set(slot);
    expect(order.byteCount).toBeLessThan(13 * count);
    let state = 7;
    for (let i = 0; i < 6 * count; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      set((state >>> 4) % count);
      if (i % count === 0) expect(order.byteCount).toBeLessThan(16.5 * count);
    }
    expect(order.between(0, Infinity, Infinity)).toEqual(model.between(0, Infinity));
    const middle = position - 30_000;
    expect(order.between(middle, Infinity, 10)).toEqual(
      model.between(middle, Infinity).slice(0, 10),
    );
  });

  it("shows what comes with an earlier position again rather than not at all", () => {
    const order = new ArrivalOrder();
    order.set(1, 10);
    order.set(2, 7);
    expect(order.positionOf(2)).toBe(10);
    expect(order.between(9, Infinity, 9)).toEqual([1, 2]);
  });
});
