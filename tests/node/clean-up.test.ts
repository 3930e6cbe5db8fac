/**
 * A replica gives up what it does not own, whatever became of its note that it had no such thing.
 */
import { describe, expect, it } from "vitest";
import { encode } from "../../core/codec.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { Message } from "../../core/messages.ts";
import type { Recovery } from "../../core/store.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { agreedRing } from "../../ring/ring-document.ts";
import { written } from "../replica/probe.ts";
import { Bench } from "./bench.ts";
import { keyWhere } from "./keys.ts";

/** r1 in a ring that all have agreed on; with the store of a run before, or an empty one. */
function benchWith(store = new MemoryStore()): Bench {
  const bench = new Bench({ store });
  const { knowledge } = bench;
  knowledge.learn({ ...knowledge.document, ring: agreedRing(knowledge.document.ring) });
  return bench;
}

/** A key that r1 does not own. */
const strayOf = ({ knowledge }: Bench): string =>
  keyWhere(knowledge.ring, (owners) => !owners.includes("r1"));

/** A read repair for an owner of before; what follows from it is not on stable storage. */
function repair(bench: Bench, key: string): void {
  const entry = encodeEntry(written("late"), null);
  const body = { kind: "store", key, entry, hintFor: null, ack: "received", tells: false } as const;
  const head = { type: "request", call: 1, budgetMs: 2000, trace: "" } as const;
  const message: Message = { ...head, stamp: bench.knowledge.stamp, body };
  bench.node.step({ kind: "message", from: "r2#1", message }, bench.clocks);
}

/** Whether it compares itself with owners, to give up what it holds. */
const looks = (bench: Bench): boolean =>
  bench
    .step({ kind: "job", name: "change" })
    .some(({ kind, ...rest }) => kind === "send" && JSON.stringify(rest).includes('"roots"'));

/** The store of a disk that has the stray, and no notes but those that are given. */
function found(recovery: Recovery, notes: readonly number[]): MemoryStore {
  const bench = benchWith();
  const key = strayOf(bench);
  repair(bench, key);
  const summary = bench.store.summary(key);
  const bytes = bench.store.readEntry(key);
  if (summary === undefined || bytes === undefined) throw new Error("the stray is stored");
  const store = new MemoryStore(recovery);
  store.writeEntry(key, { bytes, ...summary, dueAt: 0 });
  for (const note of notes) store.writeMeta("clean", encode(note));
  store.flush();
  return store;
}

const whole: Recovery = { clean: true, tornByteCount: 0, corruptCount: 0, lostKeys: [] };
const damaged: Recovery = { ...whole, clean: false, corruptCount: 1 };

describe("a replica that holds what it does not own", () => {
  it("looks for it after a power cut, wherever that cut off what it had just written", () => {
    const bench = benchWith();
    expect(looks(bench)).toBe(false);
    bench.store.flush();
    const before = bench.store.writtenCount;
    const key = strayOf(bench);
    repair(bench, key);
    const counts = Array.from({ length: bench.store.writtenCount - before + 1 }, (_, i) => i);
    const seen = counts.map((count) => {
      const after = benchWith(bench.store.crash(count));
      return [after.store.summary(key) !== undefined, looks(after)];
    });
    expect(seen[0]).toEqual([false, false]);
    expect(seen.slice(1)).toEqual(counts.slice(1).map(() => [true, true]));
  });

  it.each([
    ["is damaged", damaged, []],
    ["is damaged, and an older one is not", damaged, [1]],
    ["has rotted where a start reads nothing", whole, []],
  ])("looks for it when the note of it %s", (_, recovery, notes) => {
    const store = found(recovery, notes);
    expect(looks(benchWith(store))).toBe(true);
  });

  it("does so after a clean stop, too, when it had not come to it", () => {
    const store = found(damaged, [1]);
    benchWith(store);
    store.flush();
    const after = store.crash();
    expect(after.recovery.clean).toBe(true);
    expect(looks(benchWith(after))).toBe(true);
  });

  it("does not look again when it has none and has said so", () => {
    const first = benchWith();
    first.step({ kind: "job", name: "change" });
    first.store.flush();
    const after = benchWith(first.store.crash());
    expect(after.node.service?.jobs.cleanUp.isPending).toBe(false);
  });
});
