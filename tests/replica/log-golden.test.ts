/**
 * The format on disk may only change with its version: what version 1 wrote must be read for ever,
 * and what is written today must be version 1 to the byte. `UPDATE=1` writes the files anew.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeManifest } from "../../replica/log-manifest.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum, flush, openStore, readText, settle, stop } from "./log-run.ts";

const GOLDEN = join(import.meta.dirname, "../golden/wal-v1");
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function put(store: LogStore, key: string, text: string, more: { dueAt?: number } = {}): void {
  const digest = 2 ** 52 + text.length;
  store.writeEntry(key, {
    bytes: bytesOf(text),
    partition: text.length,
    digest,
    dueAt: 0,
    ...more,
  });
}

/** Every kind of record, three segments, one of them compacted, outlines and a manifest. */
function build(ending: "stopped" | "killed"): MemoryDisk {
  const disk = new MemoryDisk();
  const store = openStore(disk, { seed: 42, segmentByteCountMax: 700 });
  for (let i = 0; i < 8; i++) put(store, `demo\0key ${i}`, `first ${i}`);
  for (let i = 0; i < 6; i++) put(store, `demo\0key ${i}`, `second ${i}`);
  settle(store, disk);
  store.writeMeta("actor", bytesOf("AAAABBBB"));
  put(store, "demo\0käse 😀", "with a deadline", { dueAt: 1_900_000_000_000 });
  store.writeHint("r2", "demo\0key 1", bytesOf("a hint"));
  store.writeHint("r3", "demo\0key 1", bytesOf("another"));
  store.dropHint("r3", "demo\0key 1");
  store.dropEntry("demo\0key 7");
  put(store, "demo\0empty", "");
  if (ending === "stopped") stop(store, disk);
  else while (flush(store, disk));
  if (ending === "killed") {
    const isOpen = (name: string): boolean =>
      name.endsWith(".wal") && disk.byteCount(name.replace(".wal", ".outline")) === undefined;
    const file = disk.list().find(isOpen) ?? "";
    const whole = disk.bytesOf(file);
    // Half of one more record, as an interrupted write leaves it.
    disk.put(file, Uint8Array.from([...whole, ...whole.subarray(32, 70)]));
  }
  return disk;
}

function golden(ending: string): MemoryDisk {
  const disk = new MemoryDisk();
  const dir = join(GOLDEN, ending);
  for (const file of readdirSync(dir)) disk.put(file, readFileSync(join(dir, file)));
  return disk;
}

function expectContents(store: LogStore): void {
  for (let i = 0; i < 6; i++) expect(readText(store, `demo\0key ${i}`)).toBe(`second ${i}`);
  expect(readText(store, "demo\0key 6")).toBe("first 6");
  expect(readText(store, "demo\0key 7")).toBeUndefined();
  expect(readText(store, "demo\0käse 😀")).toBe("with a deadline");
  expect(readText(store, "demo\0empty")).toBe("");
  expect(store.due(2e12, 9)).toEqual(["demo\0käse 😀"]);
  expect(store.summary("demo\0key 6")).toMatchObject({ partition: 7, digest: 2 ** 52 + 7 });
  expect(store.readHint("r2", "demo\0key 1")).toEqual(bytesOf("a hint"));
  expect(store.hintTargets("demo\0key 1")).toEqual(["r2"]);
  expect(store.readMeta("actor")).toEqual(bytesOf("AAAABBBB"));
}

describe("golden files of format version 1", () => {
  for (const ending of ["stopped", "killed"] as const) {
    it(`are what is written today, when the log was ${ending}`, () => {
      const disk = build(ending);
      const dir = join(GOLDEN, ending);
      if (process.env["UPDATE"] === "1") {
        rmSync(dir, { recursive: true, force: true });
        mkdirSync(dir, { recursive: true });
        for (const file of disk.list()) writeFileSync(join(dir, file), disk.bytesOf(file));
      }
      expect(disk.list().toSorted()).toEqual(readdirSync(dir).sort());
      for (const file of disk.list()) {
        expect(Buffer.from(disk.bytesOf(file)).equals(readFileSync(join(dir, file)))).toBe(true);
      }
    });
  }

  it("are read back whole after a clean stop, with the outlines and without", () => {
    const disk = golden("stopped");
    const store = openStore(disk, { seed: 7 });
    expect(store.recovery).toEqual({
      clean: true,
      tornByteCount: 0,
      corruptCount: 0,
      lostKeys: [],
    });
    expectContents(store);
    const outlines = disk.list().filter((name) => name.endsWith(".outline"));
    expect(outlines.length).toBeGreaterThan(1);
    for (const file of outlines) disk.run({ do: "remove", file });
    expectContents(openStore(disk, { seed: 8 }));
  });

  it("of a newer version are refused, wherever that has its checksum", () => {
    const disk = golden("stopped");
    const bytes = Uint8Array.from(disk.bytesOf("manifest"));
    const half = bytes.length / 2;
    const newer = /format version 2; this program reads version 1: start the newer program again$/;
    bytes[7] = 2;
    bytes[half + 7] = 2;
    expect(() => decodeManifest(bytes, checksum)).toThrow(newer);
    for (const at of [0, half]) {
      const end = at + half - 4;
      const sum = checksum(bytes.subarray(at, end), 0);
      new DataView(bytes.buffer).setUint32(end, sum, true);
    }
    expect(() => decodeManifest(bytes, checksum)).toThrow(newer);
    // One rotten byte is no newer version while the other half is whole.
    const rotten = Uint8Array.from(disk.bytesOf("manifest"));
    rotten[7] = 2;
    expect(decodeManifest(rotten, checksum)).toEqual(
      decodeManifest(disk.bytesOf("manifest"), checksum),
    );
  });

  it("are read back after a kill, the torn tail cut", () => {
    const disk = golden("killed");
    const store = openStore(disk, { seed: 7 });
    expect(store.recovery).toMatchObject({ clean: false, tornByteCount: 38, corruptCount: 0 });
    expectContents(store);
    put(store, "demo\0new", "goes on");
    flush(store, disk);
    const again = openStore(disk, { seed: 8 });
    expect(again.recovery.tornByteCount).toBe(0);
    expect(readText(again, "demo\0new")).toBe("goes on");
    expectContents(again);
  });
});
