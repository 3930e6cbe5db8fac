/**
 * Purges as epochs: what was purged, and the time up to which its writes count as expired. A purge
 * touches no entry. It adds a line to a small map that travels with the cluster document, and every
 * replica and frontend that knows the line no longer serves what it covers.
 *
 * Merging is a join: of two epochs of one thing the later one counts, an epoch of a whole namespace
 * swallows the earlier ones in it, and `floor` ends epochs for good: it is raised to an instant
 * when every member has rewritten what the epochs up to it cover (src/node/jobs/purge-sweep.ts).
 */

import { assert } from "../core/assert.ts";
import type { Content, Entry, Sibling } from "../core/entry.ts";
import type { PurgeChange } from "../core/feed.ts";
import { isAnyNamespace, isNamespace, keyOf, namespaceOf } from "../core/keys.ts";
import { PURGES_COUNT_MAX, SOFT_PURGES_COUNT_MAX } from "../core/limits.ts";
import { isSiteNamespace } from "../core/site.ts";
import type { StoreKey } from "../core/store.ts";
import { HLC_MAX, type Hlc, hlcFromMillis, type WallMillis } from "../core/time.ts";
import { check } from "./check.ts";

export interface Purges {
  /** Epochs at or before it are over. */
  readonly floor: Hlc;
  /** By `namespace 0x00 kind text`: see `purgeName`. */
  readonly epochs: ReadonlyMap<string, Hlc>;
}

export const noPurges: Purges = { floor: 0, epochs: new Map() };

/** What a purge is about: everything in a namespace, keys with a prefix, values with a tag. */
export type PurgeKind = "everything" | "prefix" | "tag";
const LETTERS: Readonly<Record<PurgeKind, string>> = { everything: "e", prefix: "p", tag: "t" };

export const purgeName = (namespace: string, kind: PurgeKind, text: string): string =>
  `${namespace}\0${LETTERS[kind]}${text}`;

/**
 * A soft purge makes what a site stored stale, and hides nothing: only the cache door looks at it,
 * no replica rewrites anything, and so no floor ends it. It counts until a later one of the whole
 * site swallows it: where there are too many, they become that.
 */
export const softName = (namespace: string, kind: PurgeKind, text: string): string =>
  `${namespace}\0${LETTERS[kind].toUpperCase()}${text}`;

const letterOf = (name: string): string => keyOf(name).charAt(0);
export const isSoft = (name: string): boolean => "EPT".includes(letterOf(name));

/** What is over, by the floor or by a later purge of the whole namespace, is not kept. */
function withoutEnded(floor: Hlc, epochs: ReadonlyMap<string, Hlc>): Purges {
  const kept = new Map<string, Hlc>();
  for (const [name, time] of epochs) {
    const namespace = namespaceOf(name);
    const wholes = [purgeName(namespace, "everything", "")];
    if (isSoft(name)) wholes.push(softName(namespace, "everything", ""));
    const isBy = (whole: string): boolean => name !== whole && time <= (epochs.get(whole) ?? 0);
    if ((time > floor || isSoft(name)) && !wholes.some(isBy)) kept.set(name, time);
  }
  return { floor, epochs: kept };
}

const isIn = (time: Hlc | undefined, name: string, { epochs }: Purges): boolean =>
  time !== undefined && (epochs.get(name) ?? 0) >= time;

/** The join; `a` itself when `b` has nothing new. */
export function mergePurges(a: Purges, b: Purges): Purges {
  if (a === b) return a;
  const isOld = ([name, time]: readonly [string, Hlc]): boolean =>
    (time <= a.floor && !isSoft(name)) || isIn(time, name, a);
  if (b.floor <= a.floor && [...b.epochs].every(isOld)) return a;
  const epochs = new Map(a.epochs);
  for (const [name, time] of b.epochs) epochs.set(name, Math.max(time, epochs.get(name) ?? 0));
  return withoutEnded(Math.max(a.floor, b.floor), epochs);
}

/** With one more purge of these things. */
export function withPurge(purges: Purges, names: readonly string[], time: Hlc): Purges {
  assert(names.length > 0 && time > purges.floor, "a purge is of something, and of today");
  return mergePurges(purges, { floor: 0, epochs: new Map(names.map((name) => [name, time])) });
}

/** The same, softly; where there are too many, all of the site's become one of the whole site. */
export function withSoftPurge(purges: Purges, names: readonly string[], time: Hlc): Purges {
  const softCount = [...purges.epochs.keys()].filter(isSoft).length;
  const isFull = softCount + names.length > SOFT_PURGES_COUNT_MAX;
  const wholes = names.map((name) => softName(namespaceOf(name), "everything", ""));
  return withPurge(purges, isFull ? wholes : names, Math.max(time, purges.floor + 1));
}

/** Without the epochs up to an instant. */
export const withFloor = (purges: Purges, floor: Hlc): Purges =>
  mergePurges(purges, { floor, epochs: new Map() });

/** As JSON, equal for equal purges. */
export const plainPurges = ({ floor, epochs }: Purges): unknown => [
  floor,
  [...epochs].sort(([a], [b]) => (a < b ? -1 : 1)),
];

/**
 * The purges of a namespace that came after a time, in order, in the words in which they were asked
 * for; those that hide nothing are left out.
 */
export function purgesSince(
  { epochs }: Purges,
  namespace: string,
  since: Hlc,
): readonly PurgeChange[] {
  const rules = new Map<Hlc, { everything?: true; prefix?: string; tags?: string[] }>();
  for (const [name, time] of epochs) {
    if (time <= since || isSoft(name) || namespaceOf(name) !== namespace) continue;
    const rule = rules.get(time) ?? {};
    const text = keyOf(name).slice(1);
    if (letterOf(name) === LETTERS.everything) rule.everything = true;
    else if (letterOf(name) === LETTERS.prefix) rule.prefix = text;
    else rule.tags = [...(rule.tags ?? []), text];
    rules.set(time, rule);
  }
  const inOrder = [...rules].sort(([a], [b]) => a - b);
  return inOrder.map(([until, rule]) => ({ what: "purge", rule, until }));
}

const isTime = (value: unknown): value is Hlc => Number.isSafeInteger(value) && Number(value) >= 0;

/** @throws CodecError for anything but what `plainPurges` gives */
export function parsePurges(value: unknown): Purges {
  if (value === undefined) return noPurges;
  check(Array.isArray(value) && value.length === 2, "purges are a floor and a list");
  const [floor, list] = value as unknown[];
  check(isTime(floor) && Array.isArray(list), "purges are a floor and a list");
  check(
    list.length <= 2 * (PURGES_COUNT_MAX + SOFT_PURGES_COUNT_MAX),
    "the number of purges is bounded",
  );
  const epochs = new Map<string, Hlc>();
  for (const item of list as unknown[]) {
    check(Array.isArray(item) && item.length === 2, "an epoch has a name and a time");
    const [name, time] = item as unknown[];
    check(typeof name === "string" && isTime(time), "an epoch has a name and a time");
    check(time <= HLC_MAX, "an epoch leaves times to come");
    check(isAnyNamespace(namespaceOf(name)), "an epoch belongs to a namespace");
    epochs.set(name, time);
  }
  return withoutEnded(floor, epochs);
}

/** One epoch, in words. */
export type KnownPurge = { readonly namespace: string; readonly until: Hlc } & (
  | { readonly everything: true }
  | { readonly prefix: string }
  | { readonly tag: string }
);

/** @throws CodecError for anything but what `PurgeIndex.known` gives */
export function purgesFrom(list: readonly KnownPurge[]): Purges {
  const epochs = list.map((purge): [string, Hlc] => {
    const { namespace, until } = purge;
    if ("everything" in purge) return [purgeName(namespace, "everything", ""), until];
    if ("prefix" in purge) return [purgeName(namespace, "prefix", purge.prefix), until];
    return [purgeName(namespace, "tag", purge.tag), until];
  });
  return parsePurges([0, epochs]);
}

interface NamespacePurges {
  everything: Hlc;
  readonly prefixes: (readonly [string, Hlc])[];
  readonly tags: Map<string, Hlc>;
}

/** Purges arranged so that a sibling is judged in the time that its tags and the prefixes take. */
export class PurgeIndex {
  readonly #namespaces = new Map<string, NamespacePurges>();
  readonly #soft = new Map<string, NamespacePurges>();
  /** The latest epoch; 0 for none. */
  readonly newest: Hlc;
  /** Up to when purges are over, and not known any more. */
  readonly #floor: Hlc;

  constructor({ floor, epochs }: Purges) {
    this.#floor = floor;
    const hard = [...epochs].filter(([name]) => !isSoft(name)).map(([, time]) => time);
    this.newest = Math.max(0, ...hard);
    for (const [name, time] of epochs) {
      const namespace = namespaceOf(name);
      const kind = isSoft(name) ? this.#soft : this.#namespaces;
      const known = kind.get(namespace);
      const of: NamespacePurges = known ?? { everything: 0, prefixes: [], tags: new Map() };
      kind.set(namespace, of);
      const [letter, text] = [letterOf(name).toLowerCase(), keyOf(name).slice(1)];
      if (letter === LETTERS.everything) of.everything = time;
      else if (letter === LETTERS.prefix) of.prefixes.push([text, time]);
      else if (letter === LETTERS.tag) of.tags.set(text, time);
    }
  }

  get isEmpty(): boolean {
    return this.newest === 0;
  }

  /** The epochs of clients' namespaces that are known still, but for the soft ones. */
  *known(): Generator<KnownPurge> {
    for (const [namespace, { everything, prefixes, tags }] of this.#namespaces) {
      if (!isNamespace(namespace)) continue;
      if (everything > 0) yield { namespace, everything: true, until: everything };
      for (const [prefix, until] of prefixes) yield { namespace, prefix, until };
      for (const [tag, until] of tags) yield { namespace, tag, until };
    }
  }

  /** Whether anything of the namespace was purged. */
  concerns(namespace: string): boolean {
    return this.#namespaces.has(namespace);
  }

  /** Whether a version of the key counts as purged. */
  isPurged(key: StoreKey, sibling: Sibling): boolean {
    const of = this.#namespaces.get(namespaceOf(key));
    return of !== undefined && covers(of, key, sibling);
  }

  /** Whether a known purge may be why a version has no content: its tags are gone with it. */
  mayHavePurged(key: StoreKey, { time, content }: Sibling): boolean {
    const of = this.#namespaces.get(namespaceOf(key));
    if (of === undefined || content !== null) return false;
    const isIn = (until: Hlc): boolean => time <= until;
    const prefixes = of.prefixes.filter(([prefix]) => keyOf(key).startsWith(prefix));
    const epochs = [of.everything, ...prefixes.map(([, until]) => until), ...of.tags.values()];
    return epochs.some(isIn);
  }

  /**
   * Whether all purges since then are still known: if not, a reader of then may have missed one.
   */
  knowsSince(at: WallMillis): boolean {
    return hlcFromMillis(at) > this.#floor;
  }

  /** What purges say of an answer that a site's origin was asked for. */
  ofAnswer(namespace: string, answer: PurgedAnswer): "gone" | "stale" | "valid" {
    if (coversAnswer(this.#namespaces.get(namespace), answer)) return "gone";
    return coversAnswer(this.#soft.get(namespace), answer) ? "stale" : "valid";
  }

  /**
   * The entry as a node that knows the purges sees it: a value that was purged is a tombstone under
   * the same dot. So nothing about the entry's versions changes, and neither does its digest. The
   * entry itself when nothing of it was purged.
   */
  apply(key: StoreKey, entry: Entry): Entry {
    const of = this.isEmpty ? undefined : this.#namespaces.get(namespaceOf(key));
    if (of === undefined) return entry;
    const isPurged = (sibling: Sibling): boolean => covers(of, key, sibling);
    if (!entry.siblings.some(isPurged)) return entry;
    const siblings = entry.siblings.map((sibling) =>
      isPurged(sibling) ? { ...sibling, expiresAt: 0, content: null } : sibling,
    );
    return { ...entry, siblings };
  }
}

/** What a site stored, as purges judge it. */
export interface PurgedAnswer {
  /** What prefixes are compared with. */
  readonly name: string;
  readonly tags: readonly string[];
  /** When it was asked for. */
  readonly at: WallMillis;
}

function coversAnswer(of: NamespacePurges | undefined, answer: PurgedAnswer): boolean {
  if (of === undefined) return false;
  const time = hlcFromMillis(answer.at);
  if (time <= of.everything) return true;
  if (answer.tags.some((tag) => time <= (of.tags.get(tag) ?? 0))) return true;
  return of.prefixes.some(([prefix, until]) => time <= until && begins(answer.name, prefix));
}

/**
 * Whether a site's key begins with the prefix. Keys are absolute URLs: a prefix that begins with a
 * slash is about the path on every host. A line break ends a URL, and so does the end of the key.
 */
function begins(key: string, prefix: string): boolean {
  const whole = `${key}\n`;
  if (!prefix.startsWith("/")) return whole.startsWith(prefix);
  return whole.startsWith(prefix, whole.indexOf("/", whole.indexOf("://") + 3));
}

/** A site's keys are hashes, and their URLs beside them; null for any other key. */
function urlOf(key: StoreKey, { metadata }: Content): string | null {
  if (!isSiteNamespace(namespaceOf(key)) || metadata === null) return null;
  return JSON.parse(metadata) as string;
}

function covers(of: NamespacePurges, key: StoreKey, { content, time }: Sibling): boolean {
  if (content === null) return false;
  if (time <= of.everything) return true;
  if (content.tags.some((tag) => time <= (of.tags.get(tag) ?? 0))) return true;
  if (of.prefixes.length === 0) return false;
  const url = urlOf(key, content);
  const isBegun = (prefix: string): boolean =>
    url === null ? keyOf(key).startsWith(prefix) : begins(url, prefix);
  return of.prefixes.some(([prefix, until]) => time <= until && isBegun(prefix));
}
