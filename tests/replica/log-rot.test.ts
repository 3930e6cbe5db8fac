import { describe, expect, it } from "vitest";
import { LogFolderError } from "../../replica/log-disk.ts";
import { segmentFile } from "../../replica/log-format.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { flush, History, openStore, readText, settle, stop, write } from "./log-run.ts";

type Ending = "stopped" | "stopped without outlines" | "killed";

/** A small log with all that a log can hold: some segments, drops, a compacted one, outlines. */
function smallLog(ending: Ending): { disk: MemoryDisk; history: History } {
  const disk = new MemoryDisk();
  const history = new History();
  const options = { segmentByteCountMax: 400 };
  const store = openStore(disk, options);
  for (let i = 0; i < 8; i++) history.put(store, `d\0${i}`, `value ${i}`);
  for (let i = 0; i < 6; i++) history.put(store, `d\0${i}`, `other ${i}`);
  history.drop(store, "d\x005");
  settle(store, disk);
  expect(store.metrics().compactionsCount).toBeGreaterThan(0);
  for (let i = 0; i < 6; i++) history.put(store, `d\0${i % 4}`, `later ${i}`);
  history.drop(store, "d\x002");
  history.drop(store, "d\x007");
  if (ending === "killed") while (flush(store, disk));
  else stop(store, disk);
  const outlines = disk.list().filter((name) => name.endsWith(".outline"));
  expect(outlines.length).toBeGreaterThan(0);
  if (ending === "stopped without outlines") {
    for (const file of outlines) disk.run({ do: "remove", file });
  }
  return { disk, history };
}

const isSuspect = ({ recovery }: LogStore): boolean =>
  recovery.corruptCount > 0 || recovery.tornByteCount > 0 || recovery.lostKeys.length > 0;

/** Never a value that was not written; and one that is not the newest only with a warning. */
function expectHonest(store: LogStore, history: History): void {
  for (const key of history.keys()) {
    const text = readText(store, key);
    if (text === "corrupt") continue;
    if (isSuspect(store)) expect(history.ever(key)).toContain(text);
    else expect(text).toBe(history.newest(key));
  }
  if (isSuspect(store)) expect(store.recovery.clean).toBe(false);
}

/** Starts on a disk in which one bit is flipped, and now and then lives on. */
function flip(log: { disk: MemoryDisk; history: History }, file: string, bit: number): LogStore {
  const { disk, history } = log;
  const image = disk.clone();
  const rotten = disk.bytesOf(file).slice();
  rotten[bit >> 3] = (rotten[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  image.put(file, rotten);
  const store = openStore(image, { seed: bit + 2 });
  expectHonest(store, history);
  if (bit % 61 !== 0) return store;
  write(store, "d\0after", "the flip");
  store.lossesHealed();
  settle(store, image);
  expectHonest(store, history);
  const again = openStore(image, { seed: bit });
  expect(readText(again, "d\0after")).toBe("the flip");
  for (const key of history.keys()) {
    expect(["corrupt", ...history.ever(key)]).toContain(readText(again, key));
  }
  return store;
}

describe("every single bit of a log flipped", () => {
  // With outlines the damage shows only when a value is read; without, at the start.
  const endings: [Ending, number][] = [
    ["stopped", 0],
    ["stopped without outlines", 5000],
    ["killed", 1000],
  ];
  for (const [ending, suspectCountMin] of endings) {
    it(`never gives a wrong value nor stops the start, when it was ${ending}`, () => {
      const log = smallLog(ending);
      const files = log.disk.list();
      expect(files.filter((file) => file.endsWith(".wal")).length).toBeGreaterThan(1);
      let suspectCount = 0;
      for (const file of files) {
        const bitsCount = log.disk.bytesOf(file).length * 8;
        for (let bit = 0; bit < bitsCount; bit++) {
          if (isSuspect(flip(log, file, bit))) suspectCount++;
        }
      }
      expect(suspectCount).toBeGreaterThanOrEqual(suspectCountMin);
    });
  }
});

describe("damage in the middle", () => {
  function damagedBody(): { disk: MemoryDisk; store: LogStore } {
    const disk = new MemoryDisk();
    const store = openStore(disk, { segmentByteCountMax: 100_000 });
    write(store, "d\0a", "old");
    write(store, "d\0b", "first");
    write(store, "d\0a", "NEWEST");
    write(store, "d\0c", "last");
    flush(store, disk);
    const file = segmentFile(1);
    const bytes = disk.bytesOf(file).slice();
    bytes[new TextDecoder("latin1").decode(bytes).indexOf("NEWEST")] = 0;
    const image = disk.clone();
    image.put(file, bytes);
    return { disk: image, store: openStore(image, { seed: 2 }) };
  }

  it("names the key, which is at its older record again, and keeps the rest", () => {
    const { disk, store } = damagedBody();
    expect(store.recovery).toEqual({
      clean: false,
      tornByteCount: 0,
      corruptCount: 1,
      lostKeys: ["d\0a"],
    });
    expect(readText(store, "d\0a")).toBe("old");
    expect(readText(store, "d\0b")).toBe("first");
    expect(readText(store, "d\0c")).toBe("last");
    expect([...store.entriesOf(3)].map(({ key }) => key)).toEqual(["d\0a", "d\0b", "d\0c"]);
    expect(disk.byteCount(segmentFile(1))).toBeGreaterThan(150);
  });

  it("is remembered by compaction until the key is written again", () => {
    const { disk, store } = damagedBody();
    for (let i = 0; i < 20; i++) write(store, i % 2 ? "d\0b" : "d\0c", "x".repeat(150));
    settle(store, disk);
    expect(store.metrics().compactionsCount).toBeGreaterThan(0);
    stop(store, disk);
    const again = openStore(disk, { seed: 3 });
    expect(again.recovery).toMatchObject({ clean: false, corruptCount: 1, lostKeys: ["d\0a"] });
    expect(readText(again, "d\0a")).toBe("old");
    write(again, "d\0a", "healed");
    stop(again, disk);
    const healed = openStore(disk, { seed: 4 });
    expect(healed.recovery).toMatchObject({ clean: true, corruptCount: 0, lostKeys: [] });
    expect(readText(healed, "d\0a")).toBe("healed");
  });

  it("keeps the traces of unknown losses until they are healed", () => {
    const { disk } = smallLog("stopped");
    const file = segmentFile(1 + Math.max(...segmentNumbers(disk)) - 1);
    const bytes = disk.bytesOf(file).slice();
    bytes[33] = (bytes[33] ?? 0) ^ 1;
    disk.put(file, bytes);
    for (const outline of disk.list().filter((name) => name.endsWith(".outline"))) {
      disk.run({ do: "remove", file: outline });
    }
    const first = openStore(disk, { seed: 2 });
    expect(first.recovery).toMatchObject({ clean: false, corruptCount: 1, lostKeys: [] });
    settle(first, disk);
    stop(first, disk);
    const second = openStore(disk, { seed: 3 });
    expect(second.recovery.corruptCount).toBe(1);
    second.lossesHealed();
    settle(second, disk);
    write(second, "d\0z", "z");
    stop(second, disk);
    expect(openStore(disk, { seed: 4 }).recovery).toMatchObject({ clean: true, corruptCount: 0 });
  });
});

const segmentNumbers = (disk: MemoryDisk): number[] =>
  disk
    .list()
    .filter((file) => file.endsWith(".wal"))
    .map((file) => Number.parseInt(file, 10));

describe("a folder that is not as the manifest says", () => {
  const expectRefused = (disk: MemoryDisk, line: RegExp): void => {
    expect(() => openStore(disk, { seed: 2 })).toThrow(LogFolderError);
    expect(() => openStore(disk, { seed: 2 })).toThrow(line);
  };

  it("stops the start when a segment is missing", () => {
    const { disk } = smallLog("stopped");
    const file = segmentFile(Math.max(...segmentNumbers(disk)));
    disk.run({ do: "remove", file });
    expectRefused(disk, /^the segment \d{10}\.wal is missing$/);
  });

  it("stops the start when a segment is of another log", () => {
    const { disk } = smallLog("stopped");
    const other = new MemoryDisk();
    const store = openStore(other, { seed: 1234 });
    for (let i = 0; i < 40; i++) write(store, `d\0${i}`, `value ${i}`.repeat(5));
    stop(store, other);
    const number = Math.max(...segmentNumbers(disk));
    const swapped = disk.clone();
    swapped.put(segmentFile(number), other.bytesOf(segmentFile(1)));
    expectRefused(swapped, /is of another log$/);
    const added = disk.clone();
    added.put(segmentFile(number + 5), other.bytesOf(segmentFile(1)));
    expectRefused(added, /is of another log$/);
  });

  it("stops the start when the manifest is older than the segments, or gone", () => {
    const { disk } = smallLog("stopped");
    const old = disk.bytesOf("manifest");
    const store = openStore(disk, { seed: 9 });
    write(store, "d\0a", "newer than the manifest");
    stop(store, disk);
    const restored = disk.clone();
    restored.put("manifest", old);
    expectRefused(restored, /is newer than the manifest$/);
    disk.run({ do: "remove", file: "manifest" });
    expectRefused(disk, /there is no manifest/);
  });

  it("stops the start when the format is of a later version", () => {
    const { disk } = smallLog("stopped");
    const bytes = disk.bytesOf("manifest").slice();
    expect(bytes[7]).toBe(1);
    bytes.fill(0);
    disk.put("manifest", bytes);
    expectRefused(disk, /both copies in the manifest are damaged/);
  });
});
