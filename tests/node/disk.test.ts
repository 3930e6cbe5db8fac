import { describe, expect, it } from "vitest";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { Message, Request } from "../../core/messages.ts";
import type { Effect, Input } from "../../src/node/boundary.ts";
import { KEY, written } from "../replica/probe.ts";
import { Bench, repliesIn } from "./bench.ts";
import { conditionalWrite } from "./writes.ts";

const requestOf = (bench: Bench, body: Request): Input => {
  const { stamp } = bench.knowledge;
  const message: Message = { type: "request", call: 1, stamp, budgetMs: 2000, trace: "", body };
  return { kind: "message", from: "r2#1", message };
};

const flushesIn = (effects: readonly Effect[]): readonly number[] =>
  effects.flatMap((effect) => (effect.kind === "flush" ? [effect.token] : []));

describe("a read for a strict quorum", () => {
  const read = { kind: "read", key: KEY, digestOnly: false, durably: true } as const;

  it("is answered when what it tells of is on stable storage, and refused when it never is", () => {
    for (const ok of [true, false]) {
      const bench = new Bench();
      const entry = encodeEntry(written("new"), null);
      const stored = { kind: "store", key: KEY, entry, hintFor: "", ack: 0 } as const;
      bench.node.step(requestOf(bench, stored), bench.now);
      const effects = bench.node.step(requestOf(bench, read), bench.now);
      expect(repliesIn(effects)).toEqual([]);
      const [token] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token: token ?? 0, ok }, bench.now);
      expect(repliesIn(later).map(({ kind }) => kind)).toEqual([ok ? "held" : "refused"]);
    }
  });
});

describe("a disk that fails while a precondition is read", () => {
  it("has the write refused, and nothing is thrown", () => {
    const bench = new Bench();
    const asked = bench.step(requestOf(bench, conditionalWrite));
    bench.store.setHealth("failed");
    const held = encodeEntry(written("there"), null);
    const body = { kind: "held", digest: 1, entry: held, isUnknown: false } as const;
    const later = asked.flatMap((effect) =>
      effect.kind !== "send"
        ? []
        : bench.step({
            kind: "message",
            from: effect.to,
            message: { type: "reply", call: effect.message.call, body },
          }),
    );
    expect(repliesIn(later)).toEqual([{ kind: "refused", code: "insufficient-storage" }]);
  });
});
