import { describe, expect, it } from "vitest";
import { encodeEntry } from "../../core/entry-codec.ts";
import { KEY, written } from "../replica/probe.ts";
import { Bench, repliesIn } from "./bench.ts";
import { conditionalWrite } from "./writes.ts";

const read = { kind: "read", key: KEY, digestOnly: false, durably: false } as const;

describe("a request whose caller waits no more", () => {
  it("costs nothing: it is neither answered nor carried out", () => {
    const bench = new Bench();
    expect(bench.ask(read, 1)).toHaveLength(1);
    expect(bench.ask(read, 0)).toEqual([]);
    expect(bench.ask({ kind: "handoff" }, 0)).toEqual([]);
    expect(bench.knowledge.counters.lateRequests).toBe(2);
  });

  it("is carried out all the same when it brings what is to be kept", () => {
    const bench = new Bench();
    const entry = encodeEntry(written("late"), null);
    bench.ask({ kind: "store", key: KEY, entry, hintFor: null, ack: "received", tells: false }, 0);
    expect(bench.store.readEntry(KEY)).toBeDefined();
    expect(bench.knowledge.counters.lateRequests).toBe(0);
  });

  it("mints nothing when its precondition was read too late", () => {
    for (const isLate of [false, true]) {
      const bench = new Bench();
      const effects = bench.step({
        kind: "message",
        from: "r2#1",
        message: {
          type: "request",
          call: 1,
          stamp: bench.knowledge.stamp,
          budgetMs: 500,
          trace: "",
          body: conditionalWrite,
        },
      });
      bench.now += isLate ? 501 : 100;
      const reads = effects.flatMap((effect) => (effect.kind === "send" ? [effect] : []));
      const body = { kind: "held", digest: 0, entry: null, isUnknown: false } as const;
      const later = reads.flatMap(({ to, message: { call } }) =>
        bench.step({ kind: "message", from: to, message: { type: "reply", call, body } }),
      );
      expect(reads.length).toBeGreaterThan(0);
      expect(bench.store.stats().keyCount + bench.store.hintCounts().size).toBe(isLate ? 0 : 1);
      expect(repliesIn(later)).toEqual([]);
    }
  });
});
