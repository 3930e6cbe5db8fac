import { describe, expect, it } from "vitest";
import { type Bytes, wholeOf } from "../../core/pieces.ts";
import { Prng } from "../../core/prng.ts";
import type { Checksum } from "../../replica/log-format.ts";
import { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum, flush, openStore, run, settle } from "./log-run.ts";

const MIB = 1024 * 1024;
const filled = (byteCount: number, byte: number): Uint8Array =>
  new Uint8Array(byteCount).fill(byte);
/** Compared as one boolean: to compare byte by byte takes vitest seconds for a MiB. */
const isSame = (found: Bytes | undefined, bytes: Uint8Array): boolean =>
  found !== undefined && Buffer.compare(wholeOf(found), bytes) === 0;
const entry = (bytes: Uint8Array) => ({ bytes, partition: 0, digest: 7, dueAt: 0 });

/** A log that keeps no recent records, and how many bytes it has computed checksums of. */
function openCounted() {
  const disk = new MemoryDisk();
  const counted = { byteCount: 0 };
  const counting: Checksum = (bytes, seed) => {
    counted.byteCount += bytes.length;
    return checksum(bytes, seed);
  };
  const prng = Prng.fromSeed(1);
  const store = LogStore.open({ disk, checksum: counting, prng, recentBytesMax: 0 });
  return { disk, store, counted };
}

describe("a record that is not on the disk yet", () => {
  it("is read as often as one likes without another look at all its bytes", () => {
    const { disk, store, counted } = openCounted();
    store.writeEntry("n\0large", entry(filled(MIB, 1)));
    store.writeHint("r2", "n\0large", filled(MIB, 2));
    counted.byteCount = 0;
    for (let i = 0; i < 10; i++) {
      expect(store.readEntry("n\0large")).toHaveLength(MIB);
      expect(store.readHint("r2", "n\0large")).toHaveLength(MIB);
    }
    expect(counted.byteCount).toBeLessThan(10_000);
    while (flush(store, disk));
    counted.byteCount = 0;
    expect(isSame(store.readEntry("n\0large"), filled(MIB, 1))).toBe(true);
    expect(counted.byteCount).toBeGreaterThanOrEqual(MIB);
  });

  it("is in memory once however many read it, where it is large", () => {
    const { store } = openCounted();
    store.writeEntry("n\0large", entry(filled(MIB, 1)));
    const [first, second] = [store.readEntry("n\0large"), store.readEntry("n\0large")];
    expect(isSame(first, filled(MIB, 1))).toBe(true);
    expect(first !== undefined && second === first).toBe(true);
  });

  it("stays what it was for whoever has read it, whatever is written afterwards", () => {
    const { disk, store } = openCounted();
    const read: [Bytes | undefined, Uint8Array][] = [];
    for (let i = 0; i < 20; i++) {
      for (const byteCount of [10, 100_000, 256 * 1024, MIB]) {
        const key = `n\0${"k".repeat(100)}${byteCount}`;
        const bytes = filled(byteCount, i);
        store.writeEntry(key, entry(bytes));
        read.push([store.readEntry(key), bytes]);
      }
      if (i % 3 === 2) while (flush(store, disk));
    }
    expect(read.filter(([found, bytes]) => !isSame(found, bytes))).toHaveLength(0);
  });

  it("is not copied where it is long: what was given goes to the disk, and to its readers", () => {
    const disk = new MemoryDisk();
    const prng = Prng.fromSeed(1);
    const store = LogStore.open({ disk, checksum, prng });
    const [long, short] = [filled(MIB, 1), filled(1000, 2)];
    store.writeEntry("n\0short", entry(short));
    store.writeEntry("n\0long", entry(long));
    store.writeHint("r2", "n\0long", long);
    store.writeEntry("n\0short2", entry(short));
    expect(store.readEntry("n\0long")).toBe(long);
    expect(store.readHint("r2", "n\0long")).toBe(long);
    const job = store.nextFlush();
    const chunks = (job?.steps ?? []).flatMap((step) => (step.do === "write" ? step.chunks : []));
    expect(chunks.filter((chunk) => chunk === long)).toHaveLength(2);
    if (job !== undefined) run(store, disk, job);
    expect(store.readEntry("n\0long")).not.toBe(long);
    for (const key of ["n\0short", "n\0short2"]) expect(store.readEntry(key)).toEqual(short);
    const again = LogStore.open({ disk, checksum, prng });
    expect(isSame(again.readEntry("n\0long"), long)).toBe(true);
    expect(isSame(again.readHint("r2", "n\0long"), long)).toBe(true);
    expect(again.readEntry("n\0short2")).toEqual(short);
  });

  it("counts as waiting for the disk, however long, until it is there", () => {
    const { disk, store } = openCounted();
    store.writeEntry("n\0long", entry(filled(MIB, 1)));
    store.writeEntry("n\0short", entry(filled(10, 1)));
    expect(store.stagedByteCount).toBeGreaterThan(MIB);
    while (flush(store, disk));
    expect(store.stagedByteCount).toBe(0);
  });

  it("is copied by a compaction, which reads on where it lies", () => {
    const disk = new MemoryDisk();
    const segmentByteCountMax = 2_000_000;
    const store = openStore(disk, { segmentByteCountMax });
    // Too long for a page, as their keys might take more, and shorter than what is read at once.
    const keys = Array.from({ length: 6 }, (_, i) => `n\0${String(i).repeat(500)}`);
    const bytesOf = (i: number): Uint8Array => filled(261_000, i + 1);
    for (const [i, key] of keys.entries()) {
      store.writeEntry(key, entry(bytesOf(i)));
      for (let j = 0; j < 7 * (i % 2); j++) store.writeEntry("n\0often", entry(filled(200_000, j)));
      while (flush(store, disk));
    }
    settle(store, disk);
    const again = openStore(disk, { segmentByteCountMax });
    expect(store.metrics().compactionsCount).toBeGreaterThan(0);
    for (const [i, key] of keys.entries()) {
      expect(isSame(again.readEntry(key), bytesOf(i))).toBe(true);
    }
  });
});
