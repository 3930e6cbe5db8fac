/**
 * A site: an origin, and how its answers are cached. The settings that a client of the API gives
 * are checked here, and get their defaults. They travel with the cluster document, as settings of
 * the namespace that the site's responses live in.
 */

import { CodecError, jsonFrom } from "./check.ts";
import { isCidr } from "./cidr.ts";
import { SITE_BYTES_MAX, SITE_NAME_CHARS_MAX } from "./limits.ts";

export interface CacheKeyRule {
  /** Which parts of the query are in the key, and sent to the origin. */
  readonly query: "all" | "sorted" | "none" | readonly string[];
  /** Request fields that are part of the key. */
  readonly headers: readonly string[];
}

export interface SiteSettings {
  /** A base URL, http or https, without a slash at its end. */
  readonly origin: string;
  readonly hosts: readonly string[];
  readonly originHost: "origin" | "client";
  readonly targets: readonly string[];
  readonly maxObjectBytes: number;
  readonly connectTimeoutMs: number;
  readonly originTimeoutMs: number;
  readonly collapse: boolean;
  readonly leaseMs: number;
  readonly cacheKey: CacheKeyRule;
  /** Seconds, where the response says nothing; null: not at all. */
  readonly staleWhileRevalidate: number | null;
  readonly staleIfError: number | null;
  readonly defaultTtl: number | null;
  /** Seconds that a stale response with a validator stays. */
  readonly keep: number;
  readonly purgeMethod: boolean;
  readonly trustedProxies: readonly string[];
  /** Whether `Cache-Tag` and `Surrogate-Key` are passed on to clients. */
  readonly passTags: boolean;
}

/** Where a site's stored responses live: a namespace that no client can name. */
export const SITE_NAMESPACE = "_site.";
export const siteNamespace = (name: string): string => `${SITE_NAMESPACE}${name}`;
export const isSiteNamespace = (namespace: string): boolean => namespace.startsWith(SITE_NAMESPACE);
export const siteOf = (namespace: string): string => namespace.slice(SITE_NAMESPACE.length);

const NAME = new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,${SITE_NAME_CHARS_MAX - 1}}$`);
/** No site has this name: members keep their canaries there (see keys.ts). */
export const CANARY_SITE = "starling.canary";
export const isSiteName = (text: string): boolean => NAME.test(text) && text !== CANARY_SITE;

/** What `--origin` makes. */
export const DEFAULT_SITE = "default";

/**
 * The order in which sites that name the same host are asked: `default`, then by name. Two members
 * may each learn of one at the same time, so such a pair cannot be kept out, and has to mean the
 * same everywhere. A site that names no hosts has all of them; it must not take those of
 * `--origin`.
 */
export function bySiteOrder(a: string, b: string): number {
  if (a === b) return 0;
  return a === DEFAULT_SITE || (b !== DEFAULT_SITE && a < b) ? -1 : 1;
}

interface NamedHosts {
  readonly name: string;
  readonly hosts: readonly string[];
}

/** The first of the sites that name a host, by each host in lower case as it is written there. */
export function firstByHost(sites: Iterable<NamedHosts>): ReadonlyMap<string, string> {
  const first = new Map<string, string>();
  for (const { name, hosts } of [...sites].sort((a, b) => bySiteOrder(a.name, b.name))) {
    for (const host of hosts.map((text) => text.toLowerCase())) {
      if (!first.has(host)) first.set(host, name);
    }
  }
  return first;
}

export const siteDefaults: Omit<SiteSettings, "origin"> = {
  hosts: ["*"],
  originHost: "origin",
  targets: ["Starling-Cache-Control", "CDN-Cache-Control"],
  maxObjectBytes: 64 * 1024 * 1024,
  connectTimeoutMs: 5000,
  originTimeoutMs: 30_000,
  collapse: true,
  leaseMs: 3000,
  cacheKey: { query: "all", headers: [] },
  staleWhileRevalidate: null,
  staleIfError: null,
  defaultTtl: null,
  keep: 86_400,
  purgeMethod: false,
  trustedProxies: [],
  passTags: false,
};

const PORT = "(?::\\d{1,5})?";
const LABELS = "(?:[A-Za-z0-9_-]+\\.)*[A-Za-z0-9_-]+";
const HOST = new RegExp(`^(?:\\*|(?:\\*\\.)?${LABELS}${PORT}|\\[[0-9A-Fa-f:.]+\\]${PORT})$`);
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const ORIGIN = /^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/i;
const isHost = (item: string): boolean => HOST.test(item);
const isToken = (item: string): boolean => TOKEN.test(item);
const isParameter = (item: string): boolean => /^[^\s&=#]+$/.test(item);
const LIST_COUNT_MAX = 64;
const SECONDS_MAX = 315_360_000;

type Check = (value: unknown) => boolean;

const isCount =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const isListOf =
  (matches: (item: string) => boolean): Check =>
  (value) =>
    Array.isArray(value) &&
    value.length <= LIST_COUNT_MAX &&
    value.every((item) => typeof item === "string" && item.length <= 256 && matches(item));
const isBoolean: Check = (value) => typeof value === "boolean";

const isCacheKey: Check = (value) => {
  if (typeof value !== "object" || value === null) return false;
  const { query, headers, ...others } = value as Record<string, unknown>;
  if (Object.keys(others).length > 0) return false;
  const isWord = query === "all" || query === "sorted" || query === "none";
  return (isWord || isListOf(isParameter)(query)) && isListOf(isToken)(headers);
};

const isSeconds = isCount(0, SECONDS_MAX);

/** Of each member: what it takes, in words and as a check. */
const RULES: Readonly<Record<keyof SiteSettings, readonly [words: string, check: Check]>> = {
  origin: [
    "a base URL, http or https, without user, query and fragment",
    (value) => typeof value === "string" && value.length <= 1024 && ORIGIN.test(value),
  ],
  hosts: [
    "a list of host names, *.suffix or *",
    (value) => isListOf(isHost)(value) && (value as unknown[]).length > 0,
  ],
  originHost: ['"origin" or "client"', (value) => value === "origin" || value === "client"],
  targets: ["a list of field names", isListOf(isToken)],
  maxObjectBytes: ["a whole number of bytes", isCount(0, Number.MAX_SAFE_INTEGER)],
  connectTimeoutMs: ["a whole number from 1 to 60000", isCount(1, 60_000)],
  originTimeoutMs: ["a whole number from 1 to 600000", isCount(1, 600_000)],
  collapse: ["true or false", isBoolean],
  leaseMs: ["a whole number from 100 to 60000", isCount(100, 60_000)],
  cacheKey: ['{"query":"all"|"sorted"|"none"|[names],"headers":[names]}', isCacheKey],
  staleWhileRevalidate: ["null or seconds", orNull(isSeconds)],
  staleIfError: ["null or seconds", orNull(isSeconds)],
  defaultTtl: ["null or seconds", orNull(isSeconds)],
  keep: ["seconds", isSeconds],
  purgeMethod: ["true or false", isBoolean],
  trustedProxies: ["a list of addresses or CIDRs", isListOf(isCidr)],
  passTags: ["true or false", isBoolean],
};

/**
 * Fills in what is not said and checks all of it.
 *
 * @throws CodecError with one sentence that names the member and the mend
 */
export function checkSite(value: unknown): SiteSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CodecError("A site is a JSON object.");
  }
  const given = value as Record<string, unknown>;
  const stranger = Object.keys(given).find((name) => !(name in RULES));
  if (stranger !== undefined)
    throw new CodecError(`A site has no member ${JSON.stringify(stranger)}.`);
  const { cacheKey } = given;
  const isObject = typeof cacheKey === "object" && cacheKey !== null;
  const site = {
    ...siteDefaults,
    ...given,
    ...(isObject ? { cacheKey: { ...siteDefaults.cacheKey, ...cacheKey } } : {}),
  } as SiteSettings;
  for (const [name, [words, check]] of Object.entries(RULES)) {
    const member = (site as unknown as Record<string, unknown>)[name];
    if (!check(member)) throw new CodecError(`"${name}" must be ${words}.`);
  }
  const origin = site.origin.replace(/\/+$/, "");
  const isSmall = JSON.stringify(site).length <= SITE_BYTES_MAX;
  if (!isSmall) throw new CodecError(`A site has at most ${SITE_BYTES_MAX} bytes as JSON.`);
  return { ...site, origin };
}

/** Drops proxies that were once accepted although they are no addresses: they match nobody. */
function withoutStrangeProxies(stored: unknown): unknown {
  const { trustedProxies } = (stored ?? {}) as { readonly trustedProxies?: unknown };
  if (!Array.isArray(trustedProxies)) return stored;
  return { ...(stored as object), trustedProxies: trustedProxies.filter(isCidr) };
}

/** A site's settings as the document keeps them: texts that came from here. */
export function parseSite(text: string): SiteSettings | null {
  try {
    return checkSite(withoutStrangeProxies(jsonFrom(text)));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return null;
  }
}
