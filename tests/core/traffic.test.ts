import { describe, expect, it } from "vitest";
import { SECONDS_BOUNDS, Traffic, trafficFromList } from "../../core/traffic.ts";

const read = { isWrite: false, isFailed: false, seconds: 0.002 };

describe("what a process answered", () => {
  it("is counted by kind and by how long it took, with repairs", () => {
    const traffic = new Traffic();
    traffic.observe(read);
    traffic.observe({ isWrite: true, isFailed: true, seconds: 99 });
    const totals = trafficFromList(traffic.toList(3));
    expect(totals).toMatchObject({ reads: 1, writes: 1, failed: 1, repairs: 3 });
    expect(totals?.counts).toHaveLength(SECONDS_BOUNDS.length + 1);
    expect(totals?.counts[SECONDS_BOUNDS.indexOf(0.0025)]).toBe(1);
    expect(totals?.counts.at(-1)).toBe(1);
  });

  it("is said once by a process that is not asked, and again where it did not arrive", () => {
    const isolate = new Traffic();
    const replica = new Traffic();
    expect(isolate.takeUnsaid(0)).toBeNull();
    isolate.observe(read);
    const lost = isolate.takeUnsaid(1) ?? [];
    isolate.observe(read);
    isolate.giveBack(lost);
    replica.add(isolate.takeUnsaid(1));
    expect(isolate.takeUnsaid(1)).toBeNull();
    replica.add(isolate.takeUnsaid(2));
    expect(replica.toList(0)).toEqual(isolate.toList(2));
  });

  it("is nothing where somebody says what is no list of counts", () => {
    const traffic = new Traffic();
    const list = traffic.toList(0);
    for (const wrong of [undefined, [], [...list, 0], list.with(0, -1), list.with(1, 0.5)]) {
      traffic.add(wrong);
      expect(trafficFromList(wrong)).toBeNull();
    }
    expect(traffic.toList(0)).toEqual(list);
  });
});
