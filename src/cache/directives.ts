/**
 * Cache directives: of `Cache-Control` (RFC 9111, 5.2) and of a field that is targeted at caches
 * of our kind (RFC 9213). When a directive is given twice, the first counts (RFC 9111, 4.2.1).
 */
import { ParseError, parseDictionary } from "structured-headers";
import { type Fields, fieldOf, tokensOf } from "./fields.ts";

/** By name in lower case; null where there is no argument. */
export type Directives = ReadonlyMap<string, string | null>;

const NO_DIRECTIVES: Directives = new Map();

/** RFC 9111, 1.2.2: from here on all deltas count as this one. */
const DELTA_SECONDS_MAX = 2 ** 31;

const DIRECTIVE = /^([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^"]*)))?$/;

/** What a text holds between commas, or semicolons, that are not in quotes. */
export function membersOf(text: string, separator: "," | ";"): readonly string[] {
  const members: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (isQuoted && char === "\\") i++;
    else if (char === '"') isQuoted = !isQuoted;
    else if (char === separator && !isQuoted) {
      members.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  members.push(text.slice(from).trim());
  return members;
}

/** Anything that is not a directive is ignored. */
export function parseDirectives(text: string | null): Directives {
  const found = new Map<string, string | null>();
  if (text === null) return found;
  for (const member of membersOf(text, ",")) {
    const match = DIRECTIVE.exec(member);
    if (match === null) continue;
    const [, name = "", quoted, token] = match;
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token ?? null);
  }
  return found;
}

/**
 * Seconds of a directive: `null` when it is absent, `NaN` when it is there but not a whole number,
 * which a cache takes for "stale" (RFC 9111, 4.2.1).
 */
export function secondsOf(directives: Directives, name: string): number | null {
  const value = directives.get(name);
  if (value === undefined) return null;
  if (value === null || !/^\d+$/.test(value)) return Number.NaN;
  return Math.min(Number(value), DELTA_SECONDS_MAX);
}

/** The same for places where a malformed number has no effect: requests, and stale-*. */
export function validSecondsOf(directives: Directives, name: string): number | null {
  const seconds = secondsOf(directives, name);
  return Number.isNaN(seconds) ? null : seconds;
}

/** Field names in the argument of `private` or `no-cache`; empty: the directive is unqualified. */
export const namedFields = (directives: Directives, name: string): readonly string[] =>
  tokensOf(directives.get(name) ?? null);

const DELTAS = new Set(["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]);

/**
 * A targeted field (RFC 9213, 2.1) is a dictionary of structured fields. One that cannot be read,
 * is empty, or gives a lifetime that is not a number, counts as absent.
 */
export function parseTargeted(text: string): Directives | null {
  try {
    const directives = new Map<string, string | null>();
    for (const [name, [value]] of parseDictionary(text)) {
      if (DELTAS.has(name)) {
        if (typeof value !== "number" || !Number.isInteger(value)) return null;
        // A negative delta is no delta: it makes the response stale.
        directives.set(name, String(value));
      } else if (value !== false) directives.set(name, typeof value === "string" ? value : null);
    }
    return directives.size === 0 ? null : directives;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return null;
  }
}

/** What a response tells this cache, and whether it does so in a field meant for it. */
export interface Said {
  readonly directives: Directives;
  /** `Cache-Control` and `Expires` are then not looked at (RFC 9213, 2.2). */
  readonly isTargeted: boolean;
}

/** @param targets names of targeted fields, the first valid one counts */
export function saidBy(fields: Fields, targets: readonly string[]): Said {
  for (const target of targets) {
    const text = fieldOf(fields, target.toLowerCase());
    const directives = text === null ? null : parseTargeted(text);
    if (directives !== null) return { directives, isTargeted: true };
  }
  return { directives: parseDirectives(fieldOf(fields, "cache-control")), isTargeted: false };
}

/** A request's directives; `Pragma: no-cache` where it has no `Cache-Control` (RFC 9111, 5.4). */
export function askedBy(fields: Fields): Directives {
  const text = fieldOf(fields, "cache-control");
  if (text !== null) return parseDirectives(text);
  const pragma = fieldOf(fields, "pragma");
  if (pragma === null) return NO_DIRECTIVES;
  return parseDirectives(pragma).has("no-cache") ? new Map([["no-cache", null]]) : NO_DIRECTIVES;
}
