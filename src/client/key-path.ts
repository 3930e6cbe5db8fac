/** Where a key lives. */

/**
 * The path of a key. Segments of dots would be resolved by `fetch` before they leave, escaped or
 * not; such keys go as one segment, with their slashes escaped.
 *
 * @throws RangeError for what no URL can carry: the keys "." and "..", and half a surrogate pair
 */
export function keyPath(namespace: string, key: string): string {
  if (key === "." || key === "..") throw new RangeError(`a URL cannot carry the key "${key}"`);
  if (!key.isWellFormed()) throw new RangeError("the key is not Unicode text");
  const segments = key.split("/");
  const hasDots = segments.some((segment) => segment === "." || segment === "..");
  const path = segments.map((segment) => encodeURIComponent(segment)).join(hasDots ? "%2F" : "/");
  return `/v1/kv/${encodeURIComponent(namespace)}/${path}`;
}
