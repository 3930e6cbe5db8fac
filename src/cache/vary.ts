/**
 * Which variant answers (RFC 9111, 4.1). A variant remembers what its request said in the fields
 * that `Vary` names, normalised so that requests that mean the same look the same.
 */
import { type Fields, fieldOf, tokensOf } from "./fields.ts";

/** Field names in lower case, in order; and what the request said in each, null for nothing. */
export interface Selection {
  readonly names: readonly string[];
  readonly values: readonly (string | null)[];
}

export const varyNames = (fields: Fields): readonly string[] =>
  [...new Set(tokensOf(fieldOf(fields, "vary")))].sort();

interface Weighted {
  readonly range: string;
  readonly weight: number;
}

/** The members of a list with weights (RFC 9110, 12.4.2), as they came. */
function ranges(text: string): readonly Weighted[] {
  const items: Weighted[] = [];
  for (const part of text.toLowerCase().split(",")) {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    if (range === "") continue;
    const q = parameters.find((parameter) => /^q\s*=/.test(parameter));
    const weight = q === undefined ? 1 : Number(q.replace(/^q\s*=\s*/, ""));
    items.push({ range, weight: Math.min(1, weight) });
  }
  return items;
}

/** The same, heaviest first; what weighs nothing is left out. */
const weighted = (text: string): readonly Weighted[] =>
  ranges(text)
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || (a.range < b.range ? -1 : 1));

const asText = (items: readonly Weighted[]): string =>
  items.map(({ range, weight }) => (weight === 1 ? range : `${range};q=${weight}`)).join(", ");

/**
 * The form that the origin is asked with, and that is compared: only codings that matter on the
 * web, in one order. Most clients then share one of three variants.
 */
export function normalisedEncoding(text: string | null): string | null {
  if (text === null) return null;
  const items = ranges(text);
  const isRefused = (coding: string): boolean =>
    items.some(({ range, weight }) => range === coding && weight === 0);
  const takes = (coding: string): boolean =>
    !isRefused(coding) &&
    items.some(
      ({ range, weight }) =>
        weight > 0 && (range === coding || range === "*" || range === `x-${coding}`),
    );
  const codings = ["br", "gzip"].filter(takes);
  return codings.length === 0 ? null : codings.join(", ");
}

/**
 * Without meaningless space. It goes member by member: a pattern for space around commas would go
 * over a long stretch of it once for each of its places, which takes seconds for what a client may
 * send.
 */
const spaceless = (text: string): string =>
  text
    .split(",")
    .map((member) => member.trim())
    .join(", ");

/** What a request says in one field, as it is compared. @param name in lower case */
export function normalised(fields: Fields, name: string): string | null {
  const text = fieldOf(fields, name);
  if (name === "accept-encoding") return normalisedEncoding(text);
  if (text === null) return null;
  if (name === "accept-language") return asText(weighted(text));
  return spaceless(text);
}

const selectionBy = (names: readonly string[], request: Fields): Selection => ({
  names,
  values: names.map((name) => normalised(request, name)),
});

export const selectionOf = (response: Fields, request: Fields): Selection =>
  selectionBy(varyNames(response), request);

/**
 * By what it names now too. What it no longer names still tells it from others: its bytes are those
 * of before, and a 304 may say less than the answer that it stands for.
 */
export function widened(before: Selection, response: Fields, request: Fields): Selection {
  const news = varyNames(response).filter((name) => !before.names.includes(name));
  return news.length === 0 ? before : selectionBy([...before.names, ...news].sort(), request);
}

/** The one language that a request wants more than any other; null when there is none. */
function wantedLanguage(fields: Fields): string | null {
  const [first, second] = weighted(fieldOf(fields, "accept-language") ?? "");
  if (first === undefined || first.range === "*") return null;
  return second !== undefined && second.weight === first.weight ? null : first.range;
}

/** The representation is in the very language that the request wants most: none fits better. */
function isInWantedLanguage(stored: Fields, request: Fields): boolean {
  const language = fieldOf(stored, "content-language");
  return language !== null && language.trim().toLowerCase() === wantedLanguage(request);
}

/** @param stored the fields of the stored response */
export function matches(selection: Selection, stored: Fields, request: Fields): boolean {
  return selection.names.every((name, i) => {
    if (normalised(request, name) === selection.values[i]) return true;
    return name === "accept-language" && isInWantedLanguage(stored, request);
  });
}

export const sameSelection = (a: Selection, b: Selection): boolean =>
  a.names.length === b.names.length &&
  a.names.every((name, i) => name === b.names[i] && a.values[i] === b.values[i]);
