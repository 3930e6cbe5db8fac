import { describe, expect, it } from "vitest";
import { type Bytes, wholeOf } from "../../core/pieces.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { flush, openStore, run, settle } from "./log-run.ts";

const KIB = 1024;
const filled = (byteCount: number, byte: number): Uint8Array =>
  new Uint8Array(byteCount).fill(byte);
const entry = (bytes: Uint8Array) => ({ bytes, partition: 0, digest: 7, dueAt: 0 });
const isSame = (found: Bytes | undefined, bytes: Uint8Array): boolean =>
  found !== undefined && Buffer.compare(wholeOf(found), bytes) === 0;

function put(store: LogStore, disk: MemoryDisk, key: string, bytes: Uint8Array): void {
  store.writeEntry(key, entry(bytes));
  while (flush(store, disk));
}

describe("a compaction of several segments, each longer than what one step reads", () => {
  it("copies all of the second one where the first one dies while it is read", () => {
    const disk = new MemoryDisk();
    const segmentByteCountMax = 1000 * KIB;
    const store = openStore(disk, { segmentByteCountMax });
    const first = Array.from({ length: 9 }, (_, i) => `n\0a${i}`);
    const second = Array.from({ length: 9 }, (_, i) => `n\0b${i}`);
    for (const key of [...first, ...second]) put(store, disk, key, filled(100 * KIB, 1));
    // Half of each is garbage, so that both are worth a compaction.
    const over = [...first.slice(0, 5), ...second.slice(0, 5)];
    for (const key of over) put(store, disk, key, filled(100 * KIB, 2));
    const job = store.nextBackground();
    if (job !== undefined) run(store, disk, job);
    for (const key of first) put(store, disk, key, filled(100 * KIB, 3));
    settle(store, disk);
    expect(store.metrics().compactionsCount).toBeGreaterThan(0);
    const again = openStore(disk, { segmentByteCountMax });
    expect([again.recovery.lostKeys, again.recovery.corruptCount]).toEqual([[], 0]);
    for (const [i, key] of second.entries()) {
      expect(isSame(again.readEntry(key), filled(100 * KIB, i < 5 ? 2 : 1))).toBe(true);
    }
  });
});

/** Two records of 3 MiB whose segment is half garbage, and what each step of background reads. */
function withLong() {
  const disk = new MemoryDisk();
  const segmentByteCountMax = 8 * 1024 * KIB;
  const store = openStore(disk, { segmentByteCountMax });
  put(store, disk, "n\0garbage", filled(3500 * KIB, 1));
  put(store, disk, "n\0long", filled(3000 * KIB, 2));
  put(store, disk, "n\0short", filled(10 * KIB, 3));
  put(store, disk, "n\0garbage", filled(3500 * KIB, 4));
  put(store, disk, "n\0last", filled(3000 * KIB, 5));
  let readByteCount = 0;
  const read = disk.read.bind(disk);
  disk.read = (file, at, into) => {
    readByteCount += into.length;
    return read(file, at, into);
  };
  const reads: number[] = [];
  /** @returns false when there was nothing to do */
  const step = (): boolean => {
    readByteCount = 0;
    const job = store.nextBackground();
    reads.push(readByteCount);
    if (job !== undefined) run(store, disk, job);
    return job !== undefined;
  };
  const reopened = (): LogStore => openStore(disk, { segmentByteCountMax });
  return { disk, store, step, reads, reopened };
}

describe("a compaction that comes to a long record", () => {
  it("reads it a stretch a step, and copies it whole", () => {
    const { disk, store, step, reads, reopened } = withLong();
    while (step() || flush(store, disk));
    expect(Math.max(...reads)).toBeLessThanOrEqual(1024 * KIB);
    expect(reads.filter((byteCount) => byteCount > 500 * KIB).length).toBeGreaterThanOrEqual(3);
    expect(store.metrics().compactionsCount).toBe(1);
    for (const one of [store, reopened()]) {
      expect(isSame(one.readEntry("n\0long"), filled(3000 * KIB, 2))).toBe(true);
      expect(isSame(one.readEntry("n\0short"), filled(10 * KIB, 3))).toBe(true);
      expect(isSame(one.readEntry("n\0garbage"), filled(3500 * KIB, 4))).toBe(true);
    }
  });

  it.each([1, 2, 3, 4, 5])("leaves it where it was written again after step %i", (count) => {
    const { disk, store, step, reopened } = withLong();
    for (let i = 0; i < count; i++) step();
    put(store, disk, "n\0long", filled(20 * KIB, 9));
    while (step() || flush(store, disk));
    const again = reopened();
    expect([again.recovery.lostKeys, again.recovery.corruptCount]).toEqual([[], 0]);
    expect(isSame(again.readEntry("n\0long"), filled(20 * KIB, 9))).toBe(true);
    expect(isSame(again.readEntry("n\0short"), filled(10 * KIB, 3))).toBe(true);
  });

  it("notes that it is lost where it does not verify, and copies what is behind it", () => {
    const { disk, store, step, reopened } = withLong();
    const [file = ""] = disk.list().filter((name) => name.endsWith(".wal"));
    const bytes = disk.bytesOf(file).slice();
    const at = bytes.indexOf(2, 3500 * KIB + 1000);
    bytes[at + 2000 * KIB] = 99;
    disk.put(file, bytes);
    while (step() || flush(store, disk));
    const again = reopened();
    expect(again.recovery.lostKeys).toEqual(["n\0long"]);
    expect(isSame(again.readEntry("n\0short"), filled(10 * KIB, 3))).toBe(true);
  });
});
