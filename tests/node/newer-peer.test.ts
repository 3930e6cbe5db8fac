/** Questions and answers of a newer peer that this version does not know. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { messageFromList } from "../../core/messages.ts";
import { Bench } from "./bench.ts";

describe("a newer peer", () => {
  it("is told that its question is unknown, and that is all", () => {
    const bench = new Bench();
    const { stamp } = bench.knowledge;
    const message = messageFromList([7, [999, "what", 1], stamp, 2000, ""]);
    expect(bench.step({ kind: "message", from: "r2#1", message })).toEqual([
      {
        kind: "send",
        to: "r2#1",
        message: { type: "reply", call: 7, body: { kind: "refused", code: "unknown-request" } },
      },
    ]);
  });

  it("counts as one that does not answer when its answer cannot be read", () => {
    const bench = new Bench();
    const operation = {
      kind: "get",
      key: storeKey("demo", "k"),
      options: {},
      session: null,
    } as const;
    const sent = bench.step({ kind: "client", token: 1, trace: "", operation });
    const asked = sent.flatMap((effect) => (effect.kind === "send" ? [effect] : []));
    expect(asked.length).toBeGreaterThan(0);
    const [{ to, message }] = asked as [(typeof asked)[0]];
    const reply = messageFromList([message.call, [999, "new"]]);
    const next = bench.step({ kind: "message", from: to, message: reply });
    const others = next.flatMap((effect) => (effect.kind === "send" ? [effect.to] : []));
    expect(others).toHaveLength(1);
    expect(asked.map((one) => one.to)).not.toContain(others[0]);
  });
});
