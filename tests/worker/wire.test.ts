import { describe, expect, it } from "vitest";
import { messageFromList } from "../../core/messages.ts";
import { Pieces } from "../../core/pieces.ts";
import { messageToWire } from "../../worker/wire.ts";

describe("a message to another object", () => {
  it("has long bytes in one piece, and nothing of what they were made of", () => {
    const entry = new Pieces([new Uint8Array([1, 2]), new Uint8Array(100_000).fill(3)]);
    const store = { kind: "store", key: "n\0k", hintFor: null, ack: "both", tells: false } as const;
    const head = { type: "request", call: 1, stamp: 2, budgetMs: 3, trace: "" } as const;
    const wire = messageToWire({ ...head, body: { ...store, entry } });
    const { body } = messageFromList(structuredClone(wire));
    expect(body).toEqual({ ...store, entry: entry.whole() });
  });
});
