/**
 * A store key is `namespace 0x00 key`. A namespace has no NUL, so the first one ends it; the key
 * after it may hold any code point.
 */
import { assert } from "./assert.ts";
import { KEY_BYTES_MAX, NAMESPACE_CHARS_MAX } from "./limits.ts";
import { CANARY_SITE, isSiteName, isSiteNamespace, siteNamespace, siteOf } from "./site.ts";
import type { StoreKey } from "./store.ts";

const NAMESPACE = new RegExp(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,${NAMESPACE_CHARS_MAX - 1}}$`);
const encoder = new TextEncoder();

/** What a client may name. */
export const isNamespace = (text: string): boolean => NAMESPACE.test(text);

/**
 * Where members write to themselves, to measure how stale reads are (src/node/jobs/canaries.ts). No
 * client can name it. It has the form of a site's namespace: a version that knows no canaries then
 * stores, hints and compares what is there, while it refuses any other name that clients cannot
 * write.
 */
export const CANARY_NAMESPACE = siteNamespace(CANARY_SITE);

/** A namespace that a client may name, or a site's, which only the cache door names. */
export const isAnyNamespace = (text: string): boolean =>
  isNamespace(text) ||
  (isSiteNamespace(text) && isSiteName(siteOf(text))) ||
  text === CANARY_NAMESPACE;

/** Texts up to this long are counted here: the host's encoder makes bytes to count them. */
const COUNTED_CHARS_MAX = 256;

/** The length of a text in UTF-8, where a lone surrogate takes as much as U+FFFD: three bytes. */
export function utf8Length(text: string): number {
  const { length } = text;
  if (length > COUNTED_CHARS_MAX) return encoder.encode(text).length;
  let byteCount = length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    byteCount += code < 0x800 ? 1 : 2;
    // A pair is four bytes for its two units.
    if (isPairAt(text, i, code)) i++;
  }
  return byteCount;
}

const isPairAt = (text: string, i: number, code: number): boolean =>
  code >= 0xd800 && code <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;

/** @throws AssertionFailure when the parts were not checked before */
export function storeKey(namespace: string, key: string): StoreKey {
  assert(isAnyNamespace(namespace), "the namespace was checked before");
  assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "the key was checked before");
  return `${namespace}\0${key}`;
}

/** Whether a text from outside is a key that a frontend could have written. */
export function isStoreKey(text: string): boolean {
  const end = text.indexOf("\0");
  if (end < 1 || !isAnyNamespace(text.slice(0, end))) return false;
  const charCount = text.length - end - 1;
  // UTF-8 takes three bytes a UTF-16 unit at most: most keys need no counting.
  if (charCount * 3 <= KEY_BYTES_MAX) return charCount > 0;
  return charCount <= KEY_BYTES_MAX && utf8Length(text.slice(end + 1)) <= KEY_BYTES_MAX;
}

export const namespaceOf = (key: StoreKey): string => key.slice(0, key.indexOf("\0"));
export const keyOf = (key: StoreKey): string => key.slice(key.indexOf("\0") + 1);

/**
 * Compares by code point, which is the order of the UTF-8 bytes; JavaScript's own order of strings
 * is that of UTF-16, where U+FF5E comes after U+1F600.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const high = x >= 0xd800 && y >= 0xd800;
    return high ? rotateSurrogates(x) - rotateSurrogates(y) : x - y;
  }
  return a.length - b.length;
}

/** Puts surrogates (code points above U+FFFF) after U+E000 … U+FFFF. */
const rotateSurrogates = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);
