/**
 * What the ring has of a site's responses, as values: how an entry is read, how it is judged by the
 * purges that are known, and what is written. `response-store.ts` asks and waits.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import {
  type Content,
  contextShowing,
  type Entry,
  liveSiblings,
  type Sibling,
} from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import { KEY_BYTES_MAX, TAG_CHARS_MAX, TAGS_COUNT_MAX } from "../../core/limits.ts";
import { oncePer } from "../../core/once-per.ts";
import type { WriteOperation } from "../../core/operations.ts";
import type { PurgeIndex } from "../../core/purges.ts";
import { siteNamespace } from "../../core/site.ts";
import type { StoreKey } from "../../core/store.ts";
import type { Millis, WallMillis } from "../../core/time.ts";
import { ageOf } from "../cache/look-up.ts";
import {
  decodeStored,
  emptyStored,
  encodeStored,
  joinStored,
  type Stored,
  usefulFor,
  type Variant,
} from "../cache/stored.ts";

/** How long a purge of a URL is remembered, in ms: no fetch that began before it takes longer. */
export const PURGE_MEMORY_MS = 15 * 60_000;
const TAG = /^[\x21-\x7e]+$/;
const encoder = new TextEncoder();

/** What is stored for a key, and what a write that replaces it has seen, and covers. */
export interface Found {
  readonly stored: Stored;
  readonly context: CausalContext;
}

/** Found in an entry; a hit writes nothing, so only a write computes its context. */
class FoundInEntry implements Found {
  readonly stored: Stored;
  readonly #entry: Entry;
  readonly #shown: readonly Sibling[];
  readonly #now: WallMillis;

  constructor(stored: Stored, read: { entry: Entry; shown: readonly Sibling[]; now: WallMillis }) {
    this.stored = stored;
    this.#entry = read.entry;
    this.#shown = read.shown;
    this.#now = read.now;
  }

  get context(): CausalContext {
    return contextShowing(this.#entry, this.#shown, this.#now);
  }
}

/** Nothing is known of the key: what is written covers nothing. */
export const foundNothing = (key: string): Found => ({
  stored: emptyStored(key),
  context: CausalContext.empty,
});

/** Which purges are known, and what time it is. */
export interface Known {
  readonly purges: PurgeIndex;
  readonly now: WallMillis;
}

/** For purges: what replicas know of a value without reading it. */
export interface Label {
  readonly key: string;
  readonly tags: readonly string[];
}

/** SHA-256 of a text in UTF-8, in hexadecimal digits. A host may have a quicker one. */
export type Digest = (text: string) => string;
export const portableDigest: Digest = (text) => bytesToHex(sha256(encoder.encode(text)));

/** Under which name the ring has what a site stores for a cache key. */
export const responseKey = (site: string, key: string, digest = portableDigest): StoreKey =>
  storeKey(siteNamespace(site), `h/${digest(key)}`);

/** No purged prefix is longer: to judge a key, no more of it need be known. */
const labelName = (key: string): string => key.slice(0, KEY_BYTES_MAX);

export const contentOf = (value: Uint8Array, { key, tags }: Label): Content => ({
  value,
  contentType: "application/octet-stream",
  contentEncoding: null,
  contentLanguage: null,
  contentDisposition: null,
  metadata: JSON.stringify(labelName(key)),
  tags,
});

const labelTags = (variants: readonly Variant[]): readonly string[] =>
  [...new Set(variants.flatMap(({ tags }) => tags))]
    .filter((tag) => tag.length <= TAG_CHARS_MAX && TAG.test(tag))
    .slice(0, TAGS_COUNT_MAX);

/** What an entry holds for a cache key, without what was purged. */
export function foundIn(entry: Entry, of: { site: string; key: string }, known: Known): Found {
  const shown = liveSiblings(entry, known.now);
  const stored = withoutPurged(of.site, storedOf(shown, of.key), known);
  return new FoundInEntry(stored, { entry, shown, now: known.now });
}

function storedOf([first, ...others]: readonly Sibling[], key: string): Stored {
  const stored = first === undefined ? emptyStored(key) : storedIn(first, key);
  return others.reduce((joined, sibling) => joinStored(joined, storedIn(sibling, key)), stored);
}

/**
 * As purges of tags, prefixes and of all of the site leave it, and without what was to be kept no
 * longer: beside a variant that lives longer it would be given, and its pieces are gone.
 */
function withoutPurged(site: string, stored: Stored, { purges, now }: Known): Stored {
  const namespace = siteNamespace(site);
  const judge = ({ tags, requestedAt: at, respondedAt, freshness }: Variant) =>
    respondedAt + freshness.retentionMs < now
      ? "gone"
      : purges.ofAnswer(namespace, { name: stored.key, tags, at });
  if (stored.variants.every((variant) => judge(variant) === "valid")) return stored;
  const variants = stored.variants.flatMap((variant) => {
    const judged = judge(variant);
    if (judged === "gone") return [];
    return [judged === "valid" ? variant : madeStale(variant, now)];
  });
  return { ...stored, variants };
}

/** The variant, stale from now on: it may be validated, or used when the origin fails. */
function madeStale(variant: Variant, now: WallMillis): Variant {
  const lifetimeMs = Math.min(variant.freshness.lifetimeMs, ageOf(variant, now));
  const freshness = { ...variant.freshness, lifetimeMs, staleWhileRevalidateMs: 0 };
  return { ...variant, freshness };
}

/** Stands for what cannot be read: it is of no key. */
const UNREADABLE = emptyStored("");

/**
 * Decoded once for as long as a replica keeps the record in memory: that of a hot key is asked for
 * again and again.
 */
const storedBy = oncePer(({ value }: Content): Stored => {
  try {
    const stored = decodeStored(value);
    return joinStored(emptyStored(stored.key), stored);
  } catch (error) {
    if (error instanceof CodecError) return UNREADABLE;
    throw error;
  }
});

/** What a sibling holds; nothing where it is of another key with this hash, or cannot be read. */
function storedIn({ content }: Sibling, key: string): Stored {
  const stored = content === null ? UNREADABLE : storedBy(content);
  return stored.key === key ? stored : emptyStored(key);
}

/**
 * The variant as it is stored. A frontend's own clock may be ahead of those that purges go by, so
 * the time that an owner of the key named when the fetch began counts, where it is earlier.
 *
 * @param ownersTime null: no owner was asked
 */
export function asMinted(fetched: Variant, ownersTime: WallMillis | null): Variant {
  const requestedAt = Math.min(fetched.requestedAt, ownersTime ?? fetched.requestedAt);
  return { ...fetched, requestedAt };
}

export type Record = Pick<WriteOperation, "key" | "content" | "ttlMs">;

/**
 * What is written for a cache key; null where nothing of it is of use any more.
 *
 * @param purgeMs how long a purge of it is remembered
 */
export function recordOf(
  site: string,
  stored: Stored,
  { now, purgeMs = PURGE_MEMORY_MS }: { readonly now: WallMillis; readonly purgeMs?: Millis },
): Record | null {
  const ttlMs = Math.ceil(usefulFor(stored, now, purgeMs));
  if (ttlMs <= 0) return null;
  const label = { key: stored.key, tags: labelTags(stored.variants) };
  const content = contentOf(encodeStored(stored), label);
  return { key: responseKey(site, stored.key), content, ttlMs };
}
