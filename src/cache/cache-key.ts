/**
 * The cache key (RFC 9111, 2): method aside, all that names the resource, and the request fields
 * that the site counts in. It begins with the absolute URL, so that a purge by prefix is one of
 * keys. What the site leaves out of it is not sent to the origin either, so that no answer depends
 * on it.
 */
import type { CacheKeyRule } from "../../core/site.ts";
import { type Fields, fieldOf } from "./fields.ts";
import { normalised } from "./vary.ts";

export interface Located {
  readonly scheme: "http" | "https";
  /** In lower case, without the scheme's own port. */
  readonly host: string;
  /** The path as it stood on the request line. */
  readonly path: string;
  /** Without the question mark; null when there is none. */
  readonly query: string | null;
}

const DEFAULT_PORT = { http: ":80", https: ":443" } as const;

export function normalHost(host: string, scheme: Located["scheme"]): string {
  const lower = host.toLowerCase();
  const port = DEFAULT_PORT[scheme];
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
}

const nameOf = (parameter: string): string => parameter.split("=", 1)[0] ?? "";

/** The part of the query that counts; null: none. */
export function keptQuery(query: string | null, rule: CacheKeyRule): string | null {
  if (query === null || rule.query === "none") return null;
  if (rule.query === "all") return query;
  const parameters = query.split("&").filter((part) => part !== "");
  const wanted = rule.query;
  const kept =
    wanted === "sorted" ? parameters : parameters.filter((part) => wanted.includes(nameOf(part)));
  if (kept.length === 0) return null;
  // Sorted by name only, and left as they came within one name: origins may count on that order.
  return kept
    .map((part, i) => [nameOf(part), i, part] as const)
    .sort(([a, i], [b, j]) => (a === b ? i - j : a < b ? -1 : 1))
    .map(([, , part]) => part)
    .join("&");
}

export const urlOf = ({ scheme, host, path, query }: Located): string =>
  `${scheme}://${host}${path}${query === null ? "" : `?${query}`}`;

/** The URL with the part of its query that counts. */
export const keyedUrl = (located: Located, rule: CacheKeyRule): string =>
  urlOf({ ...located, query: keptQuery(located.query, rule) });

export function cacheKey(located: Located, fields: Fields, rule: CacheKeyRule): string {
  const url = keyedUrl(located, rule);
  if (rule.headers.length === 0) return url;
  const values = rule.headers.map((name) => {
    const value = normalised(fields, name.toLowerCase());
    return `\n${name.toLowerCase()}:${value === null ? "" : `=${value}`}`;
  });
  return `${url}${values.join("")}`;
}

const ABSOLUTE = /^(https?):\/\/([^/?#]+)([^?#]*)(?:\?([^#]*))?(?:#.*)?$/i;

/** An absolute URL in parts; null for anything else. */
export function parseAbsolute(text: string): Located | null {
  const match = ABSOLUTE.exec(text);
  if (match === null) return null;
  const [, scheme = "", host = "", path = "", query = null] = match;
  if (host.includes("@") || /[\s\\]/.test(text)) return null;
  const lower = scheme.toLowerCase() === "https" ? "https" : "http";
  return {
    scheme: lower,
    host: normalHost(host, lower),
    path: path === "" ? "/" : path,
    query,
  };
}

/** Merges a relative path with that of its base and takes out dots (RFC 3986, 5.2.3, 5.2.4). */
function resolvePath(base: string, path: string): string {
  const whole = path.startsWith("/") ? path : `${base.slice(0, base.lastIndexOf("/") + 1)}${path}`;
  const kept: string[] = [];
  const parts = whole.split("/").slice(1);
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1;
    if (part === "..") kept.pop();
    if (part === "." || part === "..") {
      if (isLast) kept.push("");
    } else kept.push(part);
  }
  return `/${kept.join("/")}`;
}

/** A URI reference against a base (RFC 3986, 5.2); null when it does not name a web resource. */
export function resolveReference(base: Located, reference: string): Located | null {
  const text = reference.trim();
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return parseAbsolute(text);
  if (text.startsWith("//")) return parseAbsolute(`${base.scheme}:${text}`);
  const bare = text.split("#", 1)[0] ?? "";
  const mark = bare.indexOf("?");
  const path = mark < 0 ? bare : bare.slice(0, mark);
  const query = mark < 0 ? null : bare.slice(mark + 1);
  if (path === "") return { ...base, query: mark < 0 ? base.query : query };
  return { ...base, path: resolvePath(base.path, path), query };
}

/** Whether it is a host name or an address, maybe with a port (RFC 3986, 3.2.2). */
export function isHost(text: string): boolean {
  return /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/.test(text);
}

/**
 * RFC 9111, 4.4: what an unsafe request made invalid beside its own target, of the same origin.
 *
 * @param names other names of the origin, which it answers with when it is asked under them
 */
export function alsoInvalid(
  target: Located,
  response: Fields,
  names: readonly { readonly scheme: string; readonly host: string }[],
): readonly Located[] {
  const found: Located[] = [];
  for (const name of ["location", "content-location"]) {
    const reference = fieldOf(response, name);
    const other = reference === null ? null : resolveReference(target, reference);
    if (other === null) continue;
    const { scheme, host } = other;
    const isHere = [target, ...names].some((name) => name.scheme === scheme && name.host === host);
    if (isHere) found.push({ ...other, scheme: target.scheme, host: target.host });
  }
  return found;
}
