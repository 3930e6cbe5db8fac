/**
 * Purges of what a site stored, by URL and by prefix. Absolute ones name a scheme and a host; a
 * bare path is about all hosts of the site.
 */
import { utf8Length } from "../../core/keys.ts";
import { KEY_BYTES_MAX } from "../../core/limits.ts";
import type { PurgeOperation } from "../../core/operations.ts";
import { siteNamespace } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import { keptQuery, keyedUrl, type Located, parseAbsolute } from "../cache/cache-key.ts";
import type { Backend, Site } from "../frontend/backend/backend.ts";
import { runPurge } from "../frontend/data/run-purge.ts";
import { Problem } from "../frontend/http/problems.ts";
import { ResponseStore } from "./response-store.ts";
import { StoreError } from "./store-errors.ts";

/**
 * The end of a key in `core/purges.ts`: a prefix that ends with it names one key, and none that is
 * longer.
 */
const END = "\n";

/** A host without its port: where doors listen says nothing of what they serve. */
const withoutPort = (located: Located): Located => ({
  ...located,
  host: located.host.replace(/:\d+$/, ""),
});

/** As requests have it: what is not ASCII is in percent signs (RFC 3987, 3.1); the host is left. */
function asRequested(url: string): string {
  const head = /^https?:\/\/[^/?#]*/i.exec(url)?.[0] ?? "";
  const rest = url.slice(head.length).toWellFormed();
  return head + rest.replace(/[\u0080-\uffff]+/g, encodeURIComponent);
}

/** A prefix of an absolute URL in all spellings that a key may have; null for anything else. */
export function prefixesOf(given: string): readonly string[] | null {
  const prefix = asRequested(given);
  if (prefix.startsWith("/") && !prefix.startsWith("//")) return [prefix];
  const located = parseAbsolute(prefix);
  if (located === null) return null;
  // What follows the host stays as it is: it is only the beginning of a URL.
  const rest = prefix.slice(/^[^/]*\/\/[^/]*/.exec(prefix)?.[0].length ?? 0) || "/";
  const hosts = new Set([located.host, withoutPort(located).host]);
  return [...hosts].map((host) => `${located.scheme}://${host}${rest}`);
}

/**
 * The prefix that names one URL. If the URL is too long for that, others that begin alike go with
 * it.
 */
export function prefixOfUrl(url: string): { readonly prefix: string } {
  let prefix = `${url}${END}`.slice(0, KEY_BYTES_MAX);
  while (utf8Length(prefix) > KEY_BYTES_MAX) prefix = prefix.slice(0, -1);
  return { prefix };
}

export interface UrlPurge {
  /** Keys whose records are written: at all of their owners when the answer comes. */
  readonly keys: readonly string[];
  /**
   * For keys that cannot be told from the URL, because hosts or fields of requests are part of
   * them.
   */
  readonly epochs: readonly PurgeOperation["what"][];
}

/** @returns null when the text is neither an absolute URL nor a path */
export function urlPurge(url: string, { settings }: Site): UrlPurge | null {
  const rule = settings.cacheKey;
  const text = asRequested(url);
  if (text.startsWith("/") && !text.startsWith("//")) {
    if (/[\s#]/.test(text)) return null;
    const mark = text.indexOf("?");
    const path = mark < 0 ? text : text.slice(0, mark);
    const query = keptQuery(mark < 0 ? null : text.slice(mark + 1), rule);
    const whole = `${path}${query === null ? "" : `?${query}`}`;
    return { keys: [], epochs: [prefixOfUrl(whole)] };
  }
  const located = parseAbsolute(text);
  if (located === null) return null;
  const urls = new Set([located, withoutPort(located)].map((one) => keyedUrl(one, rule)));
  if (rule.headers.length === 0) return { keys: [...urls], epochs: [] };
  return { keys: [], epochs: [...urls].map(prefixOfUrl) };
}

/**
 * Ends all that is stored of a URL whose owners cannot be told, because fields of requests are part
 * of its keys, or cannot all be reached. The members are told of a prefix instead.
 *
 * @throws StoreError when too few members can be reached
 */
export async function purgeAllKeys(backend: Backend, site: Site, url: string): Promise<void> {
  const operation = { namespace: siteNamespace(site.name), what: prefixOfUrl(url) };
  try {
    await runPurge({ backend, trace: "" }, operation);
  } catch (error) {
    if (error instanceof Problem) throw new StoreError("the purge failed");
    throw error;
  }
}

/** @returns until when; @throws StoreError when too few owners can be reached */
export async function purgeKeys(
  backend: Backend,
  site: Site,
  { keys, isSoft }: { keys: readonly string[]; isSoft: boolean },
): Promise<WallMillis> {
  const store = new ResponseStore(backend);
  const purge = (key: string) => store.purge(site, key, { isSoft, at: null });
  return Math.max(backend.now(), ...(await Promise.all(keys.map(purge))));
}
