/** Two versions of one table of messages, and what each reads of the other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { decode, encode } from "../../core/codec.ts";
import {
  byKind,
  decodeBody,
  encodeBody,
  type Fields,
  type FieldTypes,
  type Later,
  later,
  layoutsOf,
} from "../../core/message-fields.ts";

type FieldKind = keyof FieldTypes;

const contexts = fc
  .integer({ min: 1, max: 99 })
  .map((counter) => CausalContext.empty.with({ actor: "AAAAAAAA", counter }));
const bytes = fc.uint8Array({ maxLength: 9 });
const values: { readonly [Kind in FieldKind]: fc.Arbitrary<FieldTypes[Kind]> } = {
  text: fc.string({ unit: "grapheme", maxLength: 9 }),
  count: fc.maxSafeNat(),
  flag: fc.boolean(),
  bytes,
  bytesOrNull: fc.option(bytes),
  context: contexts,
  contextOrNull: fc.option(contexts),
  list: fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { maxLength: 4 }),
};
const kinds = fc.constantFrom(...(Object.keys(values) as FieldKind[]));
const someLater = kinds.chain((kind) =>
  values[kind].map((otherwise) => later(kind, otherwise as never) as Later),
);

const named = (fields: readonly (FieldKind | Later)[]): Fields =>
  Object.fromEntries(fields.map((field, i) => [`f${i}`, field]));

/** A kind with what it had from the start, what came by the older version, and by the newer. */
const kindOfBoth = fc
  .tuple(
    fc.array(kinds, { maxLength: 4 }),
    fc.array(someLater, { maxLength: 2 }),
    fc.array(someLater, { maxLength: 3 }),
  )
  .map(([first, older, newer]) => ({
    older: named([...first, ...older]),
    newer: named([...first, ...older, ...newer]),
  }));

const tables = fc
  .tuple(
    fc.array(kindOfBoth, { minLength: 1, maxLength: 4 }),
    fc.array(kindOfBoth, { maxLength: 2 }),
  )
  .map(([both, added]) => {
    const table = (all: readonly Fields[]) =>
      Object.fromEntries(all.map((one, i) => [`k${i}`, one]));
    return {
      older: table(both.map(({ older }) => older)),
      newer: table([...both, ...added].map(({ newer }) => newer)),
    };
  });

const bodyOf = (table: Record<string, Fields>): fc.Arbitrary<Record<string, unknown>> =>
  fc.constantFrom(...Object.keys(table)).chain((kind) => {
    const fields = Object.entries(table[kind] ?? {}).map(([name, field]) => {
      const of: FieldKind = typeof field === "string" ? field : field.kind;
      return [name, values[of] as fc.Arbitrary<unknown>] as const;
    });
    return fc.record(
      { kind: fc.constant(kind), ...Object.fromEntries(fields) },
      { noNullPrototype: true },
    );
  });

function sent(
  by: Record<string, Fields>,
  to: Record<string, Fields>,
  body: Record<string, unknown>,
) {
  const list = encodeBody(byKind(layoutsOf(by)).get(String(body["kind"])), body);
  return decodeBody(layoutsOf(to), decode(encode(list)));
}

/** Equal as what they say; contexts are compared as they travel. */
const plain = (body: unknown): unknown =>
  body === null
    ? null
    : Object.entries(body as object).map(([name, value]: [string, unknown]) => [
        name,
        value instanceof CausalContext ? value.encode() : value,
      ]);

describe("the messages of two versions", () => {
  it("are read by the older as far as it knows them, or as of a kind that it does not", () => {
    const both = tables.chain((table) => bodyOf(table.newer).map((body) => ({ table, body })));
    fc.assert(
      fc.property(both, ({ table: { older, newer }, body }) => {
        const fields = older[String(body["kind"])];
        const names = ["kind", ...Object.keys(fields ?? {})];
        const known = Object.fromEntries(names.map((name) => [name, body[name]]));
        expect(plain(sent(newer, older, body))).toEqual(fields ? plain(known) : null);
      }),
    );
  });

  it("are read by the newer, with what it means that they leave out", () => {
    const both = tables.chain((table) => bodyOf(table.older).map((body) => ({ table, body })));
    fc.assert(
      fc.property(both, ({ table: { older, newer }, body }) => {
        const fields = Object.entries(newer[String(body["kind"])] ?? {});
        const whole: Record<string, unknown> = { kind: body["kind"] };
        for (const [name, field] of fields) {
          const otherwise = typeof field === "string" ? undefined : field.otherwise;
          whole[name] = name in body ? body[name] : otherwise;
        }
        expect(plain(sent(older, newer, body))).toEqual(plain(whole));
      }),
    );
  });

  it("are refused where something is of another type, or was there from the start and is not", () => {
    const [layout] = layoutsOf({ k: { a: "text", b: later("count", 7) } });
    const read = (...fields: readonly unknown[]): unknown =>
      decodeBody(layout === undefined ? [] : [layout], [0, ...fields]);
    expect(read("a")).toEqual({ kind: "k", a: "a", b: 7 });
    expect(read("a", 8, "more")).toEqual({ kind: "k", a: "a", b: 8 });
    for (const wrong of [[], [1], ["a", -1], ["a", null], ["a", undefined]]) {
      expect(() => read(...wrong)).toThrow();
    }
  });

  it("have what came later behind", () => {
    expect(() => layoutsOf({ k: { a: later("count", 7), b: "text" } })).toThrow(/stands behind/);
  });
});
