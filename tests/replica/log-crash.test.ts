import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { segmentFile } from "../../replica/log-format.ts";
import type { LogJob } from "../../replica/log-jobs.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { type CrashMode, MemoryDisk } from "./log-memory-disk.ts";
import {
  flush,
  flushTorn,
  History,
  openStore,
  readText,
  run,
  settle,
  stop,
  write,
} from "./log-run.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Checks that a restart shows every key as it was durable, or as some later write made it. */
function expectKept(store: LogStore, history: History, durableSequence: number): void {
  for (const key of history.keys()) {
    const allowed = history.allowed(key, durableSequence);
    const text = readText(store, key);
    // A write that nobody synced may be there in part, in the middle of others: it is never taken
    // for whole, and is reported as damaged. What was durable before it is there all the same.
    const isFirst = allowed.length > 1 && allowed.includes(undefined);
    if (text === "corrupt" && isFirst) expect(store.recovery.lostKeys).toContain(key);
    else expect(allowed).toContain(text);
  }
}

const ROOM = new Uint8Array(4096);

/** Room ahead of the records, as a host makes it: zeros behind every segment that has any. */
function withRoom(disk: MemoryDisk): MemoryDisk {
  for (const file of disk.list().filter((name) => name.endsWith(".wal"))) {
    const bytes = disk.bytesOf(file);
    if (bytes.length > 32) disk.put(file, Uint8Array.from([...bytes, ...ROOM]));
  }
  return disk;
}

/** One segment, each record flushed by itself, and where each of them ends. */
function filled(records: readonly (readonly [key: string, text: string])[]) {
  const disk = new MemoryDisk();
  const store = openStore(disk, { segmentByteCountMax: 1_000_000 });
  const file = segmentFile(1);
  const ends = [32];
  for (const [key, text] of records) {
    write(store, key, text);
    flush(store, disk);
    ends.push(disk.bytesOf(file).length);
  }
  return { disk, file, ends, whole: disk.bytesOf(file) };
}

/** An unclean stop skips numbers: somebody may have been told of those that were cut. */
const SKIPPED = 2 ** 20;

describe("the log cut at every byte", () => {
  it("recovers exactly the whole records before the cut", () => {
    const values = Array.from({ length: 300 }, (_, i) => [`d\0${i % 40}`, `${i}`] as const);
    const { disk, file, ends, whole } = filled(values);
    let count = 0;
    for (let length = 0; length <= whole.length; length++) {
      while ((ends[count + 1] ?? Infinity) <= length) count++;
      const image = disk.clone();
      image.put(file, whole.slice(0, length));
      const again = openStore(image, { seed: 2 });
      const torn = length < 32 ? 0 : length - (ends[count] ?? 0);
      expect(again.recovery).toMatchObject({ tornByteCount: torn, corruptCount: 0, clean: false });
      const expected = count === 0 ? undefined : String(count - 1);
      expect(readText(again, `d\0${(count - 1) % 40}`)).toBe(expected);
      expect(again.stats().keyCount).toBe(Math.min(40, count));
      if (length % 97 !== 0) continue;
      write(again, "d\0after", "the crash");
      flush(again, image);
      const third = openStore(image, { seed: 3 });
      expect(third.recovery).toMatchObject({ tornByteCount: 0, corruptCount: 0 });
      expect(readText(third, "d\0after")).toBe("the crash");
      expect(readText(third, `d\0${(count - 1) % 40}`)).toBe(expected);
    }
  });

  it("recovers the same with room ahead, and calls only what is torn torn", () => {
    // Values of zeros: only the checksums tell where those end and the room begins.
    const textOf = (i: number): string => (i % 2 === 0 ? "\0".repeat(50 + i) : `${i}`);
    const values = Array.from({ length: 20 }, (_, i) => [`d\0${i % 5}`, textOf(i)] as const);
    const { disk, file, ends, whole } = filled(values);
    let count = 0;
    for (let length = 33; length <= whole.length; length++) {
      while ((ends[count + 1] ?? Infinity) <= length) count++;
      const image = disk.clone();
      image.put(file, whole.slice(0, length));
      const again = openStore(withRoom(image), { seed: 2 });
      const part = whole.subarray(ends[count] ?? 0, length);
      const torn = part.findLastIndex((byte) => byte !== 0) + 1;
      // A value of zeros that was cut off is there all the same.
      const isWhole = again.stats().keyCount > 0 && again.writtenSequence > count + SKIPPED;
      if (!isWhole) {
        expect(again.recovery).toMatchObject({ tornByteCount: torn, corruptCount: 0 });
        expect(again.writtenSequence).toBe(count + SKIPPED);
      }
      expect(again.recovery.clean).toBe(false);
      const end = isWhole ? ends[count + 1] : ends[count];
      expect(image.byteCount(file)).toBe(end);
    }
  });

  it("tells damage from a torn tail with room ahead too", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    for (const text of ["old", "NEWEST", "last"]) write(store, `d\0${text.length}`, text);
    flush(store, disk);
    const bytes = disk.bytesOf(segmentFile(1)).slice();
    bytes[new TextDecoder("latin1").decode(bytes).indexOf("NEWEST")] = 0;
    disk.put(segmentFile(1), bytes);
    const { recovery } = openStore(withRoom(disk), { seed: 2 });
    expect(recovery).toMatchObject({ tornByteCount: 0, corruptCount: 1, lostKeys: ["d\x006"] });
  });

  it("calls it damage, not a torn tail, when the segment had been closed", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    for (let i = 0; i < 10; i++) write(store, `d\0${i}`, `value ${i}`);
    stop(store, disk);
    const whole = disk.bytesOf(segmentFile(1));
    for (let length = 0; length < whole.length; length++) {
      const image = disk.clone();
      image.put(segmentFile(1), whole.slice(0, length));
      const { recovery } = openStore(image, { seed: 2 });
      expect(recovery).toMatchObject({ clean: false, tornByteCount: 0 });
      expect(recovery.corruptCount).toBeGreaterThan(0);
    }
  });
});

describe("a write that tore in the middle of the last flush", () => {
  /** Power fails while the second versions are written: the body of one never reaches the disk. */
  function torn(hole: string): { disk: MemoryDisk; store: LogStore } {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    const writeAll = (text: string): void => {
      write(store, "d\0a", `entry ${text}`);
      store.writeHint("r9", "d\0a", encode(`hint ${text}`));
      store.writeMeta("document", encode(`meta ${text}`));
      write(store, "d\0b", text);
    };
    writeAll("one");
    flush(store, disk);
    writeAll("two");
    flushTorn(store, disk, hole);
    return { disk, store: openStore(disk, { seed: 2 }) };
  }

  const said = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

  it("takes nothing with it that was durable before, neither now nor later", () => {
    const { disk, store } = torn("entry two");
    expect(store.recovery).toMatchObject({ clean: false, corruptCount: 1, lostKeys: ["d\0a"] });
    expect([readText(store, "d\0a"), readText(store, "d\0b")]).toEqual(["entry one", "two"]);
    write(store, "d\0c", "later");
    const steps = store.nextFlush()?.steps ?? [];
    for (let count = 0; count <= steps.length; count++) {
      const again = openStore(disk.crash("drop"), { seed: 3 });
      expect(again.recovery.lostKeys).toEqual(["d\0a"]);
      expect(readText(again, "d\0a")).toBe("entry one");
      const next = steps[count];
      if (next !== undefined) disk.run(next);
    }
  });

  it("leaves the hint and the document that were there before", () => {
    const { store } = torn("hint two");
    expect(said(store.readHint("r9", "d\0a"))).toBe("hint one");
    expect(store.hintCounts()).toEqual(new Map([["r9", 1]]));
    const other = torn("meta two").store;
    expect(said(other.readMeta("document"))).toBe("meta one");
    expect([store.recovery.lostKeys, other.recovery.lostKeys]).toEqual([[], []]);
  });
});

describe("the stop marker", () => {
  it("is gone from the disk before the first record of the next run is there", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    write(store, "d\0a", "one");
    stop(store, disk);
    const next = openStore(disk, { seed: 2 });
    expect(next.recovery.clean).toBe(true);
    write(next, "d\0b", "two");
    for (const step of next.nextFlush()?.steps ?? []) {
      disk.run(step);
      const again = openStore(disk.crash("keep"), { seed: 3 });
      if (readText(again, "d\0b") !== undefined) expect(again.recovery.clean).toBe(false);
    }
    expect(openStore(disk.crash("drop"), { seed: 3 }).recovery.clean).toBe(false);
  });

  it("is not set by a run that took no note of an unclean start", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    write(store, "d\0a", "one");
    flush(store, disk);
    const idle = openStore(disk, { seed: 2 });
    stop(idle, disk);
    const second = openStore(disk, { seed: 3 });
    expect(second.recovery.clean).toBe(false);
    write(second, "d\0actor", "new");
    stop(second, disk);
    expect(openStore(disk, { seed: 4 }).recovery.clean).toBe(true);
  });
});

/** A life with several segments, drops, compactions, outlines and a restart. */
function live(disk: MemoryDisk, history: History, note: (durableSequence: number) => void): void {
  let store = openStore(disk);
  const prng = Prng.fromSeed(7);
  for (let step = 0; step < 160; step++) {
    if (step === 80) {
      stop(store, disk);
      store = openStore(disk, { seed: 5 });
    }
    const key = `d\0${prng.below(12)}`;
    if (prng.chance(1, 4)) history.drop(store, key);
    else history.put(store, key, `${step} ${"x".repeat(prng.below(90))}`);
    if (step % 3 === 0) {
      flush(store, disk);
      note(store.durableSequence);
    }
    const job = step % 2 === 0 ? store.nextBackground() : undefined;
    if (job !== undefined) run(store, disk, job);
  }
  settle(store, disk);
  note(store.durableSequence);
  expect(store.metrics().compactionsCount).toBeGreaterThan(2);
}

class Crash extends Error {}

describe("a crash at every step of a life with compactions", () => {
  const modes: [string, (at: number) => CrashMode][] = [
    ["that drops what was not synced", () => "drop"],
    ["of the process alone", () => "keep"],
    ["that keeps any part of it", (at) => ({ prng: Prng.fromSeed(at) })],
  ];
  for (const [name, modeAt] of modes) {
    it(`${name} loses nothing that was durable and brings nothing back`, () => {
      const whole = new MemoryDisk();
      live(whole, new History(), () => {});
      expect(whole.stepsCount).toBeGreaterThan(330);
      for (let at = 0; at < whole.stepsCount; at++) {
        const disk = new MemoryDisk();
        const history = new History();
        let durable = 0;
        disk.fault = (step, number) => {
          if (number > at || (number === at && step.do !== "write")) throw new Crash();
          return number === at ? { kind: "failed", partial: true } : undefined;
        };
        try {
          live(disk, history, (sequence) => {
            durable = sequence;
          });
        } catch (error) {
          if (!(error instanceof Crash) && !String(error).includes("takes no writes")) throw error;
        }
        const mode = modeAt(at);
        expectKept(openStore(disk.crash(mode), { seed: 99 }), history, durable);
        const roomy = typeof mode === "string" ? mode : { prng: Prng.fromSeed(at) };
        expectKept(openStore(withRoom(disk.crash(roomy)), { seed: 99 }), history, durable);
      }
    });
  }
});

/** A log that is written, flushed, compacted and crashed by dice. */
class RandomLife {
  readonly #prng: Prng;
  readonly #history = new History();
  #disk = new MemoryDisk();
  #store: LogStore;
  /** The jobs under way, and how many of their steps are done. */
  #jobs: { readonly job: LogJob; doneCount: number }[] = [];
  crashesCount = 0;

  constructor(seed: number) {
    this.#prng = Prng.fromSeed(seed);
    this.#store = openStore(this.#disk, { seed });
  }

  step(number: number): void {
    const key = `d\0${this.#prng.below(8)}`;
    const dice = this.#prng.below(20);
    if (dice < 8) {
      const text = `${number} ${"y".repeat(this.#prng.below(200))}`;
      this.#history.put(this.#store, key, text);
    } else if (dice < 11) this.#history.drop(this.#store, key);
    else if (dice < 12) this.#begin(this.#store.nextFlush());
    else if (dice < 13) this.#begin(this.#store.nextBackground({ leavesDying: number % 2 === 0 }));
    else if (dice < 18) this.#advance();
    else if (dice === 18) this.#settle();
    else if (this.#prng.chance(1, 3)) this.#crash(number);
    expect(readText(this.#store, key)).toBe(this.#history.newest(key));
  }

  #begin(job: LogJob | undefined): void {
    if (job !== undefined) this.#jobs.push({ job, doneCount: 0 });
  }

  /** Some steps of the flush and of the background, in any order between the two. */
  #advance(): void {
    for (let i = this.#prng.below(6); i > 0 && this.#jobs.length > 0; i--) {
      const at = this.#prng.below(this.#jobs.length);
      const running = this.#jobs[at];
      const step = running?.job.steps[running.doneCount];
      if (running === undefined) continue;
      if (step !== undefined) this.#disk.run(step);
      running.doneCount += step === undefined ? 0 : 1;
      if (running.doneCount < running.job.steps.length) continue;
      this.#store.finished(running.job, { doneCount: running.doneCount });
      this.#jobs.splice(at, 1);
    }
  }

  #settle(): void {
    while (this.#jobs.length > 0) this.#advance();
    settle(this.#store, this.#disk);
  }

  #crash(number: number): void {
    const { durableSequence } = this.#store;
    const mode = this.#prng.chance(2, 3) ? { prng: this.#prng } : "drop";
    this.#jobs = [];
    this.#disk = this.#disk.crash(mode);
    if (this.#prng.chance(1, 2)) withRoom(this.#disk);
    this.#store = openStore(this.#disk, { seed: 1000 + number });
    if (this.#prng.chance(1, 2)) this.#store.lossesHealed();
    expectKept(this.#store, this.#history, durableSequence);
    this.#history.rebase(this.#store);
    this.crashesCount++;
  }
}

describe("a random life with crashes", () => {
  it("never shows a state that was not written, nor one older than what was durable", () => {
    let crashesCount = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const life = new RandomLife(seed);
      for (let step = 0; step < 400; step++) life.step(step);
      crashesCount += life.crashesCount;
    }
    expect(crashesCount).toBeGreaterThan(1000);
  });
});
