/** What every store promises of the orders in which entries and hints arrived. */
import { expect, it } from "vitest";
import type { Store } from "../../core/store.ts";
import { bytesOf, entry, type StoreMaker } from "./store-fixture.ts";

export function arrivalsContract(make: StoreMaker): void {
  const namesAfter = (store: Store, after: number, countMax = 100): string[] =>
    store.arrivals(after, countMax).map(({ key }) => key.slice(5));

  it("lists entries in the order in which they last changed, one place a key", () =>
    make(async ({ store, reopen }) => {
      for (const name of ["a", "b", "c"]) store.writeEntry(`demo\0${name}`, entry("x"));
      const before = store.arrivedThrough;
      store.writeHint("r2", "demo\0hint", bytesOf("no entry"));
      store.writeMeta("meta", bytesOf("no entry"));
      store.writeEntry("demo\0a", entry("y", { partition: 4 }));
      store.dropEntry("demo\0b");
      const expectOrder = (of: Store): void => {
        expect(namesAfter(of, 0)).toEqual(["c", "a"]);
        expect(namesAfter(of, 0, 1)).toEqual(["c"]);
        expect(namesAfter(of, before)).toEqual(["a"]);
        expect(namesAfter(of, of.arrivedThrough)).toEqual([]);
        const [c, a] = of.arrivals(0, 9);
        expect([c?.partition, a?.partition]).toEqual([3, 4]);
        expect(namesAfter(of, c?.position ?? 0)).toEqual(["a"]);
        expect(of.summary("demo\0a")?.position).toBe(a?.position);
      };
      expectOrder(store);
      expectOrder(await reopen());
    }));

  it("gives out no position twice, not even of what was dropped", () =>
    make(async ({ store, reopen }) => {
      store.writeEntry("demo\0a", entry("x"));
      store.writeEntry("demo\0b", entry("x"));
      const given = store.arrivedThrough;
      store.dropEntry("demo\0b");
      const again = await reopen();
      expect(again.arrivedThrough).toBeGreaterThanOrEqual(given);
      again.writeEntry("demo\0c", entry("x"));
      expect(namesAfter(again, given)).toEqual(["c"]);
    }));

  it("keeps the order over many changes, drops and restarts", () =>
    make(async (fixture) => {
      let { store } = fixture;
      const model = new Map<string, string>();
      let state = 99;
      const below = (bound: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % bound;
      };
      for (let step = 0; step < 1500; step++) {
        const name = `${below(80)}`;
        model.delete(name);
        if (below(5) === 0) store.dropEntry(`demo\0${name}`);
        else {
          store.writeEntry(`demo\0${name}`, entry("x".repeat(below(60))));
          model.set(name, name);
        }
        if (step % 500 === 250) store = await fixture.reopen();
        if (step % 100 === 0) expect(namesAfter(store, 0)).toEqual([...model.keys()]);
      }
      const walked: string[] = [];
      for (let after = 0; ; ) {
        const page = store.arrivals(after, 7);
        walked.push(...page.map(({ key }) => key.slice(5)));
        after = page.at(-1)?.position ?? 0;
        if (page.length < 7) break;
      }
      expect(walked).toEqual([...model.keys()]);
    }));
}

export function hintOrderContract(make: StoreMaker): void {
  it("has hints in one order with entries, a place each, where anybody follows it", () =>
    make(async ({ store, reopen }) => {
      if (store.hintOrder === undefined) return expect(store.lastArrival).toBe(0);
      expect([store.lastArrival, store.hintOrder.last]).toEqual([0, 0]);
      store.writeHint("r2", "demo\0a", bytesOf("1"));
      store.writeHint("r3", "demo\0a", bytesOf("2"));
      store.writeEntry("demo\0a", entry("3"));
      store.writeHint("r2", "demo\0b", bytesOf("4"));
      store.writeHint("r2", "demo\0a", bytesOf("5"));
      store.writeHint("r4", "demo\0a", bytesOf("6"));
      store.dropHint("r4", "demo\0a");
      const expectOrder = (of: Store): void => {
        const order = of.hintOrder;
        const all = order?.after(0, 9) ?? [];
        const names = all.map(({ target, key }) => [target, key.slice(5)]);
        expect(names).toEqual([
          ["r3", "a"],
          ["r2", "b"],
          ["r2", "a"],
        ]);
        const [r3, , r2] = all.map(({ position }) => position);
        expect(of.summary("demo\0a")?.position).toBe(of.lastArrival);
        expect(r3).toBeLessThan(of.lastArrival);
        expect(order?.after(of.lastArrival, 1)).toEqual([all[1]]);
        expect(order?.positionOf("r2", "demo\0a")).toBe(r2);
        expect(order?.positionOf("r4", "demo\0a")).toBe(0);
        expect(order?.last).toBeGreaterThanOrEqual(r2 ?? Infinity);
        expect(of.arrivedThrough).toBeGreaterThanOrEqual(order?.last ?? Infinity);
      };
      expectOrder(store);
      expectOrder(await reopen());
    }));
}
