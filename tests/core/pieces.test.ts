import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import type { Entry } from "../../core/entry.ts";
import {
  decodeEntry,
  encodeEntry,
  encodeEntryToKeep,
  type Tenure,
  withTenure,
} from "../../core/entry-codec.ts";
import {
  decodeMessage,
  encodeMessage,
  encodeMessageInPieces,
  type Message,
} from "../../core/messages.ts";
import { Mintings } from "../../core/mintings.ts";
import { type Bytes, LONG_BYTES, Pieces, partsOf, wholeOf } from "../../core/pieces.ts";
import { plainContent } from "../support/content.ts";

const actor = "AAAAAAAA";
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
/** Compared as a whole: byte by byte takes seconds. */
const isSame = (a: Bytes, b: Bytes): boolean => Buffer.compare(wholeOf(a), wholeOf(b)) === 0;

function entryOf(...values: readonly Uint8Array[]): Entry {
  const siblings = values.map((value, i) => ({
    ...{ dot: { actor, counter: i + 1 }, time: 5, op: `op0000000${i}`, expiresAt: 0 },
    content: plainContent(value),
  }));
  const context = siblings.reduce((all, { dot }) => all.with(dot), CausalContext.empty);
  return { context, siblings, retries: [] };
}

const minting = { op: "op00000000", dot: { actor, counter: 1 }, time: 9 };
const tenure: Tenure = { actor, incarnation: 4, minted: Mintings.of([minting]) };

describe("an entry with long values, encoded to be kept", () => {
  it.each([
    ["none", [filled(10, 1)]],
    ["one", [filled(LONG_BYTES, 1)]],
    ["some", [filled(LONG_BYTES + 9, 1), filled(10, 2), filled(3 * LONG_BYTES, 3)]],
    ["two side by side", [filled(LONG_BYTES, 1), filled(LONG_BYTES, 2)]],
  ])("is the same bytes as in one piece: %s", (_, values) => {
    const entry = entryOf(...values);
    for (const mine of [null, tenure]) {
      const bytes = encodeEntryToKeep(entry, mine);
      expect(isSame(bytes, encodeEntry(entry, mine))).toBe(true);
      expect(bytes.length).toBe(wholeOf(bytes).length);
      expect(decodeEntry(bytes)).toEqual(decodeEntry(wholeOf(bytes)));
    }
  });

  it("has the values as its parts, without a copy", () => {
    const value = filled(LONG_BYTES, 1);
    const bytes = encodeEntryToKeep(entryOf(value), null);
    expect(partsOf(bytes).some((part) => part === value)).toBe(true);
    expect(decodeEntry(bytes).entry.siblings[0]?.content?.value).toBe(value);
  });

  it("keeps no buffer in which other long bytes lie", () => {
    const message = filled(3 * LONG_BYTES, 1);
    const value = message.subarray(0, LONG_BYTES);
    const bytes = encodeEntryToKeep(entryOf(value), null);
    expect(partsOf(bytes).some(({ buffer }) => buffer === message.buffer)).toBe(false);
    expect(decodeEntry(bytes).entry.siblings[0]?.content?.value.buffer).not.toBe(message.buffer);
    expect(isSame(bytes, encodeEntry(entryOf(value), null))).toBe(true);
  });

  it("keeps none for the sake of a short value either, beside a long one or in a long entry", () => {
    const body = new Uint8Array(16 * LONG_BYTES);
    const keeps = (bytes: Bytes): boolean =>
      decodeEntry(bytes).entry.siblings.some(
        ({ content }) => content?.value.buffer === body.buffer,
      );
    const beside = entryOf(filled(LONG_BYTES, 1), body.subarray(0, 10));
    expect(keeps(encodeEntryToKeep(beside, tenure))).toBe(false);
    expect(keeps(withTenure(encodeEntryToKeep(beside, null), tenure))).toBe(false);
    // No value of it is long, and all of it is.
    const almost = entryOf(body.subarray(0, LONG_BYTES - 10));
    const record = withTenure(encodeEntryToKeep(almost, null), tenure);
    expect(record).toBeInstanceOf(Pieces);
    expect(keeps(record)).toBe(false);
    expect(isSame(record, encodeEntry(almost, tenure))).toBe(true);
  });

  it("gets a tenure without a copy of what is long, whether it was in pieces or not", () => {
    const entry = entryOf(filled(LONG_BYTES, 1), filled(LONG_BYTES, 2));
    for (const bare of [encodeEntryToKeep(entry, null), encodeEntry(entry, null)]) {
      const bytes = withTenure(bare, tenure);
      expect(isSame(bytes, encodeEntry(entry, tenure))).toBe(true);
      expect(decodeEntry(bytes)).toEqual({ entry, tenure });
      const long = partsOf(bytes).find(({ length }) => length >= LONG_BYTES);
      expect(partsOf(bare).some(({ buffer }) => buffer === long?.buffer)).toBe(true);
    }
  });

  it("remembers no minting that another record could overwrite", () => {
    const briefly = { ...tenure, minted: tenure.minted.withBriefly(minting, bounds) };
    const bytes = encodeEntryToKeep(entryOf(filled(LONG_BYTES, 1)), briefly);
    const before = decodeEntry(bytes).tenure?.minted.all();
    tenure.minted.withBriefly({ ...minting, op: "op99999999" }, bounds);
    expect(decodeEntry(bytes).tenure?.minted.all()).toEqual(before);
  });
});

const bounds = { before: 0, countMax: 9 };

describe("a message with an entry in pieces", () => {
  const entry = encodeEntryToKeep(entryOf(filled(LONG_BYTES, 1), filled(LONG_BYTES, 2)), null);
  const store = (bytes: Bytes): Message => ({
    ...{ type: "request", call: 1, stamp: 2, budgetMs: 3, trace: "" },
    body: {
      ...{ kind: "store", key: "n\0k", entry: bytes, hintFor: null, ack: "both", tells: false },
    },
  });

  it("is the same on the wire as with one in one piece", () => {
    expect(entry).toBeInstanceOf(Pieces);
    const whole = encodeMessage(store(wholeOf(entry)));
    expect(isSame(encodeMessage(store(entry)), whole)).toBe(true);
    const pieces = encodeMessageInPieces(store(entry));
    for (const part of partsOf(entry).filter(({ length }) => length >= LONG_BYTES)) {
      expect(pieces.includes(part)).toBe(true);
    }
    const sent = new Pieces(pieces).whole();
    expect(isSame(sent, whole)).toBe(true);
    expect(decodeMessage(sent)).toEqual(store(wholeOf(entry)));
  });
});
