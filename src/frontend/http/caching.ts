/**
 * `Cache-Control` in both directions. A TTL says when a value ends, but not who may keep it until
 * then: a cache in front would answer in place of the quorum, and reads would go back in time. So
 * caches may keep an answer only to revalidate it, unless the writer of the value allowed more and
 * the reader asks for nothing that a kept answer cannot give.
 */
import type { CacheLife, Sibling } from "../../../core/entry.ts";
import { TTL_SECONDS_MAX } from "../../../core/limits.ts";
import { millisOfHlc, type WallMillis } from "../../../core/time.ts";
import { Problem } from "./problems.ts";

export const NO_CACHE = "no-cache";

/** What every answer of the data plane depends on, beside its target. */
export const VARY = "Accept, Starling-Context, Starling-Quorum";

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** One directive with what ends it (RFC 9111, 5.2): an argument is a token or a quoted string. */
const DIRECTIVE = new RegExp(
  `[ \\t]*(?:(${TOKEN})(?:=(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)"))?[ \\t]*)?(?:,|$)`,
  "y",
);

/**
 * The directives up to the first malformed one; of two with one name, the first (RFC 9111, 4.2.1).
 */
function readDirectives(header: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (let at = 0; at < header.length; at = DIRECTIVE.lastIndex) {
    DIRECTIVE.lastIndex = at;
    const found = DIRECTIVE.exec(header);
    if (found === null) break;
    const [, name, token, quoted] = found;
    if (name === undefined || directives.has(name.toLowerCase())) continue;
    directives.set(name.toLowerCase(), token ?? quoted?.replace(/\\(.)/g, "$1") ?? "");
  }
  return directives;
}

/** Whole seconds; more than a value may live counts as that maximum; null: not a number. */
function secondsOf(text: string | undefined): number | null {
  if (text === undefined || !/^[0-9]+$/.test(text)) return null;
  return Math.min(Number(text), TTL_SECONDS_MAX);
}

/** With any of these the writer wants no cache to answer by itself, whatever else it says. */
const FORBIDDING = ["no-store", "no-cache", "private"];

export interface WriterControl {
  /** What it asks for as TTL, in seconds; null when it asks for none. */
  readonly ttlSeconds: number | null;
  /** What caches are told; null when nothing. */
  readonly life: CacheLife | null;
}

const silent: WriterControl = { ttlSeconds: null, life: null };

/**
 * What a PUT's `Cache-Control` asks for. A `max-age=0` says nothing: browsers send it with requests
 * of their own accord.
 *
 * @throws Problem `invalid-option` for `s-maxage=0`, which nobody sends by accident
 */
export function readWriterControl(header: string | null): WriterControl {
  if (header === null) return silent;
  const directives = readDirectives(header);
  const shared = secondsOf(directives.get("s-maxage"));
  if (shared === 0) {
    const extras = { option: "s-maxage" };
    const detail = "s-maxage=0 would store nothing: use 1 second or more, or DELETE.";
    throw new Problem("invalid-option", detail, { extras });
  }
  const own = secondsOf(directives.get("max-age")) ?? 0;
  const ttlSeconds = shared ?? (own > 0 ? own : null);
  const isForbidden = FORBIDDING.some((name) => directives.has(name));
  const life = { maxAge: own, sharedMaxAge: shared ?? 0 };
  return { ttlSeconds, life: ttlSeconds === null || isForbidden ? null : life };
}

/**
 * What a cache is told of a value: what is left of what its writer gave, under the same names, and
 * never more than what is left of its TTL. There is no `Age` beside it: that would subtract the
 * time twice.
 */
export function cacheControlOf(sibling: Sibling, now: WallMillis): string {
  const life = sibling.content?.cacheLife ?? null;
  if (life === null) return NO_CACHE;
  const ageSeconds = Math.max(0, now - millisOfHlc(sibling.time)) / 1000;
  const ttlLeft = sibling.expiresAt === 0 ? Infinity : (sibling.expiresAt - now) / 1000;
  const left = (given: number): number =>
    Math.max(0, Math.floor(Math.min(given - ageSeconds, ttlLeft)));
  const said: string[] = [];
  if (life.maxAge > 0) said.push(`max-age=${left(life.maxAge)}`);
  if (life.sharedMaxAge > 0) said.push(`s-maxage=${left(life.sharedMaxAge)}`);
  return said.some((text) => !text.endsWith("=0")) ? said.join(", ") : NO_CACHE;
}
