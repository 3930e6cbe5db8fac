/**
 * How the values in messages stand on the wire, and how versions read each other's.
 *
 * A body is a list: the number of its kind, then its fields in the order of the table. A `struct`
 * inside of it is a list of its fields, in that order too. What comes later is put at the end: a
 * new kind after the others, a new field after those of its kind or struct. The field is declared
 * with `later`, so that an older message reads as if it gave the value that was meant before there
 * was the field. Unknown fields at the end are skipped, and an unknown kind is told from nonsense.
 *
 * Codecs are values that are made once, when the module is loaded.
 */
import { assert } from "./assert.ts";
import { CausalContext } from "./causal-context.ts";
import { check } from "./check.ts";
import type { Bytes } from "./pieces.ts";

/** How one type of value stands on the wire. */
export interface Codec<T> {
  /** The value stands there as it is: `encode` gives back what it gets. */
  readonly isPlain: boolean;
  encode(value: T): unknown;
  /** @throws CodecError for what is no such value */
  decode(wire: unknown): T;
}

type ValueOf<C> = C extends Codec<infer T> ? T : never;

const asItIs = <T>(value: T): T => value;

/** @param what the value is, in words: "a text" */
const plain = <T>(what: string, isFine: (wire: unknown) => wire is T): Codec<T> => ({
  isPlain: true,
  encode: asItIs,
  decode(wire) {
    check(isFine(wire), `not ${what}`);
    return wire;
  },
});

export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

export const text = plain("a text", (wire) => typeof wire === "string");
export const flag = plain("a flag", (wire) => typeof wire === "boolean");
/** Views of the message's own bytes. */
export const bytes = plain("bytes", (wire) => wire instanceof Uint8Array);
/** The same; the sender may have long ones in pieces. */
export const longBytes: Codec<Bytes> = bytes;
/** A non-negative safe integer. */
export const count = plain("a count", isCount);
export const integer = plain("an integer", (wire): wire is number => Number.isSafeInteger(wire));
/** Any number but NaN and the infinities. */
export const number = plain("a number", (wire): wire is number => Number.isFinite(wire));

/** A whole number from 0 up to the bound, exclusive. */
export const below = (bound: number): Codec<number> =>
  plain(`a number below ${bound}`, (wire): wire is number => isCount(wire) && wire < bound);

/** A text of a kind of its own. */
export const textThat = (what: string, isFine: (text: string) => boolean): Codec<string> =>
  plain(what, (wire): wire is string => typeof wire === "string" && isFine(wire));

/** A text that is not empty; the empty one stands for none. */
export const textOrNone: Codec<string | null> = {
  isPlain: false,
  encode: (value) => value ?? "",
  decode: (wire) => text.decode(wire) || null,
};

/** One of these texts. */
export const wordOf = <Word extends string>(words: readonly Word[]): Codec<Word> =>
  plain(`one of ${words.join(", ")}`, (wire): wire is Word => words.includes(wire as Word));

/** One of these words, as its place among them. */
export const placeIn = <Word extends string>(words: readonly Word[]): Codec<Word> => ({
  isPlain: false,
  encode: (word) => words.indexOf(word),
  decode(wire) {
    const word = words[wire as number];
    check(typeof wire === "number" && word !== undefined, `not one of ${words.length} words`);
    return word;
  },
});

export const context: Codec<CausalContext> = {
  isPlain: false,
  encode: (value) => value.encode(),
  decode: (wire) => CausalContext.decode(wire),
};

/** Or null. */
export const optional = <T>(codec: Codec<T>): Codec<T | null> => ({
  isPlain: codec.isPlain,
  encode: (value) => (value === null ? null : codec.encode(value)),
  decode: (wire) => (wire === null ? null : codec.decode(wire)),
});

/** Null stands on the wire as an empty list, and the value as one that is not empty. */
export const orEmpty = <T>(codec: Codec<T>): Codec<T | null> => ({
  isPlain: false,
  encode: (value) => (value === null ? [] : codec.encode(value)),
  decode: (wire) => (Array.isArray(wire) && wire.length === 0 ? null : codec.decode(wire)),
});

function listIn(wire: unknown, countLeast: number): readonly unknown[] {
  check(Array.isArray(wire) && wire.length >= countLeast, "not a list, or too short a one");
  return wire as unknown[];
}

/** @param countMax how long it may be at most */
export const listOf = <T>(codec: Codec<T>, countMax = Infinity): Codec<readonly T[]> => ({
  isPlain: codec.isPlain,
  encode: (values) => (codec.isPlain ? values : values.map((value) => codec.encode(value))),
  decode(wire) {
    const list = listIn(wire, 0);
    check(list.length <= countMax, `a list of more than ${countMax}`);
    if (!codec.isPlain) return list.map((item) => codec.decode(item));
    for (const item of list) codec.decode(item);
    return list as readonly T[];
  },
});

/** A list of just so many. */
export function listOfExactly<T>(length: number, codec: Codec<T>): Codec<readonly T[]> {
  const list = listOf(codec, length);
  const decode = (wire: unknown): readonly T[] => list.decode(listIn(wire, length));
  return { ...list, decode };
}

/** Two values, one behind the other. */
export const pair = <A, B>(a: Codec<A>, b: Codec<B>): Codec<readonly [A, B]> => ({
  isPlain: a.isPlain && b.isPlain,
  encode: ([first, second]) => [a.encode(first), b.encode(second)],
  decode(wire) {
    const [first, second] = listIn(wire, 2);
    return [a.decode(first), b.decode(second)];
  },
});

/** Pairs without lists of their own: `[a, b, a, b, …]`. */
export const flatPairsOf = <A, B>(
  a: Codec<A>,
  b: Codec<B>,
): Codec<readonly (readonly [A, B])[]> => ({
  isPlain: false,
  encode: (pairs) => pairs.flatMap(([first, second]) => [a.encode(first), b.encode(second)]),
  decode(wire) {
    const list = listIn(wire, 0);
    check(list.length % 2 === 0, "a pair has two parts");
    const pairs: (readonly [A, B])[] = [];
    for (let i = 0; i < list.length; i += 2) {
      pairs.push([a.decode(list[i]), b.decode(list[i + 1])]);
    }
    return pairs;
  },
});

/** One value as two lists: one with its fields of the first struct, one with those of the other. */
export const both = <A extends object, B extends object>(
  a: Codec<A>,
  b: Codec<B>,
): Codec<A & B> => ({
  isPlain: false,
  encode: (value) => [a.encode(value), b.encode(value)],
  decode(wire) {
    const [first, second] = listIn(wire, 2);
    return { ...a.decode(first), ...b.decode(second) };
  },
});

/** A field that came later, and what is meant where it is missing. */
export interface Later<T> {
  readonly codec: Codec<T>;
  readonly otherwise: T;
}
type Field = Codec<unknown> | Later<unknown>;
export type Fields = Readonly<Record<string, Field>>;

/** A field that was added after the first protocol. It stands after the original ones. */
export const later = <T>(codec: Codec<T>, otherwise: NoInfer<T>): Later<T> => ({
  codec,
  otherwise,
});

const isLater = (field: Field): field is Later<unknown> => "otherwise" in field;

type NamesOf<Of extends Fields, Which> = {
  [Name in keyof Of]: Of[Name] extends Which ? Name : never;
}[keyof Of];

type StructOf<Of extends Fields> = {
  readonly [Name in keyof Of]: Of[Name] extends Later<infer T> ? T : ValueOf<Of[Name]>;
};

/**
 * The union of all bodies of a table. A field that came later may be left out: that means what it
 * meant before.
 */
export type BodyOf<Table extends Record<string, Fields>> = {
  [Kind in keyof Table]: { readonly kind: Kind } & {
    readonly [Name in NamesOf<Table[Kind], Codec<unknown>>]: StructOf<Table[Kind]>[Name];
  } & {
    readonly [Name in NamesOf<Table[Kind], Later<unknown>>]?: StructOf<Table[Kind]>[Name];
  };
}[keyof Table];

/** Fields as they stand in a list, in their order. */
class Row {
  readonly names: readonly string[];
  readonly #codecs: readonly Codec<unknown>[];
  /** What the fields from `leastCount` on mean where they are missing. */
  readonly #otherwise: readonly unknown[];
  /** How many fields there have been from the start: a list has at least these. */
  readonly leastCount: number;

  /** @throws AssertionFailure when a field that came later stands before one that did not */
  constructor(named: Fields) {
    const fields = Object.values(named);
    this.names = Object.keys(named);
    this.#codecs = fields.map((field) => (isLater(field) ? field.codec : field));
    this.#otherwise = fields.map((field) => (isLater(field) ? field.otherwise : undefined));
    this.leastCount = fields.filter((field) => !isLater(field)).length;
    assert(fields.slice(this.leastCount).every(isLater), "what came later stands behind");
  }

  /** Appends the fields to the list; those left out at the end are not written. */
  encodeInto(out: unknown[], value: Readonly<Record<string, unknown>>): void {
    const { names, leastCount } = this;
    let count = names.length;
    while (count > leastCount && value[names[count - 1] as string] === undefined) count--;
    for (let i = 0; i < count; i++) {
      const codec = this.#codecs[i] as Codec<unknown>;
      const given = value[names[i] as string];
      const field = given === undefined && i >= leastCount ? this.#otherwise[i] : given;
      out.push(codec.isPlain ? field : codec.encode(field));
    }
  }

  /** Reads the fields that stand in the list from a place on. @throws CodecError */
  decodeInto(out: Record<string, unknown>, list: readonly unknown[], from: number): void {
    const { names, leastCount } = this;
    check(list.length - from >= leastCount, "fields are missing");
    for (let i = 0; i < names.length; i++) {
      const codec = this.#codecs[i] as Codec<unknown>;
      const at = from + i;
      out[names[i] as string] = at < list.length ? codec.decode(list[at]) : this.#otherwise[i];
    }
  }
}

/** An object whose fields stand in a list. What it has besides them does not travel. */
export function struct<Of extends Fields>(fields: Of): Codec<StructOf<Of>> {
  const row = new Row(fields);
  return {
    isPlain: false,
    encode(value) {
      const out: unknown[] = [];
      row.encodeInto(out, value);
      return out;
    },
    decode(wire) {
      const out: Record<string, unknown> = {};
      row.decodeInto(out, listIn(wire, 0), 0);
      return out as StructOf<Of>;
    },
  };
}

export interface Layout {
  readonly kind: string;
  readonly code: number;
  readonly row: Row;
}

/** @throws AssertionFailure when a field that came later stands before one that did not */
export const layoutsOf = (table: Record<string, Fields>): readonly Layout[] =>
  Object.entries(table).map(([kind, named], code) => ({ kind, code, row: new Row(named) }));

export const byKind = (layouts: readonly Layout[]): ReadonlyMap<string, Layout> =>
  new Map(layouts.map((layout) => [layout.kind, layout]));

export function encodeBody(
  layout: Layout | undefined,
  body: Readonly<Record<string, unknown>>,
): unknown[] {
  assert(layout !== undefined, "a message of the table");
  const out: unknown[] = [layout.code];
  layout.row.encodeInto(out, body);
  return out;
}

/**
 * A body by the layouts of its direction; null when its kind came after this version.
 *
 * @throws CodecError when it is none
 */
export function decodeBody(layouts: readonly Layout[], encoded: unknown): unknown {
  const list = listIn(encoded, 1);
  const [code] = list;
  check(isCount(code), "a body names its kind");
  const layout = layouts[code];
  if (layout === undefined) return null;
  const body: Record<string, unknown> = { kind: layout.kind };
  layout.row.decodeInto(body, list, 1);
  return body;
}
