/** Conditional requests (RFC 9110, 13) and ranges (14). */
import type { Precondition } from "../../../core/operations.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { RequestHeaders } from "./exchange.ts";
import { parseHttpDate } from "./http-date.ts";
import { Problem } from "./problems.ts";

const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"';
/** A list may have empty members, which count for nothing (RFC 9110, 5.6.1.2). */
const TAG_LIST = new RegExp(`^(?:[ \\t]*,)*[ \\t]*${TAG}[ \\t]*(?:,[ \\t]*(?:${TAG}[ \\t]*)?)*$`);
const TAGS = new RegExp(TAG, "g");

/** The entity tags of a header, or `*`. @throws Problem `invalid-request` */
export function readTagList(headers: RequestHeaders, name: string): readonly string[] {
  const value = headers.get(name);
  if (value === null) return [];
  if (value.trim() === "*") return ["*"];
  if (!TAG_LIST.test(value)) {
    throw new Problem("invalid-request", `${name} must be * or a list of quoted entity tags.`);
  }
  return value.match(TAGS) ?? [];
}

/** It never stands in a tag of versions, which are digits. */
const IN_PARTS = '-mixed"';

/**
 * The tag of all siblings in parts. Other bytes than those of the same versions in JSON need
 * another strong validator (RFC 9110, 8.8.3).
 *
 * @param tag of the versions, which is that of their JSON
 */
export const tagInParts = (tag: string): string => tag.slice(0, -1) + IN_PARTS;

/** What a tag of any form names: a write depends on versions, however they were shown. */
const versionsTag = (tag: string): string =>
  tag.endsWith(IN_PARTS) ? `${tag.slice(0, -IN_PARTS.length)}"` : tag;

/**
 * What a write depends on; null when on nothing.
 *
 * @param now decides the century of dates with two digits
 * @throws Problem `invalid-request`
 */
export function readPrecondition(headers: RequestHeaders, now: WallMillis): Precondition | null {
  const ifMatch = readTagList(headers, "If-Match").map(versionsTag);
  // Weak comparison (RFC 9110, 13.1.2); If-Match compares strongly, so there a W/ matches nothing.
  const ifNoneMatch = readTagList(headers, "If-None-Match").map(withoutWeakness).map(versionsTag);
  const since = parseHttpDate(headers.get("If-Unmodified-Since"), now);
  // Everything stored is later than 1970.
  const dated = Number.isNaN(since) ? {} : { unmodifiedSince: Math.max(1, since) };
  const isNone = ifMatch.length + ifNoneMatch.length === 0 && Number.isNaN(since);
  return isNone ? null : { ifMatch, ifNoneMatch, ...dated };
}

const withoutWeakness = (tag: string): string => (tag.startsWith("W/") ? tag.slice(2) : tag);

export interface Validators {
  readonly etag: string;
  /** NaN when no date says whether it changed. */
  readonly modifiedMs: number;
  /** Of the answer. */
  readonly now: WallMillis;
}

/**
 * Judges the conditions of a read, in the order of RFC 9110, 13.2.2.
 *
 * @throws Problem `precondition-failed`
 */
export function checkReadConditions(
  headers: RequestHeaders,
  shown: Validators,
): "send" | "not-modified" {
  const ifMatch = readTagList(headers, "If-Match");
  if (ifMatch.length > 0 && !ifMatch.includes("*") && !ifMatch.includes(shown.etag)) {
    throw new Problem("precondition-failed", "If-Match does not name what this read would show.");
  }
  const since = parseHttpDate(headers.get("If-Unmodified-Since"), shown.now);
  if (ifMatch.length === 0 && seconds(shown.modifiedMs) > seconds(since)) {
    throw new Problem("precondition-failed", "The value was modified since.");
  }
  const ifNoneMatch = readTagList(headers, "If-None-Match").map(withoutWeakness);
  if (ifNoneMatch.length > 0) {
    return ifNoneMatch.includes("*") || ifNoneMatch.includes(shown.etag) ? "not-modified" : "send";
  }
  const modifiedSince = parseHttpDate(headers.get("If-Modified-Since"), shown.now);
  return seconds(shown.modifiedMs) <= seconds(modifiedSince) ? "not-modified" : "send";
}

/** HTTP dates have whole seconds. NaN, for an unreadable date, compares as false. */
const seconds = (ms: number): number => Math.floor(ms / 1000);

export interface ByteRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/**
 * The one range asked for; null for the whole: no range, several, another unit, or an `If-Range`
 * that does not hold.
 *
 * @throws Problem `range-not-satisfiable`
 */
export function readRange(
  headers: RequestHeaders,
  length: number,
  shown: Validators,
): ByteRange | null {
  const header = headers.get("Range");
  const match = header === null ? null : /^bytes=\s*([0-9]*)-([0-9]*)\s*$/i.exec(header);
  if (match === null || !holdsIfRange(headers.get("If-Range"), shown)) return null;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return null;
  if (first !== "" && last !== "" && Number(last) < Number(first)) return null;
  const from = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const to = first === "" || last === "" ? length - 1 : Math.min(Number(last), length - 1);
  if (from < length && from <= to) return { from, to };
  throw new Problem("range-not-satisfiable", `The value has ${length} bytes.`, {
    extras: { limit: length },
    headers: { "Content-Range": `bytes */${length}` },
  });
}

/**
 * A date is never enough: two versions of one second have the same date, and their parts would be
 * joined to something that never existed (RFC 9110, 13.1.5, asks for a strong validator; 8.8.2.2).
 */
const holdsIfRange = (header: string | null, shown: Validators): boolean =>
  header === null || header.trim() === shown.etag;
