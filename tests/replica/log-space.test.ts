import { describe, expect, it } from "vitest";
import type { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { flush, openStore, settle, stop } from "./log-run.ts";

const SEGMENT_BYTES = 4000;

function put(store: LogStore, key: string, byteCount: number): void {
  const bytes = new Uint8Array(byteCount).fill(7);
  store.writeEntry(`demo\0${key}`, { bytes, partition: 1, digest: 1, dueAt: 0 });
}

/** A log with some keys that last, through which many others come and go. */
function churned(rounds: number): { store: LogStore; disk: MemoryDisk } {
  const disk = new MemoryDisk();
  const store = openStore(disk, { segmentByteCountMax: SEGMENT_BYTES });
  for (let i = 0; i < 60; i++) put(store, `lasting ${i}`, 200);
  settle(store, disk);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 20; i++) put(store, `${round} ${i}`, 200);
    flush(store, disk);
    for (let i = 0; i < 20; i++) store.dropEntry(`demo\0${round} ${i}`);
    settle(store, disk);
  }
  return { store, disk };
}

describe("the space of a log", () => {
  // The segments of what lasts are never worth copying; a drop is needed while an older one may
  // hold its key.
  it("is bounded by what lives, however many keys have come and gone beside it", () => {
    const { store } = churned(200);
    const { byteCount, liveByteCount } = store.metrics();
    expect(liveByteCount).toBeGreaterThan(60 * 200);
    expect(byteCount).toBeLessThan(2.5 * liveByteCount + 3 * SEGMENT_BYTES);
  });

  it("copies the older segments now and then for that, and not all the time", () => {
    const { store } = churned(200);
    const compactions = store.metrics().compactionsCount;
    // One a round for the garbage, and some four bytes for each byte of drops.
    expect(compactions).toBeLessThan(600);
  });

  it("holds the same after a restart, and what was dropped stays away", () => {
    const { store, disk } = churned(60);
    stop(store, disk);
    const again = openStore(disk, { segmentByteCountMax: SEGMENT_BYTES, seed: 2 });
    expect(again.stats().keyCount).toBe(60);
    expect(again.readEntry("demo\0lasting 59")).toHaveLength(200);
    expect(again.readEntry("demo\0" + "59 19")).toBeUndefined();
    const crashed = openStore(churned(60).disk.crash("drop"), {
      segmentByteCountMax: SEGMENT_BYTES,
    });
    expect(crashed.stats().keyCount).toBe(60);
  });
});
