/** A node keeps nothing of what is over. An alarm that is left would keep all that it is for. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Reply } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { Bytes } from "../../core/pieces.ts";
import type { Effect } from "../../src/node/peers/boundary.ts";
import { plainContent } from "../support/content.ts";
import { Bench } from "./bench.ts";
import { Group, writeOf } from "./group.ts";
import { nameWhere } from "./keys.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

interface Written {
  readonly value: WeakRef<Uint8Array>;
  /** As each of the others got it. */
  readonly sent: readonly WeakRef<Bytes>[];
}

/** A write is answered, because its two other owners have it on their disks; this node does not. */
function answeredByOthers(bench: Bench): Written {
  const name = nameWhere(bench.knowledge.ring, ([id]) => id === "r1");
  const value = new Uint8Array(100_000);
  const operation = { ...writeOf(name, null), content: plainContent(value) } as Operation;
  const client = { kind: "client", token: 1, operation, trace: "" } as const;
  const sent: WeakRef<Bytes>[] = [];
  const effects: Effect[] = [...bench.node.step(client, bench.clocks)];
  for (const effect of effects) {
    if (effect.kind !== "send" || effect.message.type !== "request") continue;
    const { call, body } = effect.message;
    if (body.kind !== "store") continue;
    sent.push(new WeakRef(body.entry));
    const reply: Reply = { kind: "stored", durable: true };
    const message = { type: "reply", call, body: reply } as const;
    effects.push(...bench.node.step({ kind: "message", from: effect.to, message }, bench.clocks));
  }
  expect(effects.some(({ kind }) => kind === "answer")).toBe(true);
  return { value: new WeakRef(value), sent };
}

/** Those that are still there. A WeakRef holds what it names until the end of its turn. */
async function keptOf<T extends object>(refs: readonly WeakRef<T>[]): Promise<number> {
  await new Promise(setImmediate);
  collectGarbage();
  return refs.filter((ref) => ref.deref() !== undefined).length;
}

describe("a write that is over", () => {
  it.each([1, 3])("leaves no alarm with a long value behind it, of %i replicas", (count) => {
    const group = new Group({ count, demo: { n: count, r: 1, w: 1, dw: 1 } });
    for (let i = 0; i < 10; i++) expect(group.put("r1", `k${i}`, 100).kind).toBe("written");
    for (const id of group.ids) expect([id, group.node(id).wakeAt]).toEqual([id, Infinity]);
  });

  it("is not kept in memory for a disk that is slow, beside its record", async () => {
    const bench = new Bench();
    const { value, sent } = answeredByOthers(bench);
    expect(sent.length).toBe(2);
    expect(await keptOf([value, ...sent])).toBe(0);
    expect(bench.store.stats().keyCount).toBe(1);
  });
});
