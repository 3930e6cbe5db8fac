/** What to do with a request, given what is stored for its key (RFC 9111, 4). */
import type { Millis, WallMillis } from "../../core/time.ts";
import { askedBy, type Directives, validSecondsOf } from "./directives.ts";
import { fieldOf, type RequestHead } from "./fields.ts";
import { hasValidator } from "./freshness.ts";
import type { Stored, Variant } from "./stored.ts";
import { matches } from "./vary.ts";

/** Why a request goes to the origin: `fwd` of `Cache-Status` (RFC 9211, 2.2). */
export type Forwarded =
  | "bypass"
  | "method"
  | "uri-miss"
  | "vary-miss"
  | "miss"
  | "request"
  | "stale"
  | "partial";

export type Verdict =
  | { readonly kind: "serve"; readonly variant: Variant; readonly refresh: boolean }
  /** To the origin; with a variant that may be validated, and may be used if the origin fails. */
  | {
      readonly kind: "forward";
      readonly why: Forwarded;
      readonly variant: Variant | null;
    }
  /** `only-if-cached`, and nothing that may be used is here (5.2.1.7): 504. */
  | { readonly kind: "refuse"; readonly why: Forwarded };

/** RFC 9111, 4.2.3: `current_age`, residence by the cluster's time. */
export const ageOf = ({ freshness, respondedAt }: Variant, now: WallMillis): Millis =>
  freshness.initialAgeMs + Math.max(0, now - respondedAt);

/** How long it stays fresh; below 0: how long it has been stale. */
export function ttlOf(variant: Variant, stored: Stored, now: WallMillis): Millis {
  const left = variant.freshness.lifetimeMs - ageOf(variant, now);
  // Purged softly: stale, whatever it says of itself.
  return variant.requestedAt <= stored.stalesAt ? Math.min(left, -1) : left;
}

/** The newest variant that answers the request (4.1). */
export function select(stored: Stored, { fields }: RequestHead): Variant | null {
  let found: Variant | null = null;
  for (const variant of stored.variants) {
    if (variant.requestedAt <= stored.purgedAt) continue;
    if (found !== null && found.respondedAt >= variant.respondedAt) continue;
    if (matches(variant.selection, variant.fields, fields)) found = variant;
  }
  return found;
}

/** Whether a request's own directives accept a fresh response of this age (5.2.1). */
function takesFresh(asked: Directives, variant: Variant, ages: { age: Millis; ttl: Millis }) {
  const maxAge = validSecondsOf(asked, "max-age");
  // RFC 8246: a reload, too, is given what cannot have changed.
  if (maxAge !== null && ages.age > maxAge * 1000 && !variant.freshness.isImmutable) return false;
  // An age of less than a second is not zero: max-age=0 asks for a validation.
  if (maxAge === 0 && !variant.freshness.isImmutable) return false;
  const minFresh = validSecondsOf(asked, "min-fresh");
  return minFresh === null || ages.ttl >= minFresh * 1000;
}

/** `max-stale` (5.2.1.2); without an argument it accepts any staleness. */
function takesStale(asked: Directives, variant: Variant, staleMs: Millis): boolean {
  if (!asked.has("max-stale") || variant.freshness.isNeverStale) return false;
  const most = validSecondsOf(asked, "max-stale");
  const maxAge = validSecondsOf(asked, "max-age");
  if (maxAge !== null) return false;
  return asked.get("max-stale") === null || (most !== null && staleMs <= most * 1000);
}

/** A fresh or still usable variant; else what to ask the origin. */
function judge(variant: Variant, stored: Stored, asked: Directives, now: WallMillis): Verdict {
  const { freshness } = variant;
  const ttl = ttlOf(variant, stored, now);
  const forward = (why: Forwarded): Verdict => ({ kind: "forward", why, variant });
  if (asked.has("no-cache") || asked.has("no-store")) return forward("request");
  if (freshness.isAlwaysValidated) return forward("stale");
  if (ttl > 0) {
    const isTaken = takesFresh(asked, variant, { age: ageOf(variant, now), ttl });
    return isTaken ? { kind: "serve", variant, refresh: false } : forward("request");
  }
  const isPurged = variant.requestedAt <= stored.stalesAt;
  if (isPurged) return forward("stale");
  if (takesStale(asked, variant, -ttl)) return { kind: "serve", variant, refresh: false };
  const mayRefresh = -ttl < freshness.staleWhileRevalidateMs;
  const isPlain = !asked.has("max-age") && !asked.has("min-fresh");
  return mayRefresh && isPlain ? { kind: "serve", variant, refresh: true } : forward("stale");
}

/** @param request a GET or a HEAD */
export function lookUp(stored: Stored | null, request: RequestHead, now: WallMillis): Verdict {
  const asked = askedBy(request.fields);
  const variant = stored === null ? null : select(stored, request);
  let verdict: Verdict;
  if (stored === null || variant === null) {
    const hasOthers = stored !== null && stored.variants.length > 0;
    const why = asked.has("no-store") ? "request" : hasOthers ? "vary-miss" : "uri-miss";
    verdict = { kind: "forward", why, variant: null };
  } else verdict = judge(variant, stored, asked, now);
  if (verdict.kind === "forward" && asked.has("only-if-cached")) {
    return { kind: "refuse", why: verdict.why };
  }
  return verdict;
}

/** Whether a stale response may be used when the origin fails (RFC 5861, 4; RFC 9111, 4.2.4). */
export function doesOnError(
  variant: Variant,
  stored: Stored,
  request: RequestHead,
  now: WallMillis,
) {
  const asked = askedBy(request.fields);
  if (asked.has("no-cache") || asked.has("no-store")) return false;
  const { freshness } = variant;
  if (freshness.isAlwaysValidated) return false;
  const ttl = ttlOf(variant, stored, now);
  if (ttl > 0) return true;
  // The client may allow it too (RFC 5861, 4), where the response does not forbid it.
  const byClient = freshness.isNeverStale ? null : validSecondsOf(asked, "stale-if-error");
  const allowedMs = Math.max(freshness.staleIfErrorMs, (byClient ?? 0) * 1000);
  return -ttl < allowedMs;
}

/** Whether what is stored can be validated: it has a validator. */
export const canValidate = (variant: Variant | null): variant is Variant =>
  variant !== null && hasValidator(variant.fields);

/** A client's `Range` that a complete stored response can answer; null: it asks for the whole. */
export const askedRange = ({ method, fields }: RequestHead): string | null =>
  method === "GET" ? fieldOf(fields, "range") : null;
