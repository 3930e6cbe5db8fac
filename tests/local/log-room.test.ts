import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import xxhash from "xxhash-wasm";
import { SEGMENT_HEADER_BYTES } from "../../replica/log-format.ts";
import { checkFolder } from "../../src/local/log/check.ts";
import { type FileLog, openLog } from "../../src/local/log/file-log.ts";
import { RoomAhead } from "../../src/local/log/room-ahead.ts";

const hasher = await xxhash();
const FIRST = "0000000001.wal";
const SECOND = "0000000002.wal";
const VALUE_BYTES = 1000;

describe.runIf(process.platform === "linux")("room ahead of the records", () => {
  let dir = "";
  let log: FileLog;
  let count = 0;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "starling-room-"));
    count = 0;
    log = await openLog({ dir, hasher, segmentByteCountMax: 200_000 });
  });
  afterEach(async () => {
    await log.close();
    rmSync(dir, { recursive: true });
  });

  const write = (): Promise<void> => {
    const bytes = new Uint8Array(VALUE_BYTES).fill(1 + (count % 255));
    log.store.writeEntry(`demo\0${count++}`, { bytes, partition: 1, digest: 1, dueAt: 0 });
    return log.flush();
  };
  const byteCountOf = (file: string): number => statSync(join(dir, file)).size;
  /** So much that no more is being made. */
  const hasRoom = (): boolean => byteCountOf(FIRST) >= 1.5 * log.metrics().byteCount;

  it("is made as the file grows, is overwritten, and is taken for nothing else", async () => {
    for (let i = 0; i < 20; i++) await Promise.all([write(), write(), write()]);
    await vi.waitFor(() => expect(hasRoom()).toBe(true));
    const before = byteCountOf(FIRST);
    await write();
    expect(byteCountOf(FIRST)).toBe(before);
    // As a killed process leaves it.
    const copy = mkdtempSync(join(tmpdir(), "starling-room-"));
    cpSync(dir, copy, { recursive: true });
    expect(await checkFolder(copy, { hasher })).toMatchObject({ tornByteCount: 0, bad: [] });
    const again = await openLog({ dir: copy, hasher });
    const found = again.store.recovery;
    expect(found).toEqual({ clean: false, tornByteCount: 0, corruptCount: 0, lostKeys: [] });
    expect(again.store.stats().keyCount).toBe(count);
    expect(statSync(join(copy, FIRST)).size).toBe(log.metrics().byteCount);
    await again.close();
    rmSync(copy, { recursive: true });
  });

  it("is given back by a segment that is full, and at the stop", async () => {
    while (log.metrics().segmentsCount < 2) await write();
    for (let i = 0; i < 20; i++) await write();
    await vi.waitFor(() => expect(byteCountOf(FIRST)).toBeLessThanOrEqual(200_000));
    await log.close();
    for (const file of [FIRST, SECOND]) {
      const bytes = readFileSync(join(dir, file));
      expect(bytes.length).toBeGreaterThan(SEGMENT_HEADER_BYTES);
      expect(bytes.at(-1)).not.toBe(0);
    }
    expect(await checkFolder(dir, { hasher })).toMatchObject({ fine: true, keyCount: count });
  });

  it("does without where the file cannot be opened, and reports a disk that fails", async () => {
    const away = new RoomAhead("1.wal", join(dir, "not", "there"), 8192);
    away.extend();
    await expect(away.admit(9000)).rejects.toThrow(/ENOENT/);
    await away.end();
    const full = new RoomAhead("1.wal", "/dev/full", 8192);
    full.extend();
    await full.admit(9000);
    await full.end();
  });
});
