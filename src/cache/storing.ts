/** What may be stored (RFC 9111, 3), for a shared cache that keeps whole responses only. */
import type { SiteSettings } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import { askedBy, type Directives, namedFields, type Said, saidBy } from "./directives.ts";
import {
  endToEnd,
  type Fields,
  fieldOf,
  has,
  type RequestHead,
  type ResponseHead,
  tokensOf,
  without,
} from "./fields.ts";
import { type Freshness, freshnessOf, isHeuristic } from "./freshness.ts";

/** Why a response is not stored: `detail` of `Cache-Status`. */
export type Refusal =
  | "method"
  | "status"
  | "no-store"
  | "private"
  | "request-no-store"
  | "authorization"
  | "cookie"
  | "set-cookie"
  | "vary"
  | "no-freshness"
  | "stale";

const OF_THE_REQUEST: ReadonlySet<string | null> = new Set([
  ...["authorization", "cookie", "request-no-store"],
]);

/** Whether a refusal is about the request, and says nothing of the response. */
export const isOfRequest = (why: string | null): boolean => OF_THE_REQUEST.has(why);

/** Statuses whose meaning for caches is known here (RFC 9111, 5.2.2.3); 206 is never stored. */
const UNDERSTOOD = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 421, 451, 500,
  501, 502, 503, 504,
]);

export interface Exchange {
  readonly request: RequestHead;
  readonly response: ResponseHead;
  readonly site: SiteSettings;
  readonly requestedAt: WallMillis;
  readonly respondedAt: WallMillis;
  /** For POST: whether `Content-Location` is the target itself (RFC 9110, 9.3.3). */
  readonly isOwnLocation: boolean;
}

/** RFC 9111, 3.5. */
const allowsAuthorized = (directives: Directives): boolean =>
  directives.has("public") || directives.has("must-revalidate") || directives.has("s-maxage");

function refusedByMethod({ request, isOwnLocation }: Exchange, freshness: Freshness): boolean {
  if (request.method === "GET") return false;
  return !(request.method === "POST" && isOwnLocation && freshness.isExplicit);
}

function refusedByDirectives({ response }: Exchange, directives: Directives): Refusal | null {
  // With must-understand, no-store is for caches that do not know the status (5.2.2.3).
  if (directives.has("must-understand")) {
    if (!UNDERSTOOD.has(response.status)) return "status";
  } else if (directives.has("no-store")) return "no-store";
  const isPrivate = directives.has("private") && namedFields(directives, "private").length === 0;
  return isPrivate ? "private" : null;
}

/** @returns null when the response may be stored */
export function refusalOf(exchange: Exchange, said: Said, freshness: Freshness): Refusal | null {
  const { request, response } = exchange;
  const { directives, isTargeted } = said;
  const { status, fields } = response;
  if (refusedByMethod(exchange, freshness)) return "method";
  if (status < 200 || status === 206 || status === 304) return "status";
  if (askedBy(request.fields).has("no-store")) return "request-no-store";
  const refused = refusedByDirectives(exchange, directives);
  if (refused !== null) return refused;
  if (has(request.fields, "authorization") && !allowsAuthorized(directives)) return "authorization";
  // An answer to a cookie may be for its owner alone, unless the origin gives it a lifetime.
  if (has(request.fields, "cookie") && !freshness.isExplicit) return "cookie";
  if (has(fields, "set-cookie") && !(isTargeted && freshness.isExplicit)) return "set-cookie";
  if (tokensOf(fieldOf(fields, "vary")).includes("*")) return "vary";
  // 3: one of these has to be there.
  const isStorable = freshness.isExplicit || directives.has("public") || isHeuristic(status);
  return isStorable ? null : "status";
}

const TAG_FIELDS = ["cache-tag", "surrogate-key"] as const;

/** The groups that a response belongs to, for purges. */
export function tagsOf(fields: Fields): readonly string[] {
  const tags = [
    ...(fieldOf(fields, "cache-tag") ?? "").split(","),
    ...(fieldOf(fields, "surrogate-key") ?? "").split(/\s+/),
  ];
  return [...new Set(tags.map((tag) => tag.trim()).filter((tag) => tag !== ""))];
}

/**
 * The fields as they are stored (RFC 9111, 3.1): end to end, without what `private` and `no-cache`
 * name, and without `Age`, which is told anew.
 */
export function storedFields(fields: Fields, { directives }: Said): Fields {
  const named = [...namedFields(directives, "private"), ...namedFields(directives, "no-cache")];
  return without(endToEnd(fields), new Set(["age", ...named]));
}

/** Fields of the origin that clients do not get, unless the site says so. */
export const hiddenFields = ({ passTags }: SiteSettings): ReadonlySet<string> =>
  new Set([...(passTags ? [] : TAG_FIELDS), "surrogate-control"]);

export interface Storing {
  readonly said: Said;
  readonly freshness: Freshness;
  /** null: it may be stored. */
  readonly refusal: Refusal | null;
}

/** All that has to be known of a response in order to store it. */
export function judge(exchange: Exchange): Storing {
  const said = saidBy(exchange.response.fields, exchange.site.targets);
  const freshness = freshnessOf(exchange, said);
  const refusal = refusalOf(exchange, said, freshness);
  if (refusal !== null) return { said, freshness, refusal };
  return { said, freshness, refusal: freshness.retentionMs > 0 ? null : "stale" };
}
