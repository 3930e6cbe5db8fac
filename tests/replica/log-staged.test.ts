import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import type { Checksum, RecordFields } from "../../replica/log-format.ts";
import { Staging } from "../../replica/log-staging.ts";
import { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum, flush } from "./log-run.ts";

const MIB = 1024 * 1024;
const filled = (byteCount: number, byte: number): Uint8Array =>
  new Uint8Array(byteCount).fill(byte);
/** Told as one truth: a comparison byte by byte takes seconds for a MiB. */
const isSame = (found: Uint8Array | undefined, bytes: Uint8Array): boolean =>
  found !== undefined && Buffer.compare(found, bytes) === 0;
const entry = (bytes: Uint8Array) => ({ bytes, partition: 0, digest: 7, dueAt: 0 });

/** A log that keeps nothing of lately, and how many bytes it has computed checksums of. */
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
    expect(second?.buffer === first?.buffer).toBe(true);
  });

  it("stays what it was for who has read it, whatever is written afterwards", () => {
    const { disk, store } = openCounted();
    const read: [Uint8Array | undefined, Uint8Array][] = [];
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

  it("takes the page of a long one before it, once that is durable and nobody has it", () => {
    const at = { segment: 1, offset: 0 };
    const fields = { space: 0, operation: 0, key: "k", sequence: 1, partition: 0, digest: 7 };
    const staging = new Staging(64 * MIB);
    const page = (byte: number, isRead: boolean) => {
      const body = filled(MIB / 2, byte);
      const of = { ...fields, dueAt: 0 } as RecordFields;
      const byteCount = staging.add(at, { fields: of, body, salt: 0, checksum });
      const read = isRead ? staging.read(1, 0, byteCount)?.slice(-10) : undefined;
      const [staged] = staging.take();
      staging.release();
      return { bytes: staged?.page.bytes, read };
    };
    const first = page(1, false);
    const second = page(2, true);
    expect(second.bytes === first.bytes).toBe(true);
    expect(second.read).toEqual(filled(10, 2));
    expect(page(3, false).bytes === second.bytes).toBe(false);
  });
});
