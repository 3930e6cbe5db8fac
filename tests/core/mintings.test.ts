import { describe, expect, it } from "vitest";
import { encode } from "../../core/codec.ts";
import { emptyEntry } from "../../core/entry.ts";
import { decodeEntry, encodeMinted } from "../../core/entry-codec.ts";
import { type Minting, Mintings } from "../../core/mintings.ts";
import { partsOf } from "../../core/pieces.ts";

const minting = (name: string, counter: number, time: number): Minting => ({
  op: name,
  dot: { actor: "AAAA-_09", counter },
  time,
});
const three = [
  minting("op00000003", 2 ** 53 - 1, 2 ** 53 - 1),
  minting("b", 2, 20),
  minting("a".repeat(64), 1, 10),
];
const ALL = { before: -Infinity, countMax: Infinity };

describe("what a replica minted for a key", () => {
  it("comes back as it was, newest first", () => {
    const mintings = Mintings.of(three);
    expect(mintings.all()).toEqual(three);
    expect(Mintings.fromBytes(mintings.bytes).all()).toEqual(three);
    expect(mintings.find("b")).toEqual(three[1]);
    expect(mintings.find("a".repeat(64))).toEqual(three[2]);
    for (const other of ["op", "c", "op00000004"]) expect(mintings.find(other)).toBeNull();
    expect(Mintings.fromBytes(new Uint8Array(0)).all()).toEqual([]);
  });

  it("is found by the operations that are asked for, the newest of one first", () => {
    const again = minting("b", 3, 30);
    const mintings = Mintings.of([again, ...three]);
    expect(mintings.find("b")).toEqual(again);
    expect(mintings.ofOperations(new Set(["b", "z"]))).toEqual([again, three[1]]);
    expect(mintings.ofOperations(new Set())).toEqual([]);
  });

  it("is read wherever its bytes lie", () => {
    const { bytes } = Mintings.of(three);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(Mintings.fromBytes(shifted.subarray(3)).all()).toEqual(three);
  });

  it("lies at the end of the record that it is written into, and nowhere else", () => {
    const held = { actor: "AAAAAAAA", incarnation: 3, minted: Mintings.of(three) };
    const next = minting("new", 4, 40);
    const added = { minting: next, bounds: { before: -Infinity, countMax: 3 } };
    const { bytes, tenure } = encodeMinted(emptyEntry, held, added);
    // What is put together briefly is overwritten by the next.
    encodeMinted(emptyEntry, held, { ...added, minting: minting("another", 5, 50) });
    expect(decodeEntry(bytes)).toEqual({ entry: emptyEntry, tenure });
    expect(tenure.minted.all()).toEqual([next, ...three.slice(0, 2)]);
    const [record] = partsOf(bytes);
    expect([tenure.minted.bytes.buffer, tenure.actor]).toEqual([record?.buffer, "AAAAAAAA"]);
    const grown = Mintings.of(Array.from({ length: 200 }, () => minting("o".repeat(64), 1, 9)));
    expect(grown.with(next, ALL).all()).toHaveLength(201);
  });

  it("is bounded in number, the new one counted", () => {
    const next = minting("new", 4, 40);
    const bounded = Mintings.of(three).with(next, { ...ALL, countMax: 2 });
    expect(bounded.all()).toEqual([next, three[0]]);
    expect(
      Mintings.of(three)
        .with(next, { ...ALL, countMax: 1 })
        .all(),
    ).toEqual([next]);
  });

  it("is bounded in time", () => {
    const next = minting("new", 4, 40);
    const from = (before: number) =>
      Mintings.of(three)
        .with(next, { ...ALL, before })
        .all();
    expect(from(9)).toEqual([next, ...three]);
    expect(from(10)).toEqual([next, ...three.slice(0, 2)]);
    expect(from(2 ** 53 - 1)).toEqual([next]);
  });

  it("is not changed by what comes after", () => {
    const before = Mintings.of(three);
    before.with(minting("new", 4, 40), ALL);
    expect(before.all()).toEqual(three);
  });

  it("is refused when bytes are missing, or an operation's name is none", () => {
    const { bytes } = Mintings.of(three);
    for (let length = 1; length < bytes.length; length++) {
      // After the first minting, and after the second.
      const isWhole = [35, 61].includes(length);
      const read = () => Mintings.fromBytes(bytes.subarray(0, length));
      if (isWhole) expect(read).not.toThrow();
      else expect(read).toThrow();
    }
    for (const op of ["", "é", "a".repeat(65)]) {
      expect(() => Mintings.none.with(minting(op, 1, 1), ALL)).toThrow();
    }
  });

  it("is read from records that have it as a list, as they were written before", () => {
    const list = three.map(({ op, dot, time }) => [op, dot.actor, dot.counter, time]);
    const bytes = encode([emptyEntry.context.encode(), [], [], ["AAAA-_09", 4, list]]);
    const { tenure } = decodeEntry(bytes);
    expect(tenure?.minted.all()).toEqual(three);
  });
});
