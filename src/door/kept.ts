/**
 * What the ring has of a site's responses, as values: how an entry is read, how it is judged by the
 * purges that are known, and what is written. Who asks and waits is `response-store.ts`.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/codec.ts";
import {
  type Content,
  contextShowing,
  type Entry,
  liveSiblings,
  type Sibling,
} from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import { KEY_BYTES_MAX, TAG_CHARS_MAX, TAGS_COUNT_MAX } from "../../core/limits.ts";
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

/** Under which name the ring has what a site stores for a cache key. */
export const responseKey = (site: string, key: string): StoreKey =>
  storeKey(siteNamespace(site), `h/${bytesToHex(sha256(encoder.encode(key)))}`);

/** No prefix that is purged is longer: more of a key need not be known to judge it. */
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
  const stored = shown
    .map((sibling) => storedIn(sibling, of.key))
    .reduce((a, b) => joinStored(a, b), emptyStored(of.key));
  return {
    stored: withoutPurged(of.site, stored, known),
    context: contextShowing(entry, shown, known.now),
  };
}

/** As purges of tags, prefixes and of all of the site leave it. */
function withoutPurged(site: string, stored: Stored, { purges, now }: Known): Stored {
  const namespace = siteNamespace(site);
  const variants = stored.variants.flatMap((variant) => {
    const { tags, requestedAt } = variant;
    const judged = purges.ofAnswer(namespace, { name: stored.key, tags, at: requestedAt });
    if (judged === "gone") return [];
    return [judged === "valid" ? variant : madeStale(variant, now)];
  });
  return { ...stored, variants };
}

/** The variant from now on stale: it may be validated, and do when the origin fails. */
function madeStale(variant: Variant, now: WallMillis): Variant {
  const lifetimeMs = Math.min(variant.freshness.lifetimeMs, ageOf(variant, now));
  const freshness = { ...variant.freshness, lifetimeMs, staleWhileRevalidateMs: 0 };
  return { ...variant, freshness };
}

/** What a sibling holds; nothing where it is of another key with this hash, or cannot be read. */
function storedIn({ content }: Sibling, key: string): Stored {
  if (content === null) return emptyStored(key);
  try {
    const stored = decodeStored(content.value);
    return stored.key === key ? stored : emptyStored(key);
  } catch (error) {
    if (error instanceof CodecError) return emptyStored(key);
    throw error;
  }
}

/**
 * As it is stored. A frontend's own clock may be ahead of those that purges go by: what an owner of
 * the key said when the fetch began counts, where it is earlier.
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
