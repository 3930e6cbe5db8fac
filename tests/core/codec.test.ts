import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import type { Entry } from "../../core/entry.ts";
import { decodeEntry, encodeEntry, type Tenure, withTenure } from "../../core/entry-codec.ts";
import { MESSAGE_DEPTH_MAX } from "../../core/limits.ts";
import { decodeMessage, encodeMessage } from "../../core/messages.ts";
import { Mintings } from "../../core/mintings.ts";

const context = CausalContext.empty
  .with({ actor: "AAAAAAAA", counter: 1 })
  .with({ actor: "AAAAAAAA", counter: 3 })
  .with({ actor: "BBBBBBBB", counter: 2 });

const entry: Entry = {
  context,
  siblings: [
    {
      dot: { actor: "AAAAAAAA", counter: 3 },
      time: 1_785_369_600_000 * 1024,
      op: "op00000001",
      expiresAt: 1_785_369_600_000,
      content: {
        value: new Uint8Array([0, 1, 255]),
        contentType: "text/plain",
        contentEncoding: "gzip",
        contentLanguage: null,
        contentDisposition: "inline",
        metadata: '{"a":"é😀"}',
        tags: ["one", "two"],
      },
    },
    {
      dot: { actor: "BBBBBBBB", counter: 2 },
      time: 7,
      op: "op00000002",
      expiresAt: 0,
      content: null,
    },
  ],
  retries: [{ op: "op00000002", dot: { actor: "BBBBBBBB", counter: 2 } }],
};
const tenure: Tenure = {
  actor: "AAAAAAAA",
  incarnation: 4,
  minted: Mintings.of([{ op: "op00000001", dot: { actor: "AAAAAAAA", counter: 3 }, time: 9 }]),
};

/** Runs it and gives what it threw; fails on anything but a CodecError. */
function codecFault(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    return (error as CodecError).message;
  }
}

describe("encode and decode", () => {
  it("gives back numbers, texts, booleans, null, bytes and lists", () => {
    const value = [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 1.5, "", "é😀\0", true, false, null, [[]]];
    expect(decode(encode(value))).toEqual(value);
    expect(decode(encode(new Uint8Array([1, 2])))).toEqual(new Uint8Array([1, 2]));
  });

  it("gives bytes as views of the input, at any offset", () => {
    const encoded = encode([new Uint8Array([7, 8])]);
    const shifted = new Uint8Array(encoded.length + 5);
    shifted.set(encoded, 5);
    const [bytes] = decode(shifted.subarray(5)) as [Uint8Array];
    shifted[shifted.length - 1] = 9;
    expect([...bytes]).toEqual([7, 9]);
  });

  it("refuses with a CodecError what it does not take", () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(decode(encode(nested(MESSAGE_DEPTH_MAX)))).toEqual(nested(MESSAGE_DEPTH_MAX));
    expect(codecFault(() => decode(encode(nested(MESSAGE_DEPTH_MAX + 1))))).toMatch(/too deeply/);
    expect(codecFault(() => decode(Uint8Array.of(0x81, 0xa1, 0x61, 1)))).toMatch(/maps/);
    expect(codecFault(() => decode(new Uint8Array(0)))).toMatch(/cut off/);
    expect(codecFault(() => decode(new Uint8Array(200_000).fill(0x91)))).toMatch(/too deeply/);
  });
});

describe("entries as bytes", () => {
  it("come back equal, with the tenure and without", () => {
    expect(decodeEntry(encodeEntry(entry, tenure))).toEqual({ entry, tenure });
    expect(decodeEntry(encodeEntry(entry, null))).toEqual({ entry, tenure: null });
    expect(withTenure(encodeEntry(entry, null), tenure)).toEqual(encodeEntry(entry, tenure));
  });

  const parts = (): unknown[] => decode(encodeEntry(entry, tenure)) as unknown[];
  const sibling = (change: (fields: unknown[]) => void): unknown[] => {
    const all = parts();
    change((all[1] as unknown[][])[0] as unknown[]);
    return all;
  };
  it.each<[string, unknown]>([
    ["no list", 7],
    ["a field missing", parts().slice(0, 3)],
    ["a field too many", [...parts(), null]],
    ["an actor that is none", sibling((fields) => fields.splice(0, 1, "short"))],
    ["a counter of 0", sibling((fields) => fields.splice(1, 1, 0))],
    ["a counter beyond 2^53", sibling((fields) => fields.splice(1, 1, 2 ** 60))],
    ["a fraction for a time", sibling((fields) => fields.splice(2, 1, 0.5))],
    ["a negative deadline", sibling((fields) => fields.splice(4, 1, -1))],
    ["an operation that is no text", sibling((fields) => fields.splice(3, 1, 5))],
    ["a sibling that its context has not seen", sibling((fields) => fields.splice(1, 1, 2))],
    ["a tenure with a bad actor", [...parts().slice(0, 3), ["x", 1, []]]],
    ["mintings that are cut off", [...parts().slice(0, 3), ["AAAAAAAA", 1, new Uint8Array(7)]]],
    ["retries that are no list", [parts()[0], parts()[1], null, null]],
  ])("are refused: %s", (_, encoded) => {
    expect(codecFault(() => decodeEntry(encode(encoded)))).toMatch(/not an entry/);
  });

  it.each<[string, unknown]>([
    ["ranges out of order", ["AAAAAAAA", [3, 3, 1, 1]]],
    ["ranges that touch", ["AAAAAAAA", [1, 2, 3, 4]]],
    ["a range that runs downwards", ["AAAAAAAA", [3, 1]]],
    ["half a range", ["AAAAAAAA", [1, 2, 4]]],
    ["no range at all", ["AAAAAAAA", []]],
    ["a counter of 0", ["AAAAAAAA", [0, 1]]],
    ["the same actor twice", ["AAAAAAAA", [1, 1], "AAAAAAAA", [2, 2]]],
    ["actors out of order", ["BBBBBBBB", [1, 1], "AAAAAAAA", [1, 1]]],
    ["an actor alone", ["AAAAAAAA"]],
  ])("are refused with a context of another form: %s", (_, encoded) => {
    expect(codecFault(() => decodeEntry(encode([encoded, [], [], null])))).toMatch(/not an entry/);
  });
});

const message = encodeMessage({
  type: "request",
  call: 5,
  stamp: 77,
  budgetMs: 2000,
  trace: "00-ab-cd-01",
  body: {
    kind: "store",
    key: "demo\0k",
    entry: encodeEntry(entry, tenure),
    hintFor: "r2",
    ack: "both",
    tells: false,
  },
});

describe("hostile bytes", () => {
  const decoders = [decode, decodeEntry, decodeMessage];

  it("never raise anything but a CodecError: bytes at random", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const run of decoders) codecFault(() => run(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it("never raise anything but a CodecError: values of the wrong shape", () => {
    const leaf = fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.boolean(), fc.double());
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("tree"), { maxLength: 8 })),
    }));
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 6 }), (value) => {
        for (const run of decoders) codecFault(() => run(encode(value)));
      }),
      { numRuns: 5000 },
    );
  });

  it("never raise anything but a CodecError: good bytes, altered, cut or lengthened", () => {
    const edit = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
    let survivors = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1),
        edits,
        fc.integer({ min: -9, max: 9 }),
        (i, list, grow) => {
          const good = [encodeEntry(entry, tenure), message][i] as Uint8Array;
          const bytes = new Uint8Array(good.length + grow);
          bytes.set(good.subarray(0, bytes.length));
          for (const [at, byte] of list) bytes[at % bytes.length] = byte;
          const run = [decodeEntry, decodeMessage][i] as (bytes: Uint8Array) => unknown;
          if (codecFault(() => run(bytes)) === null) survivors++;
        },
      ),
      { numRuns: 10_000 },
    );
    expect(survivors).toBeLessThan(5000);
  });
});
