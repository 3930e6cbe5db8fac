import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { StoreCorruption } from "../../core/store.ts";
import { LogStore } from "../../replica/log-store.ts";
import { RecentRecords } from "../../replica/recent-records.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum, flush } from "./log-run.ts";

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

  it("keeps nothing where it is told so", () => {
    const none = new RecentRecords(0);
    none.put("n\0a", body(0));
    none.put("n\0long", body(1024 * 1024));
    expect(none.get("n\0a")).toBeUndefined();
    expect(none.get("n\0long")).toBeUndefined();
  });

  it("keeps of long ones the last alone, and none that is longer than all others may be", () => {
    const some = new RecentRecords(10_000);
    some.put("n\0small", body(100));
    const long = body(5000);
    some.put("n\0long", long);
    expect(some.get("n\0long")).toBe(long);
    some.put("n\0endless", body(10_001));
    expect(some.get("n\0endless")).toBeUndefined();
    expect(some.get("n\0long")).toBe(long);
    expect(some.get("n\0small")).toBeDefined();
  });

  it("keeps small ones while a response of any length comes by in pieces", () => {
    const roomy = new RecentRecords(32 * 1024 * 1024);
    roomy.put("n\0small", body(64 * 1024));
    for (let i = 0; i < 100; i++) roomy.put(`n\0piece${i}`, body(512 * 1024));
    expect(roomy.get("n\0piece98")).toBeUndefined();
    expect(roomy.get("n\0piece99")).toBeDefined();
    expect(roomy.get("n\0small")).toBeDefined();
  });

  it("gives back no long one that was dropped, replaced by a small one, or grew beyond bounds", () => {
    for (const after of ["drop", "small", "endless"] as const) {
      const recent = new RecentRecords(10_000);
      recent.put("n\0a", body(5000));
      if (after === "drop") recent.drop("n\0a");
      else recent.put("n\0a", body(after === "small" ? 10 : 10_001));
      expect(recent.get("n\0a")?.length).toBe(after === "small" ? 10 : undefined);
    }
    const recent = new RecentRecords(10_000);
    recent.put("n\0a", body(10));
    recent.put("n\0a", body(5000));
    expect(recent.get("n\0a")?.length).toBe(5000);
    recent.drop("n\0a");
    expect(recent.get("n\0a")).toBeUndefined();
  });
});

describe("a log that keeps records of lately", () => {
  it("reads an entry or a hint from the disk once, and what was written since from memory", () => {
    const disk = new MemoryDisk();
    const open = (): LogStore =>
      LogStore.open({ disk, checksum, prng: Prng.fromSeed(1), recentBytesMax: 65_536 });
    const first = open();
    first.writeEntry("n\0k", { bytes: Uint8Array.of(1), partition: 0, digest: 1, dueAt: 0 });
    first.writeHint("r2", "n\0k", Uint8Array.of(2));
    flush(first, disk);
    const store = open();
    const read = (): readonly unknown[] => [store.readEntry("n\0k"), store.readHint("r2", "n\0k")];
    let readCount = 0;
    disk.readFault = () => ++readCount < 0;
    const [entry, hint] = read();
    expect([entry, hint]).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(readCount).toBe(2);
    expect(read()[0]).toBe(entry);
    expect(read()[1]).toBe(hint);
    store.writeHint("r2", "n\0k", Uint8Array.of(3));
    expect(read()).toEqual([Uint8Array.of(1), Uint8Array.of(3)]);
    store.dropHint("r2", "n\0k");
    expect(read()).toEqual([Uint8Array.of(1), undefined]);
    expect(readCount).toBe(2);
  });

  it("checks the last long record once, and again where somebody asks whether it is sound", () => {
    const disk = new MemoryDisk();
    const open = (): LogStore =>
      LogStore.open({ disk, checksum, prng: Prng.fromSeed(1), recentBytesMax: 1_048_576 });
    const first = open();
    const bytes = new Uint8Array(600_000).fill(7);
    first.writeEntry("n\0k", { bytes, partition: 0, digest: 1, dueAt: 0 });
    flush(first, disk);
    const store = open();
    let readCount = 0;
    disk.readFault = () => ++readCount < 0;
    const read = store.readEntry("n\0k");
    expect(read).toEqual(bytes);
    expect(store.readEntry("n\0k")).toBe(read);
    expect(readCount).toBe(1);
    disk.readFault = () => true;
    expect(store.isSound("n\0k")).toBe(false);
    expect(() => store.readEntry("n\0k")).toThrow(StoreCorruption);
  });

  it("does not let a long hint take the place of a long entry", () => {
    const disk = new MemoryDisk();
    const store = LogStore.open({
      ...{ disk, checksum, prng: Prng.fromSeed(1), recentBytesMax: 1_048_576 },
    });
    const bytes = new Uint8Array(600_000);
    store.writeEntry("n\0k", { bytes, partition: 0, digest: 1, dueAt: 0 });
    store.writeHint("r2", "n\0k", new Uint8Array(600_000));
    flush(store, disk);
    let readCount = 0;
    disk.readFault = () => ++readCount < 0;
    expect(store.readEntry("n\0k")).toBe(bytes);
    expect(readCount).toBe(0);
  });
});
