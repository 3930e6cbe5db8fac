import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { StoreCorruption } from "../../core/store.ts";
import { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum, flush } from "./log-run.ts";

const entry = (text: string) => ({
  bytes: new TextEncoder().encode(text),
  partition: 3,
  digest: 7,
  dueAt: 0,
});

/** One bit of the only place that holds this text. */
function rot(disk: MemoryDisk, text: string): void {
  for (const file of disk.list()) {
    const bytes = disk.bytesOf(file).slice();
    const at = Buffer.from(bytes).indexOf(text);
    if (at < 0) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    disk.put(file, bytes);
  }
}

describe("what a log says of a record's soundness", () => {
  it("is read from the disk, whatever is in memory of it", () => {
    const disk = new MemoryDisk();
    const prng = Prng.fromSeed(1);
    const recentBytesMax = 1_000_000;
    const store = LogStore.open({ disk, checksum, prng, recentBytesMax });
    store.writeEntry("d\0a", entry("the first value"));
    store.writeEntry("d\0b", entry("the second value"));
    store.writeHint("r2", "d\0a", new TextEncoder().encode("a hint of it"));
    while (flush(store, disk));
    expect(store.isSound("d\0a") && store.isSound("d\0a", "r2")).toBe(true);
    rot(disk, "the first value");
    rot(disk, "a hint of it");
    expect(store.readEntry("d\0a")).toBeDefined();
    expect([store.isSound("d\0a"), store.isSound("d\0b")]).toEqual([false, true]);
    expect(store.hintOrder.lostCount).toBe(0);
    expect(store.isSound("d\0a", "r2")).toBe(false);
    // What the hint was for is lost, whoever finds it: a scrub drops it without a read.
    expect(store.hintOrder.lostCount).toBe(1);
    expect(() => store.readEntry("d\0a")).toThrow(StoreCorruption);
    expect([store.isSound("d\0none"), store.isSound("d\0b", "r2")]).toEqual([true, true]);
    store.writeEntry("d\0a", entry("it was brought anew"));
    while (flush(store, disk));
    expect(store.isSound("d\0a")).toBe(true);
  });
});
