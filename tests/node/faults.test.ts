import { describe, expect, it } from "vitest";
import { CodecError } from "../../core/check.ts";
import type { Fault, FaultKind } from "../../core/fault.ts";
import { fault as faultCodec } from "../../core/message-values.ts";
import { KEY } from "../replica/probe.ts";
import { Bench, repliesIn, START } from "./bench.ts";

const read = { kind: "read", key: KEY, digestOnly: false, durably: false } as const;
const faultOf = (kind: FaultKind, more: Partial<Fault> = {}): Fault => {
  return { kind, delayMs: 0, sharePerMille: 0, until: START + 60_000, ...more };
};
const tell = (bench: Bench, fault: Fault | null): unknown =>
  bench.ask({ kind: "fault", isChange: true, fault })[0];

function suffering(fault: Fault): Bench {
  const bench = new Bench({ takesFaults: true });
  expect(tell(bench, fault)).toEqual({ kind: "faulted", fault });
  return bench;
}

describe("a replica that is told to have a fault", () => {
  it("is down: refuses all at once, and says still which fault it has", () => {
    const bench = suffering(faultOf("down"));
    expect(bench.ask(read)).toEqual([{ kind: "refused", code: "down" }]);
    const question = { kind: "fault", isChange: false, fault: null } as const;
    expect(bench.ask(question)).toEqual([{ kind: "faulted", fault: faultOf("down") }]);
  });

  it("is silent: hears nothing", () => {
    expect(suffering(faultOf("silent")).ask(read)).toEqual([]);
  });

  it("is slow: answers, later", () => {
    const bench = suffering(faultOf("slow", { delayMs: 70 }));
    expect(bench.ask(read)).toEqual([]);
    expect(bench.node.wakeAt).toBe(START + 70);
    bench.now += 70;
    expect(repliesIn(bench.step({ kind: "tick" }))).toHaveLength(1);
    expect(bench.node.wakeAt).toBe(Infinity);
  });

  it("is lossy: of a half that comes and a half that goes, a quarter is answered", () => {
    const bench = suffering(faultOf("lossy", { sharePerMille: 500 }));
    let answered = 0;
    for (let i = 0; i < 2000; i++) answered += bench.ask(read).length;
    expect(Math.abs(answered - 500)).toBeLessThan(100);
  });

  it("is well again when it is told so, and by itself when the time is up", () => {
    const told = suffering(faultOf("silent"));
    tell(told, null);
    expect(told.ask(read)).toHaveLength(1);
    const forgotten = suffering(faultOf("silent"));
    forgotten.now += 60_000;
    expect(forgotten.ask(read)).toHaveLength(1);
  });

  it("has it still after a restart, where faults are taken, and else has none", () => {
    const { store } = suffering(faultOf("silent"));
    expect(new Bench({ store, takesFaults: true }).ask(read)).toEqual([]);
    expect(new Bench({ store }).ask(read)).toHaveLength(1);
  });

  it("refuses where the deployment does not take faults, and what is no fault", () => {
    expect(tell(new Bench(), faultOf("down"))).toEqual({ kind: "refused", code: "faults-off" });
    for (const fault of [
      ["gone", 0, 0, 1],
      ["lossy", 0, 1001, 1],
      ["down", 0, 0],
      ["down", 0, 0, -1],
    ]) {
      expect(() => faultCodec.decode(fault)).toThrow(CodecError);
    }
    expect(faultCodec.decode(faultCodec.encode(null))).toBeNull();
  });

  it("counts as unreachable to whoever asks it, as if it had refused the connection", () => {
    const bench = new Bench();
    const options = { r: 3, n: 3 } as const;
    const operation = { kind: "get", key: KEY, options, session: null } as const;
    const sent = bench.step({ kind: "client", token: 1, trace: "", operation });
    const [first] = sent.flatMap((effect) => (effect.kind === "send" ? [effect] : []));
    if (first === undefined) throw new Error("nobody was asked");
    const body = { kind: "refused", code: "down" } as const;
    const { call } = first.message;
    bench.step({ kind: "message", from: first.to, message: { type: "reply", call, body } });
    expect(bench.knowledge.liveness.isSuspect(first.to)).toBe(true);
  });
});
