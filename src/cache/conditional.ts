/**
 * Preconditions of a client against a stored response, and conditional requests to the origin
 * (RFC 9110, 13; RFC 9111, 4.3).
 */
import type { WallMillis } from "../../core/time.ts";
import { endToEnd, type Fields, fieldOf, has, without } from "./fields.ts";
import { parseHttpDate } from "./http-date.ts";

/** Entity tags of a list. One without quotes is accepted too, because origins send such. */
export function entityTags(text: string): readonly string[] {
  return [...text.matchAll(/(?:W\/)?"[^"]*"|[^\s,]+/g)].map(([tag]) => tag);
}

const weak = (tag: string): string => (tag.startsWith("W/") ? tag.slice(2) : tag);
const isStrong = (tag: string): boolean => tag.startsWith('"');

/** Weak comparison (RFC 9110, 8.8.3.2). */
const isSameTag = (a: string, b: string): boolean => weak(a) === weak(b);

const CONDITIONS = new Set([
  "if-none-match",
  "if-modified-since",
  "if-match",
  "if-unmodified-since",
  "if-range",
  "range",
]);
export const withoutConditions = (fields: Fields): Fields => without(fields, CONDITIONS);

/** Preconditions that only the origin can judge: they are about what it has now. */
export const isForOrigin = (fields: Fields): boolean =>
  has(fields, "if-match") || has(fields, "if-unmodified-since");

/**
 * Whether the client has this already, so that a 304 will do (RFC 9111, 4.3.2). `If-None-Match`
 * comes first; without `Last-Modified` it is `Date`, or when it came, that counts.
 */
export function isNotModified(
  request: Fields,
  stored: { readonly fields: Fields; readonly respondedAt: WallMillis },
): boolean {
  const { fields, respondedAt } = stored;
  const noneMatch = fieldOf(request, "if-none-match");
  if (noneMatch !== null) {
    if (noneMatch.trim() === "*") return true;
    const etag = fieldOf(fields, "etag");
    return etag !== null && entityTags(noneMatch).some((tag) => isSameTag(tag, etag));
  }
  const since = parseHttpDate(fieldOf(request, "if-modified-since"), respondedAt);
  if (since === null) return false;
  const changed =
    parseHttpDate(fieldOf(fields, "last-modified"), respondedAt) ??
    parseHttpDate(fieldOf(fields, "date"), respondedAt) ??
    respondedAt;
  return changed <= since;
}

/** What a 304 says of a stored response (RFC 9110, 15.4.5), and what caches on the way need. */
const TOLD_BY_304 = new Set([
  "cache-control",
  "content-location",
  "date",
  "etag",
  "expires",
  "last-modified",
  "vary",
]);
const DESCRIBES_CONTENT = /^content-(?!location|security-policy)/;

/** The fields of a 304 for a stored response: all but those that describe the content. */
export const notModifiedFields = (fields: Fields): Fields =>
  fields.filter(([name]) => {
    const lower = name.toLowerCase();
    return TOLD_BY_304.has(lower) || !DESCRIBES_CONTENT.test(lower);
  });

/** The fields by which a request validates what is stored (RFC 9111, 4.3.1); empty: it cannot. */
export function validating(stored: Fields): Fields {
  const etag = fieldOf(stored, "etag");
  const changed = fieldOf(stored, "last-modified");
  return [
    ...(etag === null ? [] : [["If-None-Match", etag] as const]),
    ...(changed === null ? [] : [["If-Modified-Since", changed] as const]),
  ];
}

/** `If-Range` (RFC 9110, 13.1.5): strong tags, or the very date of the last change. */
export function rangeApplies(request: Fields, stored: Fields): boolean {
  const condition = fieldOf(request, "if-range")?.trim();
  if (condition === undefined) return true;
  const validator = fieldOf(stored, condition.includes('"') ? "etag" : "last-modified");
  if (validator === null || validator !== condition) return false;
  return !condition.includes('"') || isStrong(condition);
}

/** What a 304 may freshen (RFC 9111, 4.3.4): the response with the same strong validator, … */
export function isFreshenedBy(stored: Fields, notModified: Fields): boolean {
  for (const name of ["etag", "last-modified"]) {
    const told = fieldOf(notModified, name);
    if (told === null) continue;
    const ours = fieldOf(stored, name);
    return ours !== null && (name === "etag" ? isSameTag(ours, told) : ours === told);
  }
  // … or, when it says none, the one that was asked about.
  return true;
}

/** Fields that are about the stored bytes: a 304 or a HEAD does not change them (3.2). */
const KEPT = new Set([
  ...["content-length", "content-encoding", "content-range", "etag"],
  ...["content-md5", "content-digest", "repr-digest"],
]);

/** The stored fields with those that the origin sent now (RFC 9111, 3.2). */
export function updatedFields(stored: Fields, told: Fields): Fields {
  const news = endToEnd(told).filter(([name]) => !KEPT.has(name.toLowerCase()));
  const replaced = new Set(news.map(([name]) => name.toLowerCase()));
  return [...without(stored, replaced), ...news];
}

/** Whether a response to HEAD is about what is stored (RFC 9111, 4.3.5). */
export function isStillOf(stored: Fields, bodyLength: number, head: Fields): boolean {
  if (!isFreshenedBy(stored, head)) return false;
  const length = fieldOf(head, "content-length");
  return length === null || Number(length) === bodyLength;
}
