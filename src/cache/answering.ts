/** The fields of an answer: what was stored or came, and what the cache says of it. */
import { serializeList, Token } from "structured-headers";
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
  readonly detail?: string;
}

const CACHE = "starling";
/** Keys longer than that would not leave room for other fields. */
const KEY_CHARS_MAX = 1024;
/** RFC 9651, 3.3.3: a string holds visible ASCII and spaces. */
const isSfString = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** One member of the list. */
export function cacheStatus(status: CacheStatus): string {
  const parameters = new Map<string, boolean | number | string | Token>();
  if (status.hit === true) parameters.set("hit", true);
  if (status.fwd !== undefined) parameters.set("fwd", new Token(status.fwd));
  if (status.fwdStatus !== undefined) parameters.set("fwd-status", status.fwdStatus);
  if (status.ttl !== undefined) parameters.set("ttl", Math.floor(status.ttl));
  if (status.stored === true) parameters.set("stored", true);
  if (status.collapsed === true) parameters.set("collapsed", true);
  const key = status.key?.slice(0, KEY_CHARS_MAX);
  if (key !== undefined && isSfString(key)) parameters.set("key", key);
  if (status.detail !== undefined) parameters.set("detail", new Token(status.detail));
  return serializeList([[new Token(CACHE), parameters]]);
}

/** Behind what caches nearer to the origin said (RFC 9211, 2). */
export function withCacheStatus(fields: Fields, status: CacheStatus): Fields {
  const before = fieldOf(fields, "cache-status");
  const ours = cacheStatus(status);
  const rest = without(fields, new Set(["cache-status"]));
  return [...rest, ["Cache-Status", before === null ? ours : `${before}, ${ours}`]];
}

/** A field that only this system says of itself; an origin that says it is not believed. */
const isOurs = (name: string): boolean => name.toLowerCase().startsWith("starling-");

/** What of the origin's fields a client gets. */
export function passedFields(fields: Fields, site: SiteSettings): Fields {
  const hidden = hiddenFields(site);
  return endToEnd(fields).filter(([name]) => !hidden.has(name.toLowerCase()) && !isOurs(name));
}

/** `Age` in whole seconds (RFC 9111, 5.1). */
export const ageField = (age: Millis): string => String(Math.floor(age / 1000));
