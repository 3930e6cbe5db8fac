import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import type { EntryRecord } from "../../core/store.ts";
import { type FileLog, openLog } from "../../src/local/log/file-log.ts";
import { storeContract } from "../contract/store-suite.ts";
import { textOf } from "../support/record-text.ts";

const hasher = await xxhash();
const tempDir = (): string => mkdtempSync(join(tmpdir(), "starling-log-"));
const entry = (text: string): EntryRecord => ({
  bytes: new TextEncoder().encode(text),
  partition: 1,
  digest: 1,
  dueAt: 0,
});

storeContract("files", async (use) => {
  const dir = tempDir();
  const options = { dir, hasher, segmentByteCountMax: 100_000, backgroundPauseMs: 0 };
  let log = await openLog(options);
  try {
    await use({
      store: log.store,
      reopen: async () => {
        await log.close();
        log = await openLog(options);
        return log.store;
      },
    });
  } finally {
    await log.close();
    rmSync(dir, { recursive: true });
  }
});

describe("FileLog", () => {
  let dir = "";
  let log: FileLog;
  beforeEach(async () => {
    dir = tempDir();
    log = await openLog({ dir, hasher, segmentByteCountMax: 4096 });
  });
  afterEach(async () => {
    await log.close();
    rmSync(dir, { recursive: true });
  });

  it("makes many concurrent writes durable with few syncs", async () => {
    const writer = async (name: number): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        log.store.writeEntry(`demo\0${name}`, entry(`${name} ${i}`));
        await log.flush();
      }
    };
    await log.close();
    log = await openLog({ dir, hasher });
    await Promise.all(Array.from({ length: 64 }, (_, name) => writer(name)));
    expect(log.store.durableSequence).toBe(64 * 20);
    // One a round and a few for the first segment; never one a write.
    expect(log.metrics().fsyncCount).toBeLessThan(60);
  });

  it("reads a record while it is on its way to the disk, and after", async () => {
    log.store.writeEntry("demo\0a", entry("one"));
    const flushed = log.flush();
    log.store.writeEntry("demo\0b", entry("two"));
    const text = (key: string): string => textOf(log.store.readEntry(key));
    expect([text("demo\0a"), text("demo\0b")]).toEqual(["one", "two"]);
    await flushed;
    await log.flush();
    expect([text("demo\0a"), text("demo\0b")]).toEqual(["one", "two"]);
    expect(log.store.metrics().stagedByteCount).toBe(0);
  });

  it("gives every closed segment its outline before a clean stop", async () => {
    for (let i = 0; i < 300; i++) log.store.writeEntry(`demo\0${i}`, entry(`value ${i}`));
    await log.close();
    const files = readdirSync(dir);
    const segments = files.filter((file) => file.endsWith(".wal"));
    expect(segments.length).toBeGreaterThan(3);
    for (const file of segments) {
      expect(existsSync(join(dir, file.replace(".wal", ".outline")))).toBe(true);
    }
    log = await openLog({ dir, hasher });
    expect(log.store.recovery.clean).toBe(true);
    expect(log.store.stats().keyCount).toBe(300);
  });

  it("refuses a folder that another log has open, in one line, and lets go of it", async () => {
    const mend = /^[^\n]*in use by another process: stop that one, or use another folder$/;
    await expect(openLog({ dir, hasher })).rejects.toThrow(mend);
    await log.close();
    log = await openLog({ dir, hasher });
    expect(log.store.health()).toBe("writable");
  });

  it("is not clean when it was not closed", async () => {
    log.store.writeEntry("demo\0a", entry("one"));
    await log.close();
    const again = await openLog({ dir, hasher });
    expect(again.store.recovery.clean).toBe(true);
    again.store.writeEntry("demo\0b", entry("two"));
    await again.flush();
    const copy = tempDir();
    const { cpSync } = await import("node:fs");
    cpSync(dir, copy, { recursive: true });
    await again.close();
    const crashed = await openLog({ dir: copy, hasher });
    expect(crashed.store.recovery).toMatchObject({ clean: false, tornByteCount: 0 });
    expect(crashed.store.stats().keyCount).toBe(2);
    await crashed.close();
    rmSync(copy, { recursive: true });
    log = await openLog({ dir, hasher });
  });

  it("compacts away what was replaced, and keeps what was not", async () => {
    for (let i = 0; i < 2000; i++) log.store.writeEntry(`demo\0${i % 50}`, entry(`value ${i}`));
    await log.settle();
    const { byteCount, compactionsCount } = log.metrics();
    expect(compactionsCount).toBeGreaterThan(0);
    expect(byteCount).toBeLessThan(12_000);
    const text = (i: number): string => textOf(log.store.readEntry(`demo\0${i}`));
    for (let i = 0; i < 50; i++) expect(text(i)).toBe(`value ${1950 + i}`);
    await log.close();
    log = await openLog({ dir, hasher });
    for (let i = 0; i < 50; i++) expect(text(i)).toBe(`value ${1950 + i}`);
    expect(log.store.recovery.clean).toBe(true);
  });
});
