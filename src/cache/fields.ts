/**
 * Header fields as they came: pairs in order, names in their own case. Names are compared without
 * case (RFC 9110, 5.1); lines of one name are one list (5.3).
 */
import { present } from "../../core/assert.ts";

export type Field = readonly [name: string, value: string];
export type Fields = readonly Field[];

export interface RequestHead {
  readonly method: string;
  readonly fields: Fields;
}

export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
}

/** Names and values in turn, as Node gives them; a name without a value is left out. */
export function fieldsOf(flat: readonly string[]): Fields {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    fields.push([present(flat[i]), present(flat[i + 1])]);
  }
  return fields;
}

/** The values of all lines with this name. @param name in lower case */
export function linesOf(fields: Fields, name: string): readonly string[] {
  const values: string[] = [];
  for (const [key, value] of fields) {
    if (key.length === name.length && key.toLowerCase() === name) values.push(value);
  }
  return values;
}

/** All lines of this name as one list; null when there is none. @param name in lower case */
export function fieldOf(fields: Fields, name: string): string | null {
  let joined: string | null = null;
  // By index: a hit asks for a dozen of them, and taking pairs apart is half of what that costs.
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    if (field[0].length !== name.length || field[0].toLowerCase() !== name) continue;
    joined = joined === null ? field[1] : `${joined}, ${field[1]}`;
  }
  return joined;
}

export const has = (fields: Fields, name: string): boolean => fieldOf(fields, name) !== null;

/** Without the fields of these names. @param names in lower case */
export const without = (fields: Fields, names: ReadonlySet<string>): Fields =>
  fields.filter(([name]) => !names.has(name.toLowerCase()));

/** With one field set anew, behind all others. */
export const withField = (fields: Fields, name: string, value: string): Fields => [
  ...without(fields, new Set([name.toLowerCase()])),
  [name, value],
];

const NO_TOKENS: readonly string[] = [];

/** The members of a list of tokens, in lower case; empty ones are dropped (RFC 9110, 5.6.1). */
export function tokensOf(value: string | null): readonly string[] {
  if (value === null) return NO_TOKENS;
  return value
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
}

/** Fields that end with the connection (RFC 9110, 7.6.1), or that only a proxy's peer may say. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Without the fields that are for one hop only, among them those that `Connection` names. */
export function endToEnd(fields: Fields): Fields {
  const named = tokensOf(fieldOf(fields, "connection"));
  return without(fields, named.length === 0 ? HOP_BY_HOP : new Set([...HOP_BY_HOP, ...named]));
}
