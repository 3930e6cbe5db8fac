/**
 * From the raw path to namespace and key. Keys are data: the path is decoded once, as UTF-8, and
 * nothing in it is resolved. `new URL` would resolve `..`; a host that has the raw target of the
 * request line hands it in.
 */
import { isNamespace, utf8Length } from "../../../core/keys.ts";
import { KEY_BYTES_MAX } from "../../../core/limits.ts";
import { isSiteNamespace } from "../../../core/site.ts";
import { Problem } from "./problems.ts";

/** The target of a request: path and query as they stood on the request line. */
export interface Target {
  readonly path: string;
  /** Without the question mark; empty when there is none. */
  readonly query: string;
}

/**
 * Cuts an origin-form or absolute-form target (RFC 9112, 3.2). A URL may carry a fragment, which is
 * the client's own business. On a request line a "#" is a mistake, and to cut there would name
 * another key.
 *
 * @throws Problem `invalid-key`
 */
export function splitTarget(raw: string): Target {
  const isOrigin = raw.startsWith("/");
  const whole = isOrigin ? raw : originForm(raw);
  const hash = whole.indexOf("#");
  if (hash >= 0 && isOrigin) {
    throw new Problem("invalid-key", `A "#" in a path or a query must be written as %23.`);
  }
  const target = hash < 0 ? whole : whole.slice(0, hash);
  const mark = target.indexOf("?");
  if (mark < 0) return { path: target, query: "" };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function originForm(url: string): string {
  const rest = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/**
 * Percent-decodes once. The language's own decoder takes well-formed UTF-8 and nothing else: no
 * surrogates, no overlong forms, no bare "%". A "+" stays a "+".
 *
 * @param refuse makes the problem of a text that cannot be decoded
 */
export function percentDecode(part: string, refuse: () => Problem): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw refuse();
  }
}

const undecodable = (what: string): Problem =>
  new Problem("invalid-key", `The ${what} is not UTF-8 in percent-encoding (%25 stands for "%").`);

/**
 * What sites and canaries store is not for clients: to them it does not exist.
 *
 * @throws Problem `not-found`
 */
export function refuseSites(namespace: string): void {
  if (isSiteNamespace(namespace)) throw new Problem("not-found", "There is no such namespace.");
}

/** @throws Problem `invalid-key`, `not-found` */
export function checkNamespace(text: string): string {
  if (isNamespace(text)) return text;
  refuseSites(text);
  throw new Problem(
    "invalid-key",
    "A namespace has 1 to 64 of A-Z a-z 0-9 _ - . and begins with a letter or a digit.",
  );
}

/** @throws Problem `invalid-key`, `not-found` */
export const readNamespace = (part: string): string =>
  checkNamespace(percentDecode(part, () => undecodable("namespace")));

/** No code point takes more bytes of UTF-8 than this for each UTF-16 unit. */
const BYTES_PER_UNIT_MAX = 3;

/** A key that is text already. @throws Problem `invalid-key` or `key-too-long` */
export function checkKey(key: string): string {
  if (key === "") throw new Problem("invalid-key", "The key is empty.");
  // Half a surrogate pair has no UTF-8: all of them would become the same key.
  if (!key.isWellFormed()) throw new Problem("invalid-key", "The key is not Unicode text.");
  if (key.length * BYTES_PER_UNIT_MAX > KEY_BYTES_MAX && utf8Length(key) > KEY_BYTES_MAX) {
    const extras = { limit: KEY_BYTES_MAX };
    throw new Problem("key-too-long", `A key has at most ${KEY_BYTES_MAX} bytes.`, { extras });
  }
  return key;
}

/** @throws Problem `invalid-key` or `key-too-long` */
export const readKey = (part: string): string =>
  checkKey(percentDecode(part, () => undecodable("key")));
