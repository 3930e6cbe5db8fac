/** What the doors of one process share, where each request has a door of its own. */
import { describe, expect, it } from "vitest";
import { DoorMemory, Flights } from "../../src/door/flights.ts";

describe("doors that share a memory", () => {
  it("make a key anew one at a time, and again when that one ends or says nothing more", () => {
    const memory = new DoorMemory();
    const [a, b] = [new Flights(memory), new Flights(memory)];
    expect([a.beginsRefresh("k", 0, 3000), b.beginsRefresh("k", 10, 3000)]).toEqual([true, false]);
    expect(b.beginsRefresh("other", 10, 3000)).toBe(true);
    expect([b.beginsRefresh("k", 2999, 3000), b.beginsRefresh("k", 3000, 3000)]).toEqual([
      false,
      true,
    ]);
    b.endRefresh("k", { now: 3000, isFailed: false });
    expect(a.beginsRefresh("k", 3001, 3000)).toBe(true);
    a.endRefresh("k", { now: 3002, isFailed: true });
    expect([4001, 4002].map((now) => b.beginsRefresh("k", now, 3000))).toEqual([false, true]);
  });

  it("know for ten seconds which keys are not for sharing", () => {
    const memory = new DoorMemory();
    new Flights(memory).noteUnshared("k", 0);
    const later = new Flights(memory);
    expect([later.isUnshared("k", 9999), later.isUnshared("k", 10_000)]).toEqual([true, false]);
    expect(new Flights().isUnshared("k", 0)).toBe(false);
  });
});
