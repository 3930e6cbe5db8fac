import { describe, expect, it } from "vitest";
import type { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { flush, openStore, run, settle, stop } from "./log-run.ts";

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

/**
 * Keys that are written again and again, all of them between two segments.
 *
 * @returns what the background wrote and read, and the most that the log took up meanwhile
 */
function overwritten(options: { readonly leavesDying: boolean }) {
  const disk = new MemoryDisk();
  const store = openStore(disk, { segmentByteCountMax: SEGMENT_BYTES });
  let copiedByteCount = 0;
  let byteCountMax = 0;
  let readCount = 0;
  const read = disk.read.bind(disk);
  disk.read = (...where) => {
    readCount++;
    return read(...where);
  };
  for (let i = 0; i < 600; i++) {
    put(store, `hot ${i % 8}`, 200);
    flush(store, disk);
    const job = store.nextBackground(options);
    for (const step of job?.steps ?? []) {
      if (step.do !== "write") continue;
      copiedByteCount += step.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    }
    if (job !== undefined) run(store, disk, job);
    byteCountMax = Math.max(byteCountMax, store.metrics().byteCount);
  }
  return { store, disk, copiedByteCount, readCount, byteCountMax };
}

describe("a log whose keys are written again and again", () => {
  it("lets a segment die where there are writes, and removes it without reading or copying", () => {
    expect(overwritten({ leavesDying: false }).copiedByteCount).toBeGreaterThan(10_000);
    const left = overwritten({ leavesDying: true });
    const { store, copiedByteCount, readCount, byteCountMax } = left;
    expect([copiedByteCount, readCount]).toEqual([0, 0]);
    expect(store.metrics().compactionsCount).toBeGreaterThan(20);
    expect(byteCountMax).toBeLessThan(3 * SEGMENT_BYTES);
  });

  it("copies what lives of it when the writes have stopped", () => {
    const { store, disk } = overwritten({ leavesDying: true });
    for (let i = 0; store.metrics().segmentsCount < 2; i++) put(store, `hot ${i % 4}`, 200);
    flush(store, disk);
    expect(store.nextBackground({ leavesDying: true })).toBeUndefined();
    settle(store, disk);
    const { byteCount, liveByteCount } = store.metrics();
    expect(byteCount).toBeLessThan(liveByteCount + SEGMENT_BYTES);
    expect(store.readEntry("demo\0hot 7")).toHaveLength(200);
  });

  it("has the older segments read for what they hold when drops are about", () => {
    const { store, disk } = overwritten({ leavesDying: true });
    put(store, "cold", 200);
    for (let i = 0; i < 40; i++) put(store, `hot ${i % 8}`, 200);
    settle(store, disk);
    store.dropEntry("demo\0cold");
    for (let i = 0; i < 60; i++) {
      put(store, `hot ${i % 8}`, 200);
      flush(store, disk);
      const job = store.nextBackground({ leavesDying: true });
      if (job !== undefined) run(store, disk, job);
    }
    stop(store, disk);
    const again = openStore(disk, { segmentByteCountMax: SEGMENT_BYTES, seed: 2 });
    expect(again.stats().keyCount).toBe(8);
    expect(again.readEntry("demo\0cold")).toBeUndefined();
  });
});
