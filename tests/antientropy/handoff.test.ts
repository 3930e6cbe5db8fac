import { describe, expect, it, vi } from "vitest";
import { HandoffRound, type HintsMoving } from "../../antientropy/handoff.ts";
import type { RequestOf } from "../../core/messages.ts";
import { StoreCorruption } from "../../core/store.ts";
import { MemoryStore } from "../../replica/memory-store.ts";

const limits = {
  batchCountMax: 2,
  batchBytesMax: 100,
  batchTimeoutMs: 1000,
  bytesPerSecondMax: 1e9,
};
const stored = { kind: "stored", durable: true } as const;

function roundOver(store: MemoryStore, given = limits, moving: HintsMoving = () => {}) {
  const sent: RequestOf<"deliver">[] = [];
  const finished: number[] = [];
  const round = new HandoffRound(
    { target: "r9", store, limits: given, moving },
    { ask: (_, body) => sent.push(body), finish: (r) => finished.push(r.deliveredCount) },
  );
  round.start(0);
  return { round, sent, finished };
}

function storeWith(keys: readonly string[]): MemoryStore {
  const store = new MemoryStore();
  for (const [i, key] of keys.entries()) store.writeHint("r9", key, new Uint8Array([i, 1, 2]));
  return store;
}

describe("a handoff round", () => {
  it("delivers batch after batch and drops hints only when they are durable there", () => {
    const store = storeWith(["n\0a", "n\0b", "n\0c"]);
    const { round, sent, finished } = roundOver(store);
    expect(sent[0]?.items).toHaveLength(2);
    expect(store.hintCounts().get("r9")).toBe(3);
    round.reply("r9", stored, 1);
    expect(store.hintCounts().get("r9")).toBe(1);
    round.reply("r9", stored, 2);
    expect(store.hintCounts().size).toBe(0);
    expect(finished).toEqual([3]);
  });

  it("reads no hint again to drop it, where the store can say whether it is the same", () => {
    const store = storeWith(["n\0a", "n\0b"]);
    const { round } = roundOver(store, { ...limits, bytesPerSecondMax: 1 });
    // This store looks for a hint by reading it before it drops it.
    const dropHint = vi.spyOn(store, "dropHint").mockImplementation(() => {});
    const readHint = vi.spyOn(store, "readHint");
    round.reply("r9", stored, 1);
    expect(dropHint.mock.calls).toEqual([
      ["r9", "n\0a"],
      ["r9", "n\0b"],
    ]);
    expect(readHint).not.toHaveBeenCalled();
  });

  it("says where a batch went before it drops the first of it", () => {
    const store = storeWith(["n\0a", "n\0b", "n\0c"]);
    const told: unknown[] = [];
    const { round } = roundOver(store, limits, (...moving) => {
      told.push([...moving, store.hintCounts().get("r9")]);
    });
    round.reply("r9", stored, 1);
    expect(told).toEqual([["r9", ["n\0a", "n\0b"], ["r9"], 3]]);
  });

  it("keeps every hint when the target refuses, fails or is silent", () => {
    for (const end of ["refused", "failed", "silent"] as const) {
      const store = storeWith(["n\0a"]);
      const { round, finished } = roundOver(store);
      if (end === "refused") round.reply("r9", { kind: "refused", code: "disk" }, 1);
      else if (end === "failed") round.failed();
      else round.wake(round.wakeAt);
      expect(finished).toEqual([0]);
      expect(store.hintCounts().get("r9")).toBe(1);
    }
  });

  it("skips a hint that cannot be read just now, and keeps it", () => {
    const store = storeWith(["n\0a", "n\0b"]);
    const read = store.readHint.bind(store);
    vi.spyOn(store, "readHint").mockImplementation((target, key) => {
      if (key === "n\0a") throw new StoreCorruption("EIO");
      return read(target, key);
    });
    const { round, sent, finished } = roundOver(store);
    expect(sent[0]?.items.map(([key]) => key)).toEqual(["n\0b"]);
    round.reply("r9", stored, 1);
    expect(finished).toEqual([1]);
    vi.restoreAllMocks();
    expect(store.hintedKeys("r9", 9)).toEqual(["n\0a"]);
  });

  it("drops no hint for a copy that is in memory alone", () => {
    const store = storeWith(["n\0a"]);
    const { round } = roundOver(store);
    round.reply("r9", { kind: "stored", durable: false }, 1);
    expect(store.hintCounts().get("r9")).toBe(1);
  });

  it("keeps a hint that a write has joined while it was on its way", () => {
    const store = storeWith(["n\0a"]);
    const { round, sent, finished } = roundOver(store);
    store.writeHint("r9", "n\0a", new Uint8Array([9, 9]));
    round.reply("r9", stored, 1);
    expect(store.readHint("r9", "n\0a")).toEqual(new Uint8Array([9, 9]));
    expect(sent).toHaveLength(2);
    round.reply("r9", stored, 2);
    expect(finished).toEqual([1]);
    expect(store.hintCounts().size).toBe(0);
  });

  it("ends when its own disk has failed, rather than deliver the same for ever", () => {
    const store = storeWith(["n\0a"]);
    const { round, sent, finished } = roundOver(store);
    Object.assign(store, { health: () => "failed", dropHint: () => {} });
    round.reply("r9", stored, 1);
    expect([sent.length, finished]).toEqual([1, [0]]);
  });

  it("keeps to its rate", () => {
    const store = storeWith(["n\0a", "n\0b", "n\0c"]);
    // Two hints of three bytes are six bytes: at six bytes a second the third goes a second later.
    const { round, sent } = roundOver(store, { ...limits, bytesPerSecondMax: 6 });
    round.reply("r9", stored, 10);
    expect([sent.length, round.wakeAt]).toEqual([1, 1000]);
    round.wake(1000);
    expect(sent.length).toBe(2);
  });
});
