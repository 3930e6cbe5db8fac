/**
 * How long a response is fresh, how old it is (RFC 9111, 4.2), and when a stale one may be used.
 */
import type { SiteSettings } from "../../core/site.ts";
import type { Millis, WallMillis } from "../../core/time.ts";
import {
  type Directives,
  namedFields,
  type Said,
  secondsOf,
  validSecondsOf,
} from "./directives.ts";
import { type Fields, fieldOf, has, linesOf, type ResponseHead } from "./fields.ts";
import { parseHttpDate } from "./http-date.ts";

/** RFC 9110, 15.1: statuses whose responses may be fresh though nobody said so. */
const HEURISTIC = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);
export const isHeuristic = (status: number): boolean => HEURISTIC.has(status);

/** RFC 9111, 4.2.2: a tenth of the time since the last change, and a day at most. */
const HEURISTIC_SHARE = 10;
const HEURISTIC_MS_MAX = 86_400_000;

/**
 * All times in ms. What does not depend on a request is computed once, when the response is stored.
 */
export interface Freshness {
  /** The response says it, by a directive or by `Expires`. */
  readonly isExplicit: boolean;
  readonly lifetimeMs: Millis;
  /** RFC 9111, 4.2.3: `corrected_initial_age`. */
  readonly initialAgeMs: Millis;
  /** `no-cache`: it is validated before each use. */
  readonly isAlwaysValidated: boolean;
  /** No request may have it stale (`must-revalidate`, `proxy-revalidate`, `s-maxage`). */
  readonly isNeverStale: boolean;
  /** RFC 8246: it does not change while it is fresh. */
  readonly isImmutable: boolean;
  /** RFC 5861: for how long after its lifetime. */
  readonly staleWhileRevalidateMs: Millis;
  readonly staleIfErrorMs: Millis;
  /** After this age it is of no use to anybody. */
  readonly retentionMs: Millis;
}

export interface Timed {
  readonly response: ResponseHead;
  readonly site: SiteSettings;
  readonly requestedAt: WallMillis;
  readonly respondedAt: WallMillis;
}

/** RFC 9111, 4.2.3. Of a list the first counts; what is not a number counts as 0. */
export function initialAgeOf({ response, requestedAt, respondedAt }: Timed): Millis {
  const text = (fieldOf(response.fields, "age") ?? "").split(",", 1)[0]?.trim() ?? "";
  const ageMs = /^\d+$/.test(text) ? Number(text) * 1000 : 0;
  const date = parseHttpDate(fieldOf(response.fields, "date"), respondedAt);
  const apparentMs = date === null ? 0 : Math.max(0, respondedAt - date);
  return Math.max(apparentMs, ageMs + Math.max(0, respondedAt - requestedAt));
}

interface Lifetime {
  readonly isExplicit: boolean;
  readonly seconds: number;
}

function expiresIn({ response: { fields }, respondedAt }: Timed): number | null {
  const lines = linesOf(fields, "expires");
  const [text] = lines;
  if (text === undefined) return null;
  const date = parseHttpDate(fieldOf(fields, "date"), respondedAt) ?? respondedAt;
  const expires = lines.length > 1 ? null : parseHttpDate(text, respondedAt);
  // 5.3: anything that is not a date, above all "0", is in the past.
  return expires === null ? 0 : Math.max(0, (expires - date) / 1000);
}

function heuristicFor(timed: Timed, { directives }: Said): number {
  const { response, site, respondedAt } = timed;
  const { status, fields } = response;
  if (!isHeuristic(status) && !directives.has("public")) return 0;
  if (site.defaultTtl !== null) return site.defaultTtl;
  const changed = parseHttpDate(fieldOf(fields, "last-modified"), respondedAt);
  if (changed === null) return 0;
  const date = parseHttpDate(fieldOf(fields, "date"), respondedAt) ?? respondedAt;
  const sinceMs = Math.max(0, date - changed);
  return Math.min(HEURISTIC_MS_MAX, sinceMs / HEURISTIC_SHARE) / 1000;
}

/** RFC 9111, 4.2.1: the first of these that is there. */
function lifetimeOf(timed: Timed, said: Said): Lifetime {
  const { directives, isTargeted } = said;
  const seconds = secondsOf(directives, "s-maxage") ?? secondsOf(directives, "max-age");
  if (seconds !== null) return { isExplicit: true, seconds: Number.isNaN(seconds) ? 0 : seconds };
  const untilExpires = isTargeted ? null : expiresIn(timed);
  if (untilExpires !== null) return { isExplicit: true, seconds: untilExpires };
  return { isExplicit: false, seconds: heuristicFor(timed, said) };
}

const hasUnqualified = (directives: Directives, name: string): boolean =>
  directives.has(name) && namedFields(directives, name).length === 0;

/**
 * An explicit stale-* directive outranks only the proxy-revalidate that `s-maxage` implies
 * (5.2.2.10); a site's default outranks none of these.
 */
function staleMs(directives: Directives, name: string, byDefault: number | null): Millis {
  const isForbidden =
    directives.has("must-revalidate") ||
    directives.has("proxy-revalidate") ||
    hasUnqualified(directives, "no-cache");
  if (isForbidden) return 0;
  const said = validSecondsOf(directives, name);
  if (said !== null) return said * 1000;
  return directives.has("s-maxage") ? 0 : (byDefault ?? 0) * 1000;
}

export const hasValidator = (fields: Fields): boolean =>
  has(fields, "etag") || has(fields, "last-modified");

export function freshnessOf(timed: Timed, said: Said): Freshness {
  const { directives } = said;
  const { site, response } = timed;
  const { isExplicit, seconds } = lifetimeOf(timed, said);
  const lifetimeMs = Math.floor(seconds * 1000);
  const initialAgeMs = initialAgeOf(timed);
  const isAlwaysValidated = hasUnqualified(directives, "no-cache");
  const staleWhileRevalidateMs = staleMs(
    directives,
    "stale-while-revalidate",
    site.staleWhileRevalidate,
  );
  const staleIfErrorMs = staleMs(directives, "stale-if-error", site.staleIfError);
  const keepMs = hasValidator(response.fields) ? site.keep * 1000 : 0;
  const usefulMs = (isAlwaysValidated ? 0 : lifetimeMs) - initialAgeMs;
  const staleUseMs = Math.max(staleWhileRevalidateMs, staleIfErrorMs);
  return {
    isExplicit,
    lifetimeMs,
    initialAgeMs,
    isAlwaysValidated,
    isNeverStale:
      directives.has("must-revalidate") ||
      directives.has("proxy-revalidate") ||
      directives.has("s-maxage"),
    isImmutable: directives.has("immutable"),
    staleWhileRevalidateMs,
    staleIfErrorMs,
    retentionMs: Math.max(usefulMs + staleUseMs, Math.max(0, usefulMs) + keepMs),
  };
}
