import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Floors } from "../../replica/floors.ts";
import { MemoryStore } from "../../replica/memory-store.ts";

let store: MemoryStore;
let writeCount: number;

/** Entries of some namespace arrive, so many. */
function arrive(count: number): void {
  for (let i = 0; i < count; i++) {
    const record = { bytes: new Uint8Array(1), partition: 0, digest: 1, dueAt: 0 };
    store.writeEntry(`a\0${i % 50}`, record);
  }
}

/** As the next process finds them. */
const reopened = (run = 1): Floors => new Floors(store, () => run);

describe("floors", () => {
  beforeEach(() => {
    store = new MemoryStore();
    writeCount = 0;
    const { writeMeta } = store;
    store.writeMeta = (name, bytes) => {
      writeCount++;
      writeMeta.call(store, name, bytes);
    };
    arrive(5000);
  });

  it("are of a namespace, and only rise", () => {
    const floors = reopened();
    floors.raise("a", 70);
    floors.raise("a", 50);
    floors.raise("b", 9);
    expect(["a", "b", "c"].map((name) => floors.of(name))).toEqual([70, 9, 0]);
  });

  it("are stored before their keys are dropped, and as they are at the end of a step", () => {
    const floors = reopened();
    floors.raise("a", 70);
    // Whatever a crash leaves now, the drop comes behind it.
    expect(reopened().of("a")).toBeGreaterThanOrEqual(70);
    floors.settle();
    expect([floors.of("a"), reopened().of("a")]).toEqual([70, 70]);
    floors.raise("a", 71);
    expect(reopened().of("a")).toBeGreaterThanOrEqual(71);
  });

  it("are written a few times for many keys, and never beyond what has arrived", () => {
    const floors = reopened();
    for (let position = 1; position <= 3000; position++) floors.raise("a", position);
    floors.settle();
    expect(writeCount).toBeLessThan(6);
    floors.raise("a", 4999);
    expect(reopened().of("a")).toBe(5000);
    const before = writeCount;
    floors.settle();
    floors.settle();
    expect(writeCount).toBe(before + 1);
  });

  it("say nothing of an order of another name", () => {
    let run = 1;
    const floors = new Floors(store, () => run);
    floors.raise("a", 70);
    floors.settle();
    run = 2;
    floors.forget();
    expect([floors.of("a"), reopened(2).of("a")]).toEqual([0, 0]);
  });

  it("are at least those of all that was collected, over any steps and crashes", () => {
    const name = fc.constantFrom("a", "b", "some-other");
    const step = fc.oneof(
      fc.record({ name, position: fc.integer({ min: 1, max: 5000 }) }),
      fc.constant("settle" as const),
      fc.constant("crash" as const),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        store = new MemoryStore();
        arrive(5000);
        let floors = reopened();
        const least = new Map<string, number>();
        for (const one of steps) {
          if (one === "settle") floors.settle();
          else if (one === "crash") floors = reopened();
          else {
            floors.raise(one.name, one.position);
            least.set(one.name, Math.max(one.position, least.get(one.name) ?? 0));
          }
          for (const [of, position] of least) {
            expect(floors.of(of)).toBeGreaterThanOrEqual(position);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});
