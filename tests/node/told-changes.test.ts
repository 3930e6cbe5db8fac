/** What a source of change feeds keeps of what it told. */
import { describe, expect, it } from "vitest";
import { ToldEntry } from "../../core/told-entry.ts";
import { ToldChanges } from "../../src/node/serving/told-changes.ts";

const MIB = 1024 * 1024;
const changeAt = (position: number, byteCount: number) => ({
  ...{ position, entry: ToldEntry.fromBytes(new Uint8Array(byteCount)), livesUntil: Infinity },
});

describe("changes that were told", () => {
  it("are found at their position alone, with and without values apart", () => {
    const told = new ToldChanges();
    told.keep("n\0k", changeAt(7, 10), false);
    expect(told.of("n\0k", 7, false)?.position).toBe(7);
    expect(told.of("n\0k", 8, false)).toBeUndefined();
    expect(told.of("n\0k", 7, true)).toBeUndefined();
    told.keep("n\0k", changeAt(8, 10), false);
    expect(told.of("n\0k", 7, false)).toBeUndefined();
  });

  it("take up a bounded room: the oldest give way, and long ones are not kept", () => {
    const told = new ToldChanges();
    for (let i = 0; i < 100; i++) told.keep(`n\0k${i}`, changeAt(i, MIB / 32), i % 2 === 0);
    const kept = Array.from({ length: 100 }, (_, i) => told.of(`n\0k${i}`, i, i % 2 === 0));
    const byteCount = kept.reduce((sum, change) => sum + (change?.entry.byteCount ?? 0), 0);
    expect(byteCount).toBeGreaterThan(MIB);
    expect(byteCount).toBeLessThanOrEqual(2 * MIB);
    expect(kept[0]).toBeUndefined();
    expect(kept[99]).toBeDefined();
    told.keep("n\0long", changeAt(1, MIB / 8), false);
    expect(told.of("n\0long", 1, false)).toBeUndefined();
  });

  it("are forgotten when what they were made by is another", () => {
    const told = new ToldChanges();
    const purges = {};
    told.settle([1, purges]);
    told.keep("n\0k", changeAt(7, 10), false);
    told.settle([1, purges]);
    expect(told.of("n\0k", 7, false)).toBeDefined();
    told.settle([1, {}]);
    expect(told.of("n\0k", 7, false)).toBeUndefined();
  });
});
