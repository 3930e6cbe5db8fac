/** Two versions of one table of messages, and what each reads of the other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import {
  byKind,
  bytes as bytesCodec,
  type Codec,
  context,
  count,
  decodeBody,
  encodeBody,
  type Fields,
  flag,
  flatPairsOf,
  type Later,
  later,
  layoutsOf,
  listOf,
  optional,
  orEmpty,
  struct,
  text,
} from "../../core/message-fields.ts";

const contexts = fc
  .integer({ min: 1, max: 99 })
  .map((counter) => CausalContext.empty.with({ actor: "AAAAAAAA", counter }));
const bytes = fc.uint8Array({ maxLength: 9 });
const texts = fc.string({ unit: "grapheme", maxLength: 9 });
const point = fc.record({ x: fc.maxSafeNat(), y: fc.option(texts) }, { noNullPrototype: true });
const pointCodec = struct({ x: count, y: optional(text) });
const kindOf = <T>(codec: Codec<T>, values: fc.Arbitrary<T>) => ({ codec, values });
type Kind = { readonly codec: Codec<unknown>; readonly values: fc.Arbitrary<unknown> };
const kinds = fc.constantFrom<Kind>(
  kindOf(text, texts),
  kindOf(count, fc.maxSafeNat()),
  kindOf(flag, fc.boolean()),
  kindOf(bytesCodec, bytes),
  kindOf(optional(bytesCodec), fc.option(bytes)),
  kindOf(context, contexts),
  kindOf(optional(context), fc.option(contexts)),
  kindOf(listOf(text), fc.array(texts, { maxLength: 4 })),
  kindOf(listOf(pointCodec), fc.array(point, { maxLength: 3 })),
  kindOf(orEmpty(pointCodec), fc.option(point)),
  kindOf(flatPairsOf(text, count), fc.array(fc.tuple(texts, fc.maxSafeNat()), { maxLength: 3 })),
);
/** What values a field has, and what it means where it is missing, if it came later. */
type Field = Kind & { readonly later?: Later<unknown> };
const someLater = kinds.chain(({ codec, values }) =>
  values.map((otherwise): Field => ({ codec, values, later: later(codec, otherwise) })),
);

type Named = Readonly<Record<string, Field>>;
const named = (fields: readonly Field[]): Named =>
  Object.fromEntries(fields.map((field, i) => [`f${i}`, field]));
const fieldsOf = (fields: Named): Fields =>
  Object.fromEntries(Object.entries(fields).map(([name, of]) => [name, of.later ?? of.codec]));
type Table = Readonly<Record<string, Named>>;
const layouts = (table: Table) =>
  layoutsOf(
    Object.fromEntries(Object.entries(table).map(([kind, fields]) => [kind, fieldsOf(fields)])),
  );

/** A kind with its fields: those from the start, those of the older version, those of the newer. */
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
    const table = (all: readonly Named[]): Table =>
      Object.fromEntries(all.map((one, i) => [`k${i}`, one]));
    return {
      older: table(both.map(({ older }) => older)),
      newer: table([...both, ...added].map(({ newer }) => newer)),
    };
  });

const bodyOf = (table: Table): fc.Arbitrary<Record<string, unknown>> =>
  fc.constantFrom(...Object.keys(table)).chain((kind) => {
    const fields = Object.entries(table[kind] ?? {}).map(
      ([name, { values }]) => [name, values] as const,
    );
    return fc.record(
      { kind: fc.constant(kind), ...Object.fromEntries(fields) },
      { noNullPrototype: true },
    );
  });

function sent(by: Table, to: Table, body: Record<string, unknown>) {
  const list = encodeBody(byKind(layouts(by)).get(String(body["kind"])), body);
  return decodeBody(layouts(to), decode(encode(list)));
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
          whole[name] = name in body ? body[name] : field.later?.otherwise;
        }
        expect(plain(sent(older, newer, body))).toEqual(plain(whole));
      }),
    );
  });

  it("are refused where something is of another type, or was there from the start and is not", () => {
    const [layout] = layoutsOf({ k: { a: text, b: later(count, 7) } });
    const read = (...fields: readonly unknown[]): unknown =>
      decodeBody(layout === undefined ? [] : [layout], [0, ...fields]);
    expect(read("a")).toEqual({ kind: "k", a: "a", b: 7 });
    expect(read("a", 8, "more")).toEqual({ kind: "k", a: "a", b: 8 });
    for (const wrong of [[], [1], ["a", -1], ["a", null], ["a", undefined]]) {
      expect(() => read(...wrong)).toThrow(CodecError);
    }
  });

  it("have what came later behind", () => {
    expect(() => layoutsOf({ k: { a: later(count, 7), b: text } })).toThrow(/stands behind/);
  });
});
