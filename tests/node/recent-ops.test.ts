import { describe, expect, it } from "vitest";
import { RecentOps } from "../../src/node/serving/recent-ops.ts";

describe("RecentOps", () => {
  it("knows an operation again until its time is over", () => {
    const ops = new RecentOps();
    expect(ops.see("a", 1000, 0)).toBe(true);
    expect(ops.see("a", 1500, 999)).toBe(false);
    expect(ops.see("a", 2000, 1000)).toBe(true);
    expect(ops.see("a", 2000, 1500)).toBe(false);
  });

  it("keeps those that came after one that lasts longer until that one goes", () => {
    const ops = new RecentOps();
    ops.see("long", 5000, 0);
    ops.see("short", 1000, 0);
    expect(ops.see("short", 9000, 4999)).toBe(false);
    expect(ops.see("short", 9000, 5000)).toBe(true);
  });

  it("takes one that was taken back for a new one, in its old place", () => {
    const ops = new RecentOps();
    ops.see("a", 1000, 0);
    ops.see("b", 1000, 0);
    ops.unsee("a");
    ops.unsee("never seen");
    expect([ops.see("a", 2000, 1), ops.see("a", 2000, 2), ops.size]).toEqual([true, false, 2]);
    ops.unsee("a");
    expect([ops.see("b", 3000, 999), ops.see("b", 3000, 1000)]).toEqual([false, true]);
    expect(ops.size).toBe(1);
  });

  it("forgets as many as it is told of, however many there are", () => {
    const ops = new RecentOps();
    for (let i = 0; i < 20_000; i++) expect(ops.see(`op${i}`, i + 100, i)).toBe(true);
    expect(ops.size).toBe(100);
    for (let i = 19_900; i < 20_000; i++) expect(ops.see(`op${i}`, 0, 19_999)).toBe(false);
  });
});
