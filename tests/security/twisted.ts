/**
 * A value of lists and objects in which something somewhere is something else.
 *
 * @param path which member to go into, again and again, counted around
 * @param otherThan what stands there instead
 */
export function twisted(
  value: unknown,
  path: readonly number[],
  otherThan: (value: unknown) => unknown,
): unknown {
  const [at, ...rest] = path;
  const isLeaf = typeof value !== "object" || value === null || value instanceof Uint8Array;
  if (at === undefined || isLeaf) return otherThan(value);
  const names = Object.keys(value);
  const name = names[at % Math.max(1, names.length)];
  if (name === undefined) return otherThan(value);
  const inner = (value as Record<string, unknown>)[name];
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
  (copy as Record<string, unknown>)[name] = twisted(inner, rest, otherThan);
  return copy;
}
