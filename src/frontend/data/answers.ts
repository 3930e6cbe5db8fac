/** What every answer of the data plane carries, and how one or several siblings are shown. */
import { type Content, etagOf, type Sibling } from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import type { GetResult } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Tally } from "../../../core/tally.ts";
import { millisOfHlc, type WallMillis } from "../../../core/time.ts";
import { NO_CACHE, VARY } from "../http/caching.ts";
import type { Validators } from "../http/conditions.ts";
import type { HeaderFields } from "../http/exchange.ts";
import { httpDate } from "../http/http-date.ts";

const SANDBOX = "sandbox; default-src 'none'";

export interface Setting {
  readonly hash: KeyedHash;
  readonly key: StoreKey;
  readonly now: WallMillis;
  /** When the request came in, on a clock that only runs forward. */
  readonly startedAt: number;
  readonly trustedContent: boolean;
  /** Whether a cache may answer such a request, as far as that depends on the request. */
  readonly mayBeKept: boolean;
}

/** Headers that do not depend on what was found. */
export function baseHeaders(setting: Setting, contextToken: string): HeaderFields {
  const took = Math.max(0, performance.now() - setting.startedAt);
  const headers: HeaderFields = {
    "Starling-Context": contextToken,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": NO_CACHE,
    Vary: VARY,
    Date: httpDate(setting.now),
    "Server-Timing": `quorum;dur=${took.toFixed(1)}`,
  };
  if (!setting.trustedContent) headers["Content-Security-Policy"] = SANDBOX;
  return headers;
}

/**
 * `Starling-Quorum` of a read: a structured-field dictionary of numbers. For a read with
 * `max_stale` also the bound that was proven, in seconds: rounded up, since too low a bound would
 * be false.
 */
export function readTally({ tally, staleBoundMs, staleW, predictedP }: GetResult): string {
  const predicted = predictedP === undefined ? "" : `, predicted=${sharesDown(predictedP)}`;
  const counts = `${countsText(tally)}${predicted}`;
  if (staleBoundMs === undefined) return counts;
  return `${counts}${boundText(staleBoundMs, staleW)}`;
}

/** The last ones, which are those of most reads. */
let counted = { n: 0, required: 0, answered: 0, primaries: 0, fallbacks: 0, text: "" };

function countsText({ n, required, answered, primaries, fallbacks }: Tally): string {
  const isSame =
    counted.n === n &&
    counted.required === required &&
    counted.answered === answered &&
    counted.primaries === primaries &&
    counted.fallbacks === fallbacks;
  if (isSame) return counted.text;
  const numbers = `primaries=${primaries}, fallbacks=${fallbacks}`;
  const text = `n=${n}, r=${required}, answered=${answered}, ${numbers}`;
  counted = { n, required, answered, primaries, fallbacks, text };
  return text;
}

/** The last one: reads within a millisecond are told the same bound. */
let told = { staleBoundMs: -1, staleW: -1, text: "" };

function boundText(staleBoundMs: number, staleW = 1): string {
  if (told.staleBoundMs !== staleBoundMs || told.staleW !== staleW) {
    const text = `, stale-bound=${secondsUp(staleBoundMs)}, stale-w=${staleW}`;
    told = { staleBoundMs, staleW, text };
  }
  return told.text;
}

/** A decimal of RFC 9651 from thousandths, with one to three decimal places. */
function decimal(thousandths: number): string {
  const whole = Math.floor(thousandths / 1000);
  const rest = thousandths % 1000;
  if (rest % 100 === 0) return `${whole}.${rest / 100}`;
  const digits = rest < 100 ? `0${rest < 10 ? "0" : ""}${rest}` : `${rest}`;
  return `${whole}.${digits.endsWith("0") ? digits.slice(0, -1) : digits}`;
}
const secondsUp = (ms: number): string => decimal(Math.ceil(ms));
const sharesDown = (p: number): string => decimal(Math.floor(p * 1000));

/** `Starling-Quorum` of a write. */
export function writeTally(tally: Tally): string {
  const { n, required, answered, primaries, fallbacks, durable } = tally;
  const numbers = `primaries=${primaries}, fallbacks=${fallbacks}, durable=${durable}`;
  return `n=${n}, w=${required}, acked=${answered}, ${numbers}`;
}

export const modifiedMs = (sibling: Sibling): WallMillis => millisOfHlc(sibling.time);

interface Tagged {
  readonly hash: KeyedHash;
  readonly etag: string;
}
const tagged = new WeakMap<Sibling, Tagged>();

/** The ETag of a version that was read; that of a hot key is asked for again and again. */
export function keptTag(sibling: Sibling, hash: KeyedHash): string {
  const known = tagged.get(sibling);
  if (known !== undefined && known.hash === hash) return known.etag;
  const etag = etagOf([sibling], hash);
  tagged.set(sibling, { hash, etag });
  return etag;
}

/** A clock that runs ahead elsewhere must not make it later than `Date` (RFC 9110, 8.8.2.1). */
export const lastModified = (modified: WallMillis, now: WallMillis): string =>
  httpDate(Math.min(modified, now));

/** What describes a version, whether its bytes are sent along or not. */
export function addVersion(
  headers: HeaderFields,
  { sibling, etag }: { readonly sibling: Sibling; readonly etag: string },
  { now }: Setting,
): Validators {
  const shown = { etag, modifiedMs: modifiedMs(sibling), now };
  headers["ETag"] = etag;
  headers["Last-Modified"] = lastModified(shown.modifiedMs, now);
  // How long the value lives is not how long caches may keep it, so `Expires` does not say it.
  if (sibling.expiresAt !== 0) {
    headers["Starling-TTL"] = String(Math.max(0, (sibling.expiresAt - now) / 1000));
  }
  return shown;
}

/** The headers that were stored with the value. */
export function contentHeaders(content: Content): HeaderFields {
  const headers: HeaderFields = { "Content-Type": content.contentType };
  const { contentEncoding, contentLanguage, contentDisposition, metadata } = content;
  if (contentEncoding !== null) headers["Content-Encoding"] = contentEncoding;
  if (contentLanguage !== null) headers["Content-Language"] = contentLanguage;
  if (contentDisposition !== null) headers["Content-Disposition"] = contentDisposition;
  if (metadata !== null) headers["Starling-Metadata"] = metadata;
  return headers;
}
