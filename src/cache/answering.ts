/** The fields of an answer: what was stored or came, and what the cache says of it. */
import { oncePer } from "../../core/once-per.ts";
import type { SiteSettings } from "../../core/site.ts";
import type { Millis } from "../../core/time.ts";
import { endToEnd, type Fields, fieldOf, without } from "./fields.ts";
import type { Forwarded } from "./look-up.ts";
import { hiddenFields } from "./storing.ts";

/** `Cache-Status` (RFC 9211), what this cache did. */
export interface CacheStatus {
  readonly hit?: boolean;
  readonly fwd?: Forwarded;
  readonly fwdStatus?: number;
  readonly stored?: boolean;
  readonly collapsed?: boolean;
  /** Seconds that are left; below 0 of a stale one. */
  readonly ttl?: number;
  readonly key?: string;
  /** A token: a code of a problem, or a refusal. */
  readonly detail?: string;
}

const CACHE = "starling";
/** Keys longer than that would not leave room for other fields. */
const KEY_CHARS_MAX = 1024;
/** RFC 9651, 3.3.3: a string holds visible ASCII and spaces. */
const SF_STRING = /^[\x20-\x7e]*$/;
const sfString = (text: string): string =>
  /["\\]/.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;

/**
 * One member of the list. Put together by hand, as every hit has one: a serialiser that takes any
 * structured field takes a twentieth of all that a hit costs.
 */
export function cacheStatus(status: CacheStatus): string {
  const { hit, fwd, fwdStatus, ttl, stored, collapsed, detail } = status;
  let text = CACHE;
  if (hit === true) text += ";hit";
  if (fwd !== undefined) text += `;fwd=${fwd}`;
  if (fwdStatus !== undefined) text += `;fwd-status=${fwdStatus}`;
  if (ttl !== undefined) text += `;ttl=${Math.floor(ttl)}`;
  if (stored === true) text += ";stored";
  if (collapsed === true) text += ";collapsed";
  const key = status.key?.slice(0, KEY_CHARS_MAX);
  if (key !== undefined && SF_STRING.test(key)) text += `;key=${sfString(key)}`;
  return detail === undefined ? text : `${text};detail=${detail}`;
}

const CACHE_STATUS = new Set(["cache-status"]);

/** Appended to what caches nearer to the origin said (RFC 9211, 2). */
export function withCacheStatus(fields: Fields, status: CacheStatus): Fields {
  const before = fieldOf(fields, "cache-status");
  const ours = cacheStatus(status);
  const rest = before === null ? fields : without(fields, CACHE_STATUS);
  return [...rest, ["Cache-Status", before === null ? ours : `${before}, ${ours}`]];
}

/** A field that only this system says of itself; an origin that says it is not believed. */
const isOurs = (name: string): boolean => name.toLowerCase().startsWith("starling-");

const hiddenOf = oncePer(hiddenFields);

/** The fields of the origin that a client gets. */
export function passedFields(fields: Fields, site: SiteSettings): Fields {
  const hidden = hiddenOf(site);
  return endToEnd(fields).filter(([name]) => !hidden.has(name.toLowerCase()) && !isOurs(name));
}

/** `Age` in whole seconds (RFC 9111, 5.1). */
export const ageField = (age: Millis): string => String(Math.floor(age / 1000));
