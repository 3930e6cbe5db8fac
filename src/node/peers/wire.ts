/**
 * Lists inside messages: the values whose fields the message table does not spell out. As with the
 * messages, what a newer version adds stands behind, and is skipped here.
 */
import { CodecError } from "../../../core/check.ts";
import type { Content } from "../../../core/entry.ts";
import { cacheLifeFrom } from "../../../core/entry-codec.ts";
import type { KeyChange } from "../../../core/feed.ts";
import { isActorId, isOpId } from "../../../core/ids.ts";
import { isStoreKey } from "../../../core/keys.ts";
import type { QuorumRules } from "../../../core/quorum-options.ts";
import type { Tally } from "../../../core/tally.ts";
import type { Beside } from "../../../replica/beside.ts";
import type { Done } from "../../../replica/done-operations.ts";

/** What a peer sends is input, not our own doing: a breach is its error, not a broken invariant. */
function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CodecError(message);
}

const RULE_NUMBERS = ["n", "r", "w", "pr", "pw", "dw", "zones", "timeoutMs"] as const;
const RULE_FLAGS = [
  "sloppy",
  "notfoundOk",
  "basicQuorum",
  "returnBody",
  "strict",
  "local",
] as const;
const TALLY = ["n", "required", "answered", "primaries", "fallbacks", "durable"] as const;

function fromList(names: readonly string[], list: readonly unknown[], type: string): unknown {
  expect(list.length >= names.length, "a list has all of its parts");
  const out: Record<string, unknown> = {};
  for (const [i, name] of names.entries()) {
    const value = list[i];
    const isFine = type === "number" ? Number.isSafeInteger(value) : typeof value === type;
    expect(isFine, `${name} is a ${type}`);
    out[name] = value;
  }
  return out;
}

/**
 * The last rules and the list that stands for them. A write's are read several times on its way
 * through a node, and most writes go by the same ones; a WeakMap from list to rules would be the
 * obvious way, and costs the collector more than the lists do.
 */
let last: { readonly list: readonly unknown[]; readonly rules: QuorumRules } | null = null;

const RULES = [...RULE_NUMBERS, ...RULE_FLAGS];

export function rulesToList(rules: QuorumRules): readonly unknown[] {
  const same = last;
  if (same !== null && RULES.every((name) => same.rules[name] === rules[name])) return same.list;
  const list = [RULE_NUMBERS.map((name) => rules[name]), RULE_FLAGS.map((name) => rules[name])];
  last = { list, rules };
  return list;
}

/** @throws CodecError for anything else than `rulesToList` gives */
export function rulesFromList(list: readonly unknown[]): QuorumRules {
  if (last?.list === list) return last.rules;
  const [numbers, flags] = list;
  expect(Array.isArray(numbers) && Array.isArray(flags), "rules in two lists");
  const rules = {
    ...(fromList(RULE_NUMBERS, numbers, "number") as object),
    ...(fromList(RULE_FLAGS, flags, "boolean") as object),
  } as QuorumRules;
  last = { list, rules };
  return rules;
}

export const tallyToList = (tally: Tally): readonly unknown[] => TALLY.map((name) => tally[name]);

/** @throws CodecError for anything else than `tallyToList` gives */
export const tallyFromList = (list: readonly unknown[]): Tally =>
  fromList(TALLY, list, "number") as Tally;

/** An empty list is a delete. */
export function contentToList(content: Content | null): readonly unknown[] {
  if (content === null) return [];
  const { value, contentType, contentEncoding, contentLanguage } = content;
  const { contentDisposition, metadata, tags, cacheLife } = content;
  const headers = [contentType, contentEncoding, contentLanguage, contentDisposition, metadata];
  const fields: unknown[] = [value, ...headers, tags];
  if (cacheLife !== undefined) fields.push(cacheLife.maxAge, cacheLife.sharedMaxAge);
  return fields;
}

const isTextOrNull = (value: unknown): value is string | null =>
  value === null || typeof value === "string";

/** @throws CodecError for anything else than `contentToList` gives */
export function contentFromList(list: readonly unknown[]): Content | null {
  if (list.length === 0) return null;
  expect(list.length === 7 || list.length === 9, "content has seven parts, or nine");
  const [value, contentType, contentEncoding, contentLanguage, contentDisposition] = list;
  const [, , , , , metadata, tags] = list;
  expect(value instanceof Uint8Array && typeof contentType === "string", "a value and its type");
  expect(isTextOrNull(contentEncoding) && isTextOrNull(contentLanguage), "headers are texts");
  expect(isTextOrNull(contentDisposition) && isTextOrNull(metadata), "headers are texts");
  expect(Array.isArray(tags) && tags.every((tag) => typeof tag === "string"), "tags are texts");
  const life = cacheLifeFrom(list, 7);
  expect(life !== null, "a cache's life is two counts");
  const headers = { contentType, contentEncoding, contentLanguage, contentDisposition };
  return { value, ...headers, metadata, tags: tags as string[], ...life };
}

/** `[actor, counter, time]`. @throws CodecError for anything else */
export function doneFromList(list: readonly unknown[]): Done {
  const [actor, counter, time] = list;
  expect(typeof actor === "string" && isActorId(actor), "a dot's actor");
  expect(Number.isSafeInteger(counter) && (counter as number) >= 1, "a dot's counter");
  expect(Number.isSafeInteger(time) && (time as number) >= 0, "a version's time");
  return { dot: { actor, counter: counter as number }, time: time as number };
}

/** `[[actor, counter, time], …]`. @throws CodecError for anything else */
export const besideFromList = (list: readonly unknown[]): readonly Beside[] =>
  list.map((item) => {
    expect(Array.isArray(item), "a version and its time");
    return doneFromList(item as unknown[]);
  });

export const besideToList = (beside: readonly Beside[]): readonly unknown[] =>
  beside.map(({ dot, time }) => [dot.actor, dot.counter, time]);

/** `[[key, entry], …]`, keys that a client could have written. @throws CodecError */
export function entriesFromList(
  list: readonly unknown[],
): readonly (readonly [string, Uint8Array])[] {
  return list.map((item) => {
    const [key, bytes] = Array.isArray(item) ? (item as unknown[]) : [];
    expect(typeof key === "string" && isStoreKey(key), "no key");
    expect(bytes instanceof Uint8Array, "a key's entry is bytes");
    return [key, bytes];
  });
}

/** A list of texts. @throws CodecError for anything else */
export function textsFromList(list: readonly unknown[]): readonly string[] {
  expect(
    list.every((item) => typeof item === "string"),
    "a list of texts",
  );
  return list as readonly string[];
}

/** `[[key, partition, entry or null], …]`. @throws CodecError for anything else */
export function changesFromList(list: readonly unknown[], run: number): readonly KeyChange[] {
  return list.map((item) => {
    expect(Array.isArray(item) && item.length >= 3, "a change has three parts");
    const [key, partition, entry] = item as unknown[];
    expect(typeof key === "string" && isStoreKey(key), "a change is of a key");
    expect(Number.isSafeInteger(partition), "a change is in a partition");
    expect(entry === null || entry instanceof Uint8Array, "a change has an entry, or none");
    return { what: "key", key, partition: partition as number, run, entry };
  });
}

/** A peer's key that no client could have written is kept nowhere. @throws CodecError */
export function expectKey(key: string): void {
  expect(isStoreKey(key), "no key");
}

/** An operation that no frontend could have named is not minted. @throws CodecError */
export function expectOp(op: string): void {
  expect(isOpId(op), "no operation's name");
}

/** `[key, digest, key, digest, …]` as pairs. @throws CodecError for anything else */
export function digestsFromList(list: readonly unknown[]): readonly (readonly [string, number])[] {
  const pairs: (readonly [string, number])[] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    const [key, digest] = list.slice(i, i + 2);
    expect(typeof key === "string" && typeof digest === "number", "keys with their digests");
    pairs.push([key, digest]);
  }
  return pairs;
}

/** What a reader gives; null when what it read was nonsense. */
export function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return null;
  }
}
