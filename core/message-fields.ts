/**
 * How a message's fields stand on the wire, and how versions read each other's.
 *
 * A body is a list: the number of its kind, then its fields in the order of the table. What comes
 * later stands behind: a new kind after the others, a new field after those of its kind, declared
 * with `later`, so that a body from before it reads as if it said the field's value of then. Fields
 * behind those that are known are skipped, and a kind that is not known is told from nonsense.
 */
import { assert } from "./assert.ts";
import { CausalContext } from "./causal-context.ts";

export interface FieldTypes {
  text: string;
  /** A non-negative safe integer. */
  count: number;
  flag: boolean;
  bytes: Uint8Array;
  bytesOrNull: Uint8Array | null;
  context: CausalContext;
  contextOrNull: CausalContext | null;
  /** A list whose items the receiver checks. */
  list: readonly unknown[];
}
type FieldKind = keyof FieldTypes;

/** A field that came later, and what a body means that was written without it. */
export interface Later<Kind extends FieldKind = FieldKind> {
  readonly kind: Kind;
  readonly otherwise: FieldTypes[Kind];
}
type Field = FieldKind | Later;
export type Fields = Readonly<Record<string, Field>>;

/** A field that was added after the first protocol. It stands behind those of then. */
export const later = <Kind extends FieldKind>(
  kind: Kind,
  otherwise: FieldTypes[Kind],
): Later<Kind> => ({ kind, otherwise });

type TypeOf<F extends Field> = FieldTypes[F extends Later<infer Kind> ? Kind : Extract<F, string>];

type NamesOf<Of extends Fields, Which> = {
  [Name in keyof Of]: Of[Name] extends Which ? Name : never;
}[keyof Of];

/** The union of all bodies of a table. What came later may be left out: it is as it was before. */
export type BodyOf<Table extends Record<string, Fields>> = {
  [Kind in keyof Table]: { readonly kind: Kind } & {
    readonly [Name in NamesOf<Table[Kind], FieldKind>]: TypeOf<Table[Kind][Name]>;
  } & {
    readonly [Name in NamesOf<Table[Kind], Later>]?: TypeOf<Table[Kind][Name]>;
  };
}[keyof Table];

export interface Layout {
  readonly kind: string;
  readonly code: number;
  readonly names: readonly string[];
  readonly fields: readonly Field[];
  /** How many fields there have been from the start: a body has at least these. */
  readonly leastCount: number;
}

const isFromTheStart = (field: Field): boolean => typeof field === "string";

/** @throws AssertionFailure when a field that came later stands before one that did not */
export function layoutsOf(table: Record<string, Fields>): readonly Layout[] {
  return Object.entries(table).map(([kind, named], code) => {
    const fields = Object.values(named);
    const leastCount = fields.filter(isFromTheStart).length;
    assert(fields.slice(0, leastCount).every(isFromTheStart), "what came later stands behind");
    return { kind, code, names: Object.keys(named), fields, leastCount };
  });
}

export const byKind = (layouts: readonly Layout[]): ReadonlyMap<string, Layout> =>
  new Map(layouts.map((layout) => [layout.kind, layout]));

export function encodeBody(
  layout: Layout | undefined,
  body: Readonly<Record<string, unknown>>,
): unknown[] {
  assert(layout !== undefined, "a message of the table");
  const out: unknown[] = [layout.code];
  const { names, fields, leastCount } = layout;
  let count = names.length;
  while (count > leastCount && body[names[count - 1] ?? ""] === undefined) count--;
  for (let i = 0; i < count; i++) {
    const field = fields[i];
    const value = body[names[i] ?? ""];
    if (value instanceof CausalContext) out.push(value.encode());
    else if (value === undefined && typeof field === "object") out.push(field.otherwise);
    else out.push(value);
  }
  return out;
}

export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

function decodeField(kind: FieldKind, value: unknown): unknown {
  if (kind === "context") return CausalContext.decode(value);
  if (kind === "contextOrNull") return value === null ? null : CausalContext.decode(value);
  const isFine =
    kind === "text"
      ? typeof value === "string"
      : kind === "count"
        ? isCount(value)
        : kind === "flag"
          ? typeof value === "boolean"
          : kind === "list"
            ? Array.isArray(value)
            : value instanceof Uint8Array || (kind === "bytesOrNull" && value === null);
  assert(isFine, `a field is no ${kind}`);
  return value;
}

/**
 * A body by the layouts of its direction; null when its kind came after this version.
 *
 * @throws AssertionFailure when it is none
 */
export function decodeBody(layouts: readonly Layout[], encoded: unknown): unknown {
  assert(Array.isArray(encoded), "a body is a list");
  const [code, ...values] = encoded as unknown[];
  assert(isCount(code), "a body names its kind");
  const layout = layouts[code];
  if (layout === undefined) return null;
  assert(values.length >= layout.leastCount, `${layout.kind} has all of its fields`);
  const body: Record<string, unknown> = { kind: layout.kind };
  for (const [i, field] of layout.fields.entries()) {
    const name = layout.names[i] as string;
    if (typeof field === "string") body[name] = decodeField(field, values[i]);
    else body[name] = i < values.length ? decodeField(field.kind, values[i]) : field.otherwise;
  }
  return body;
}
