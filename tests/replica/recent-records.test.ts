import { describe, expect, it } from "vitest";
import { RecentRecords } from "../../replica/recent-records.ts";

const body = (byteCount: number): Uint8Array => new Uint8Array(byteCount);

describe("RecentRecords", () => {
  it("gives back the very bytes that were put, until they are dropped or replaced", () => {
    const recent = new RecentRecords(100_000);
    const [first, second] = [body(10), body(20)];
    recent.put("n\0a", first);
    expect(recent.get("n\0a")).toBe(first);
    recent.put("n\0a", second);
    expect(recent.get("n\0a")).toBe(second);
    recent.drop("n\0a");
    expect(recent.get("n\0a")).toBeUndefined();
  });

  it("lets the least recently used go first, and keeps within its bound", () => {
    const recent = new RecentRecords(10_000);
    for (let i = 0; i < 8; i++) recent.put(`n\0${i}`, body(1000));
    expect(recent.get("n\x000")).toBeDefined();
    recent.put("n\x00new", body(1000));
    expect(recent.get("n\x000")).toBeDefined();
    expect(recent.get("n\x001")).toBeUndefined();
    for (let i = 0; i < 1000; i++) recent.put(`n\0more${i}`, body(1000));
    const kept = Array.from({ length: 1000 }, (_, i) => recent.get(`n\0more${i}`));
    expect(kept.filter((bytes) => bytes !== undefined)).toHaveLength(8);
  });

  it("keeps nothing where it is told so, and nothing that would push out all else", () => {
    const none = new RecentRecords(0);
    none.put("n\0a", body(0));
    expect(none.get("n\0a")).toBeUndefined();
    const some = new RecentRecords(10_000);
    some.put("n\0small", body(100));
    some.put("n\0large", body(5000));
    expect(some.get("n\0large")).toBeUndefined();
    expect(some.get("n\0small")).toBeDefined();
  });
});
