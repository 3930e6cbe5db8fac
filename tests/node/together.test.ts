import { describe, expect, it } from "vitest";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { Ack } from "../../core/message-values.ts";
import type { Request } from "../../core/messages.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";
import { KEY, written } from "../replica/probe.ts";
import { Bench, repliesIn } from "./bench.ts";

const arrival = ({ knowledge }: Bench, call: number, body: Request): Input => ({
  kind: "message",
  from: "r2#1",
  message: { type: "request", call, stamp: knowledge.stamp, budgetMs: 2000, trace: "", body },
});

const store = (text: string, ack: Ack): Request => {
  const entry = encodeEntry(written(text), null);
  return { kind: "store", key: `${KEY}-${text}`, entry, hintFor: null, ack, tells: false };
};
const read = (text: string): Request => ({
  ...{ kind: "read", key: `${KEY}-${text}`, digestOnly: true, durably: false },
});
const bodies = [store("a", "durable"), read("a"), store("b", "both"), read("b"), read("c")];

const isFlush = ({ kind }: Effect): boolean => kind === "flush";

describe("inputs that have come together", () => {
  it("do what they do one after the other", () => {
    const [one, other] = [new Bench(), new Bench()];
    const apart = bodies.flatMap((body, i) => {
      return one.node.step(arrival(one, i, body), one.clocks).filter((e) => !isFlush(e));
    });
    const inputs = bodies.map((body, i) => arrival(other, i, body));
    const together = other.node.stepAll(inputs, other.clocks).filter((e) => !isFlush(e));
    expect(together).toEqual(apart);
    expect(repliesIn(together).map(({ kind }) => kind)).toEqual(["held", "stored", "held", "held"]);
    for (const text of ["a", "b"]) {
      const key = `${KEY}-${text}`;
      expect(other.store.readEntry(key)).toEqual(one.store.readEntry(key));
    }
  });

  it("are flushed in one go, and none is durable before", () => {
    const bench = new Bench();
    const inputs = [store("a", "durable"), store("b", "durable"), store("c", "both")].map(
      (body, i) => arrival(bench, i, body),
    );
    const effects = bench.node.stepAll(inputs, bench.clocks);
    expect(effects.filter(isFlush)).toHaveLength(1);
    expect(isFlush(effects.at(-1) as Effect)).toBe(true);
    expect(repliesIn(effects)).toEqual([{ kind: "stored", durable: false }]);
    const [flush] = effects.filter((effect) => effect.kind === "flush");
    const token = flush?.token ?? 0;
    const after = bench.node.step({ kind: "flushed", token, ok: true }, bench.clocks);
    expect(repliesIn(after)).toEqual(Array(3).fill({ kind: "stored", durable: true }));
  });
});
