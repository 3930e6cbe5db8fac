/**
 * What is kept of one cache key: the responses that were stored for it, and until when it was
 * purged. Frontends write it at the same time; two records are joined, so that no order matters: of
 * two responses to the same selection the one that was asked for later stays, and one that was
 * asked for before a purge goes.
 *
 * A short body is kept beside its head. A longer one lies in pieces under a name of its own, its
 * version: a reader of a head reads the pieces of that head and no others.
 */
import { assert } from "../../core/assert.ts";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import { INLINE_SUM_BYTES_MAX, VARIANTS_COUNT_MAX } from "../../core/limits.ts";
import type { Millis, WallMillis } from "../../core/time.ts";
import { type Fields, fieldsOf } from "./fields.ts";
import type { Freshness } from "./freshness.ts";
import { type Selection, sameSelection } from "./vary.ts";

export interface StoredBody {
  readonly length: number;
  /** null: it lies in pieces. */
  readonly bytes: Uint8Array | null;
  /** Names this body among all, and its pieces if it has any; see `bodyName`. */
  readonly version: string;
  readonly pieceBytes: number;
}

/** A name that nobody else has, and until when pieces under it are kept at least. */
export const bodyName = (unique: string, until: WallMillis): string =>
  `${unique}.${Math.ceil(until).toString(36)}`;

/**
 * Until when a body lies on the ring, whatever is said later of its head: a 304 writes no piece
 * anew. Names from before there was an end in them have none.
 */
export function bodyEndsAt({ bytes, version }: StoredBody): WallMillis {
  const [, end] = version.split(".");
  return bytes !== null || end === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(end, 36);
}

export interface Variant {
  readonly status: number;
  readonly fields: Fields;
  readonly selection: Selection;
  /** By the cluster's time: when it was asked for, and when its head was there. */
  readonly requestedAt: WallMillis;
  readonly respondedAt: WallMillis;
  readonly freshness: Freshness;
  readonly tags: readonly string[];
  readonly body: StoredBody;
}

export interface Stored {
  readonly key: string;
  readonly variants: readonly Variant[];
  /** Nothing that was asked for up to then is used any more; 0: never purged. */
  readonly purgedAt: WallMillis;
  /** What was asked for up to then is stale, whatever it says of itself. */
  readonly stalesAt: WallMillis;
}

export const emptyStored = (key: string): Stored => ({
  key,
  variants: [],
  purgedAt: 0,
  stalesAt: 0,
});

/** A total order, the same on every frontend: of equal times the names decide. */
function isLater(a: Variant, b: Variant): boolean {
  if (a.requestedAt !== b.requestedAt) return a.requestedAt > b.requestedAt;
  if (a.respondedAt !== b.respondedAt) return a.respondedAt > b.respondedAt;
  if (a.body.version !== b.body.version) return a.body.version > b.body.version;
  return JSON.stringify(a.selection) > JSON.stringify(b.selection);
}

/**
 * Newest first; the oldest are dropped where there are too many, or too many bytes beside heads.
 */
function bounded(variants: readonly Variant[]): readonly Variant[] {
  const sorted = [...variants].sort((a, b) => (isLater(a, b) ? -1 : 1));
  let sum = 0;
  return sorted.slice(0, VARIANTS_COUNT_MAX).filter(({ body }, i) => {
    sum += body.bytes?.length ?? 0;
    return i === 0 || sum <= INLINE_SUM_BYTES_MAX;
  });
}

/** The join of what two frontends kept of one key. */
export function joinStored(a: Stored, b: Stored): Stored {
  assert(a.key === b.key, "one key is joined");
  const purgedAt = Math.max(a.purgedAt, b.purgedAt);
  const variants: Variant[] = [];
  for (const variant of [...a.variants, ...b.variants]) {
    if (variant.requestedAt <= purgedAt) continue;
    const at = variants.findIndex((known) => sameSelection(known.selection, variant.selection));
    const known = variants[at];
    if (known === undefined) variants.push(variant);
    else if (isLater(variant, known)) variants[at] = variant;
  }
  const stalesAt = Math.max(a.stalesAt, b.stalesAt);
  return { key: a.key, variants: bounded(variants), purgedAt, stalesAt };
}

export const withVariant = (stored: Stored, variant: Variant): Stored =>
  joinStored(stored, { ...emptyStored(stored.key), variants: [variant] });

/** As a purge of the key leaves it: what a later one has said stands. */
export const withPurge = (stored: Stored, isSoft: boolean, at: WallMillis): Stored =>
  joinStored(stored, { ...emptyStored(stored.key), [isSoft ? "stalesAt" : "purgedAt"]: at });

/**
 * For how long after `now` any part of it is of use, in ms; a purge is remembered for `purgeMs`.
 */
export function usefulFor(stored: Stored, now: WallMillis, purgeMs: Millis): Millis {
  const purged = Math.max(stored.purgedAt, stored.stalesAt);
  const ends = stored.variants.map(
    ({ respondedAt, freshness }) => respondedAt + freshness.retentionMs,
  );
  return Math.max(0, ...ends, purged === 0 ? 0 : purged + purgeMs) - now;
}

/** The version of the byte layout: another one is not read, and so counts as a miss. */
const LAYOUT = 1;

const plainFreshness = (f: Freshness): readonly unknown[] => [
  f.isExplicit,
  f.lifetimeMs,
  f.initialAgeMs,
  f.isAlwaysValidated,
  f.isNeverStale,
  f.isImmutable,
  f.staleWhileRevalidateMs,
  f.staleIfErrorMs,
  f.retentionMs,
];

const plainVariant = (v: Variant): readonly unknown[] => [
  v.status,
  v.fields.flat(),
  v.selection.names,
  v.selection.values,
  v.requestedAt,
  v.respondedAt,
  plainFreshness(v.freshness),
  v.tags,
  [v.body.length, v.body.bytes, v.body.version, v.body.pieceBytes],
];

export const encodeStored = ({ key, variants, purgedAt, stalesAt }: Stored): Uint8Array =>
  encode([LAYOUT, key, purgedAt, stalesAt, variants.map(plainVariant)]);

function freshnessFrom(plain: readonly unknown[]): Freshness {
  const [isExplicit, lifetimeMs, initialAgeMs, isAlwaysValidated, isNeverStale, ...rest] = plain;
  const [isImmutable, staleWhileRevalidateMs, staleIfErrorMs, retentionMs] = rest;
  return {
    isExplicit: isExplicit === true,
    lifetimeMs: Number(lifetimeMs),
    initialAgeMs: Number(initialAgeMs),
    isAlwaysValidated: isAlwaysValidated === true,
    isNeverStale: isNeverStale === true,
    isImmutable: isImmutable === true,
    staleWhileRevalidateMs: Number(staleWhileRevalidateMs),
    staleIfErrorMs: Number(staleIfErrorMs),
    retentionMs: Number(retentionMs),
  };
}

function variantFrom(plain: unknown): Variant {
  assert(Array.isArray(plain) && plain.length === 9, "a variant has nine parts");
  const [status, fields, names, values, requestedAt, respondedAt, freshness, tags, body] = plain;
  assert(Array.isArray(body) && body.length === 4, "a body has four parts");
  const [length, bytes, version, pieceBytes] = body;
  return {
    status: Number(status),
    fields: fieldsOf(fields as readonly string[]),
    selection: { names, values } as Selection,
    requestedAt: Number(requestedAt),
    respondedAt: Number(respondedAt),
    freshness: freshnessFrom(freshness as readonly unknown[]),
    tags: tags as readonly string[],
    body: {
      length: Number(length),
      bytes: bytes instanceof Uint8Array ? bytes : null,
      version: String(version),
      pieceBytes: Number(pieceBytes),
    },
  };
}

/** @throws CodecError for what no frontend of this version wrote */
export function decodeStored(bytes: Uint8Array): Stored {
  const plain = decode(bytes);
  if (!Array.isArray(plain) || plain[0] !== LAYOUT || plain.length !== 5) {
    throw new CodecError("not a stored response of this layout");
  }
  const [, key, purgedAt, stalesAt, variants] = plain;
  return {
    key: String(key),
    purgedAt: Number(purgedAt),
    stalesAt: Number(stalesAt),
    variants: (variants as readonly unknown[]).map(variantFrom),
  };
}
