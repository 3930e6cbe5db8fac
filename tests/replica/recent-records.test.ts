import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
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

  it("keeps nothing where it is told so, and nothing that would push out all else", () => {
    const none = new RecentRecords(0);
    none.put("n\0a", body(0));
    expect(none.get("n\0a")).toBeUndefined();
    const some = new RecentRecords(10_000);
    some.put("n\0small", body(100));
    some.put("n\0large", body(5000));
    expect(some.get("n\0large")).toBeUndefined();
    expect(some.get("n\0small")).toBeDefined();
    const roomy = new RecentRecords(32 * 1024 * 1024);
    roomy.put("n\0small", body(64 * 1024));
    // A response of any length in pieces of half a MiB.
    for (let i = 0; i < 100; i++) roomy.put(`n\0piece${i}`, body(512 * 1024));
    expect(roomy.get("n\0piece99")).toBeUndefined();
    expect(roomy.get("n\0small")).toBeDefined();
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
});
