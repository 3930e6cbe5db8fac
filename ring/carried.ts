/**
 * Members of the cluster document that a newer version put there. A node that does not know them
 * keeps them as they came, and passes them on: else a neighbour that learnt the document from it
 * would lose them, and their stamps would differ for ever.
 *
 * What is not understood still has to be joined. Of two values of one member the greater text wins;
 * so a version that adds a member whose value changes begins that value with something that grows,
 * or uses another join only once no older node is left.
 */
import { check } from "../core/check.ts";

/** By name, the value as text: equal texts, equal values. */
export type Carried = ReadonlyMap<string, string>;

export const noneCarried: Carried = new Map();

/** Enough for years of versions; a document is held in memory and sent whole. */
const MEMBERS_COUNT_MAX = 16;
const TEXT_CHARS_MAX = 64 * 1024;

/** The join: `a` itself when `b` adds nothing to it. */
export function mergeCarried(a: Carried, b: Carried): Carried {
  const added = [...b].filter(([name, text]) => text > (a.get(name) ?? ""));
  return added.length === 0 ? a : new Map([...a, ...added]);
}

/**
 * @param members of a document that came from outside, without those that are known
 * @param textOf the same text for equal values
 * @throws CodecError when it is too much to carry
 */
export function carriedFrom(
  members: Readonly<Record<string, unknown>>,
  textOf: (value: unknown) => string,
): Carried {
  const names = Object.keys(members).sort();
  check(names.length <= MEMBERS_COUNT_MAX, "few members are not known");
  const carried = new Map(names.map((name) => [name, textOf(members[name])]));
  for (const text of carried.values()) check(text.length <= TEXT_CHARS_MAX, "they are short");
  return carried;
}

/** The members as they were. */
export const plainCarried = (carried: Carried): Readonly<Record<string, unknown>> =>
  Object.fromEntries([...carried].map(([name, text]) => [name, JSON.parse(text) as unknown]));
