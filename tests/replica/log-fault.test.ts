import { describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { StoreCorruption } from "../../core/store.ts";
import { beginIncarnation } from "../../replica/incarnation.ts";
import { DiskFailure } from "../../replica/log-disk.ts";
import type { LogStore } from "../../replica/log-store.ts";
import { type Fault, MemoryDisk } from "./log-memory-disk.ts";
import { flush, History, openStore, readText, run, settle, stop, write } from "./log-run.ts";

interface Life {
  readonly disk: MemoryDisk;
  readonly history: History;
  store: LogStore;
  durableSequence: number;
}

/** Writes with flushes and background work until done, or until the store takes no more. */
function live(life: Life): void {
  const prng = Prng.fromSeed(3);
  for (let step = 0; step < 120; step++) {
    const key = `d\0${prng.below(10)}`;
    if (life.store.health() !== "writable") return;
    if (prng.chance(1, 5)) life.history.drop(life.store, key);
    else life.history.put(life.store, key, `${step} ${"x".repeat(prng.below(90))}`);
    if (step % 4 === 0) flush(life.store, life.disk);
    life.durableSequence = life.store.durableSequence;
    const job = life.store.nextBackground();
    if (job !== undefined) run(life.store, life.disk, job);
  }
  if (life.store.health() !== "writable") return;
  settle(life.store, life.disk);
  life.durableSequence = life.store.durableSequence;
}

function begin(disk: MemoryDisk): Life {
  return { disk, history: new History(), store: openStore(disk), durableSequence: 0 };
}

const stepsCount = ((): number => {
  const life = begin(new MemoryDisk());
  live(life);
  return life.disk.stepsCount;
})();

function expectReadable({ store, history }: Life): void {
  for (const key of history.keys()) expect(readText(store, key)).toBe(history.newest(key));
}

function expectKept(disk: MemoryDisk, { history, durableSequence }: Life): void {
  const store = openStore(disk, { seed: 77 });
  for (const key of history.keys()) {
    expect(history.allowed(key, durableSequence)).toContain(readText(store, key));
  }
}

describe("a fault at every step in turn", () => {
  const failures: [string, Fault][] = [
    ["EIO", { kind: "failed", partial: false }],
    ["EIO after a short write", { kind: "failed", partial: true }],
  ];
  for (const [name, fault] of failures) {
    it(`${name}: writing ends, reading goes on, nothing durable is lost`, () => {
      for (let at = 0; at < stepsCount; at++) {
        const life = begin(new MemoryDisk());
        life.disk.fault = (_, number) => (number === at ? fault : undefined);
        live(life);
        expect(life.store.health()).toBe("failed");
        expect(() => write(life.store, "d\0no", "more")).toThrow(/takes no writes/);
        expect(life.store.nextFlush({ retry: true })).toBeUndefined();
        expect(life.store.nextBackground()).toBeUndefined();
        expect(life.store.nextStop()).toBeUndefined();
        expectReadable(life);
        expectKept(life.disk.crash("drop"), life);
        expectKept(life.disk.crash("keep"), life);
      }
    });
  }

  it("never syncs again what failed to sync", () => {
    const life = begin(new MemoryDisk());
    let syncsAfter = 0;
    let failed = false;
    life.disk.fault = (step, number) => {
      if (failed && step.do === "sync") syncsAfter++;
      if (number < 40 || failed || step.do !== "sync") return undefined;
      failed = true;
      return { kind: "failed", partial: false };
    };
    live(life);
    stop(life.store, life.disk);
    expect([failed, syncsAfter]).toEqual([true, 0]);
  });

  it("ENOSPC: goes on where it stopped when there is room, and loses nothing", () => {
    let fullCount = 0;
    for (let at = 0; at < stepsCount; at++) {
      for (const partial of [false, true]) {
        const life = begin(new MemoryDisk());
        let isFull = true;
        const isWrite = (what: string): boolean => what !== "sync" && what !== "sync-folder";
        life.disk.fault = (step, number) =>
          isFull && number >= at && isWrite(step.do) ? { kind: "full", partial } : undefined;
        live(life);
        expect(life.store.health()).not.toBe("failed");
        expectReadable(life);
        expectKept(life.disk.crash("keep"), life);
        if (life.store.health() === "full") {
          fullCount++;
          expect(flush(life.store, life.disk)).toBe(false);
          flush(life.store, life.disk, { retry: true });
          expect(life.store.health()).toBe("full");
          isFull = false;
          flush(life.store, life.disk, { retry: true });
        }
        isFull = false;
        life.store.retryBackground();
        expect(life.store.health()).toBe("writable");
        live(life);
        expectReadable(life);
        expectKept(life.disk.crash("drop"), life);
      }
    }
    expect(fullCount).toBeGreaterThan(100);
  });

  it("a drop on a full disk waits for room, and so does what a node knows of itself", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    write(store, "d\0a", "one");
    flush(store, disk);
    write(store, "d\0b", "two");
    disk.fault = () => ({ kind: "full", partial: true });
    flush(store, disk);
    expect(store.health()).toBe("full");
    store.dropEntry("d\0a");
    store.writeMeta("document", new Uint8Array([7]));
    disk.fault = () => undefined;
    flush(store, disk, { retry: true });
    flush(store, disk);
    const again = openStore(disk.crash("drop"), { seed: 2 });
    expect([readText(again, "d\0a"), readText(again, "d\0b")]).toEqual([undefined, "two"]);
    expect(again.readMeta("document")).toEqual(new Uint8Array([7]));
  });
});

describe("a disk that cannot be read", () => {
  it("stops the start, and the next start goes on as if nothing had been", () => {
    const life = begin(new MemoryDisk());
    live(life);
    for (const file of life.disk.list().filter((name) => !name.endsWith(".outline"))) {
      const image = life.disk.clone();
      image.readFault = (name) => name === file;
      expect(() => openStore(image, { seed: 5 })).toThrow(/EIO/);
      image.readFault = () => false;
      expectReadable({ ...life, store: openStore(image, { seed: 5 }) });
    }
  });

  it("has a replica take nothing that it noted for not there, whichever one read fails", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    const prng = Prng.fromSeed(4);
    const first = beginIncarnation({ store, prng });
    store.writeMeta("promise", new Uint8Array([7]));
    write(store, "d\0a", "one");
    flush(store, disk);
    let failedCount = 0;
    for (let at = 1; failedCount === at - 1; at++) {
      const image = disk.crash("drop");
      let readsCount = 0;
      image.readFault = () => ++readsCount === at && ++failedCount > 0;
      let next: LogStore;
      try {
        next = openStore(image, { seed: 5 });
      } catch (error) {
        expect(error).toBeInstanceOf(DiskFailure);
        continue;
      }
      expect(beginIncarnation({ store: next, prng })).toBeGreaterThan(first);
      expect(next.readMeta("promise")).toEqual(new Uint8Array([7]));
    }
    expect(failedCount).toBeGreaterThan(3);
  });

  it("has a replica whose notes are damaged begin a life of a number that it never had", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    const prng = Prng.fromSeed(4);
    const first = beginIncarnation({ store, prng });
    write(store, "d\0a", "one");
    flush(store, disk);
    stop(store, disk);
    const [file = ""] = disk.list().filter((name) => name.endsWith(".wal"));
    const bytes = disk.bytesOf(file);
    const at = bytes.findIndex((_, i) =>
      Buffer.from(bytes.subarray(i)).toString("latin1").startsWith("incarnation"),
    );
    const last = at + "incarnation".length;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    const next = openStore(disk, { seed: 5 });
    expect(next.recovery).toMatchObject({ clean: false, corruptCount: 1 });
    expect(beginIncarnation({ store: next, prng })).toBeGreaterThan(first + 2 ** 31);
    expect(next.readMeta("incarnation")).toBeDefined();
  });

  it("keeps a hint that it does not give back once", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    store.writeHint("r9", "d\0a", new Uint8Array([7]));
    flush(store, disk);
    disk.readFault = () => true;
    expect(() => store.readHint("r9", "d\0a")).toThrow(StoreCorruption);
    settle(store, disk);
    disk.readFault = () => false;
    expect(store.readHint("r9", "d\0a")).toEqual(new Uint8Array([7]));
  });

  it("says corrupt, not missing, of an entry; and compaction keeps that knowledge", () => {
    const disk = new MemoryDisk();
    const store = openStore(disk);
    write(store, "d\0a", "old");
    write(store, "d\0a", "new");
    write(store, "d\0b", "other");
    flush(store, disk);
    disk.readFault = () => true;
    expect(readText(store, "d\0a")).toBe("corrupt");
    settle(store, disk);
    disk.readFault = () => false;
    expect(readText(store, "d\0a")).toBe("new");
  });
});
